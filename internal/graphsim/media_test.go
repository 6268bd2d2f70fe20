package graphsim

import (
	"strings"
	"testing"
	"time"
)

func TestPromptsAreQueued(t *testing.T) {
	story(t, nil, func(w *world) {
		id := w.placed(userCall("alice"))
		first := w.post(id, "playPrompt", prompts("https://cdn.example/a.wav", "https://cdn.example/b.WAV"), 200)
		contains(t, "answer", sample(t, "call-playprompt.1.response"), first.body)
		second := w.post(id, "playPrompt", with(prompts("https://cdn.example/c.wav?sig=1"), "clientContext", "second"), 200)
		if second.body["status"] != "notStarted" {
			t.Errorf("the second is %v; want it queued", second.body["status"])
		}
		w.pass(2*w.opts.PromptDuration - time.Millisecond)
		w.wantTold()
		w.pass(time.Millisecond)
		got := w.read()
		if len(got) != 1 {
			t.Fatalf("told %v; want the end of the first", got)
		}
		contains(t, "notification", sample(t, "notification.call-playprompt.1.playPromptOperation-completed"), got[0].body)
		value := got[0].value()
		if want := "/communications/calls/" + strings.ToUpper(normalID(id)) + "/operations/" + strings.ToUpper(normalID(first.id())); value["resourceUrl"] != want {
			t.Errorf("resourceUrl %v; want %s", value["resourceUrl"], want)
		}
		data := value["resourceData"].(object)
		if _, there := data["id"]; there || data["clientContext"] != "ctx" {
			t.Errorf("resourceData %v; want ctx and no id", data)
		}
		w.pass(w.opts.PromptDuration)
		got = w.read()
		if len(got) != 1 || got[0].value()["resourceData"].(object)["clientContext"] != "second" {
			t.Errorf("told %v; want the end of the second", got)
		}
	})
}

func TestPromptsThatFail(t *testing.T) {
	tests := map[string]string{
		"https://cdn.example/missing.wav":   "deleted operations failed 400/8536",
		"https://cdn.example/missing/a.mp3": "deleted operations failed 400/8536",
		"https://cdn.example/a.mp3":         "deleted operations failed 400/8535",
		"https://cdn.example/a.wav":         "deleted operations completed 200/0",
	}
	for uri, want := range tests {
		story(t, nil, func(w *world) {
			w.post(w.placed(userCall("alice")), "playPrompt", prompts(uri), 200)
			w.pass(w.opts.PromptDuration)
			w.wantTold(want)
		})
	}
}

func TestCancelEndsEveryPrompt(t *testing.T) {
	story(t, nil, func(w *world) {
		id := w.placed(userCall("alice"))
		for range 3 {
			w.post(id, "playPrompt", prompts("https://cdn.example/a.wav"), 200)
		}
		res := w.post(id, "cancelMediaProcessing", sample(t, "call-cancelmediaprocessing.1.request"), 200)
		contains(t, "answer", sample(t, "call-cancelmediaprocessing.1.response"), res.body)
		w.pass(time.Minute)
		const victim = "deleted operations failed 400/8508"
		w.wantTold(victim, victim, victim)
		w.post(id, "playPrompt", prompts("https://cdn.example/a.wav"), 200)
		w.pass(w.opts.PromptDuration)
		w.wantTold("deleted operations completed 200/0")
	})
}

func TestPromptsOfACallThatEndsAreNotReported(t *testing.T) {
	story(t, nil, func(w *world) {
		id := w.placed(userCall("alice"))
		w.post(id, "playPrompt", prompts("https://cdn.example/a.wav"), 200)
		w.Hangup(id)
		w.pass(time.Minute)
		w.wantTold("deleted terminated 200/18503")
	})
}

func TestMediaActionsRefuse(t *testing.T) {
	long := strings.Repeat("ü", 257)
	wav := "https://cdn.example/a.wav"
	many := make([]string, 21)
	for i := range many {
		many[i] = wav
	}
	appHosted := with(userCall("a"), "mediaConfig", typed("appHostedMediaConfig", object{"blob": "b"}))
	ring := func(w *world) string { return w.place(userCall("alice")) }
	early := func(w *world) string {
		id := w.place(userCall("alice"))
		w.pass(w.opts.AnswerAfter)
		return id
	}
	up := func(w *world) string { return w.placed(userCall("alice")) }
	tests := []struct {
		name   string
		call   func(w *world) string
		action string
		body   any
		code   string
	}{
		{"a prompt while it rings", ring, "playPrompt", prompts(wav), "8501"},
		{"a prompt before audio is active", early, "playPrompt", prompts(wav), "8503"},
		{"a prompt with app hosted media", func(w *world) string { return w.placed(appHosted) }, "playPrompt", prompts(wav), "8500"},
		{"no prompts", up, "playPrompt", object{}, "8523"},
		{"21 prompts", up, "playPrompt", prompts(many...), "8523"},
		{"a prompt without its type", up, "playPrompt", object{"prompts": []any{object{"mediaInfo": object{"uri": wav}}}}, "BadRequest"},
		{"a prompt without media", up, "playPrompt", object{"prompts": []any{typed("mediaPrompt", nil)}}, "8523"},
		{"a prompt that is no address", up, "playPrompt", prompts("a.wav"), "8523"},
		{"a long clientContext", up, "playPrompt", with(prompts(wav), "clientContext", long), "8523"},
		{"a clientContext that is a number", up, "cancelMediaProcessing", object{"clientContext": 7}, "BadRequest"},
		{"a long clientContext to cancel", up, "cancelMediaProcessing", object{"clientContext": long}, "8523"},
		{"cancel while it rings", ring, "cancelMediaProcessing", nil, "8501"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			story(t, nil, func(w *world) {
				if res := w.post(tt.call(w), tt.action, tt.body, 400); res.code() != tt.code {
					t.Errorf("answered %s; want %s", res.text, tt.code)
				}
			})
		})
	}
	story(t, nil, func(w *world) {
		w.post(up(w), "playPrompt", with(prompts(many[:20]...), "clientContext", strings.Repeat("ü", 256)), 200)
	})
}
