package producer

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"callbus/internal/commands"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func collect(r io.Reader, opts ParseOptions) (lines []Line, errs []string) {
	for line, err := range ParseLines(r, opts) {
		if err != nil {
			errs = append(errs, err.Error())
			continue
		}
		lines = append(lines, line)
	}
	return lines, errs
}

func TestLineIsACommandAndWhatIsDoneWithIt(t *testing.T) {
	text := `{"callRef":"a","action":"playPrompt","producer":"crm","id":"p-1","delay":"1.5s","expect":{"status":"failed","error":{"code":"486","class":"callee","reason":"busy"}},"parameters": {"prompts": [ 1.50 ]},"zzz":1}`
	lines, errs := collect(strings.NewReader("\ufeff"+text+"\r\n\n  \n"+`{"callRef":"b","action":"hangup","delay":2,"expect":"expired"}`), ParseOptions{})
	if errs != nil {
		t.Fatal(errs)
	}
	want := []Line{
		{Number: 1, Producer: "crm", CallRef: "a", Action: commands.PlayPrompt, ID: "p-1", Delay: 1500 * time.Millisecond,
			Expect: &Expect{Status: commands.Failed, Code: "486", Class: commands.ClassCallee, Reason: "busy"}},
		{Number: 4, CallRef: "b", Action: commands.Hangup, Delay: 2 * time.Second, Expect: &Expect{Status: commands.Expired}},
	}
	if diff := cmp.Diff(want, lines, cmpopts.IgnoreUnexported(Line{})); diff != "" {
		t.Errorf("ParseLines() (-want +got):\n%s", diff)
	}
	if got := string(lines[0].Body()); got != `{"id":"p-1","parameters":{"prompts":[1.50]},"zzz":1}` {
		t.Errorf("Body() = %s; want the other members as they were written", got)
	}
	if got := lines[0].Key("cli"); got != key("crm", "a", "p-1") {
		t.Errorf("Key() = %v; want the line's own producer", got)
	}
	if got := lines[1].Key("cli"); got != key("cli", "b", "") {
		t.Errorf("Key() = %v; want the given producer", got)
	}
}

func TestBadLineSaysNumberMemberProblemAndWhatIsAllowed(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"not JSON", `{"callRef":`, "line 2: not JSON: it ends too early: want one JSON object a line"},
		{"not an object", `["a"]`, "line 2: not a JSON object: want one JSON object a line"},
		{"two objects", `{"callRef":"a","action":"hangup"} {}`, "line 2: more than one JSON object: want one JSON object a line"},
		{"a member twice", `{"callRef":"a","callRef":"b"}`, `line 2: member "callRef" comes twice: want one JSON object a line`},
		{"no callRef", `{"action":"hangup"}`, "line 2: callRef: missing: want the name of the call"},
		{"a callRef that is no string", `{"callRef":7}`, "line 2: callRef: not a string: want a string"},
		{"a callRef with a dot", `{"callRef":"a.b"}`, `line 2: callRef: has other characters: want 1 to 128 of A-Z a-z 0-9 _ -, not beginning with "_"`},
		{"a reserved producer", `{"callRef":"a","producer":"_x"}`, `line 2: producer: begins with "_", which is reserved: want 1 to 64 of A-Z a-z 0-9 _ -, not beginning with "_"`},
		{"no action", `{"callRef":"a"}`, "line 2: action: missing: want one of place, hangup,"},
		{"an unknown action", `{"callRef":"a","action":"hangUp"}`, `line 2: action: unknown: "hangUp": want one of place, hangup,`},
		{"a negative delay", `{"callRef":"a","action":"hangup","delay":-1}`, "line 2: delay: cannot be used: -1: want a duration"},
		{"a delay of null", `{"callRef":"a","action":"hangup","delay":null}`, "line 2: delay: cannot be used: null"},
		{"a delay beyond a day", `{"callRef":"a","action":"hangup","delay":"24h1s"}`, "line 2: delay: cannot be used"},
		{"a delay beyond counting", `{"callRef":"a","action":"hangup","delay":1e300}`, "line 2: delay: cannot be used"},
		{"a status that is not final", `{"callRef":"a","action":"hangup","expect":"accepted"}`, `line 2: expect: "accepted" is no final status: want one of succeeded, failed,`},
		{"an unknown class", `{"callRef":"a","action":"hangup","expect":{"error":{"class":"bad"}}}`, `line 2: expect.error.class: "bad" is no class: want one of invalid,`},
		{"an unknown member of expect", `{"callRef":"a","action":"hangup","expect":{"result":"x"}}`, "line 2: expect.result: unknown: want status, error.code, error.class, error.reason"},
		{"an unknown member of expect's error", `{"callRef":"a","action":"hangup","expect":{"error":{"status":"failed"}}}`, "line 2: expect.error.status: unknown: want code, class or reason"},
		{"a code that is a number", `{"callRef":"a","action":"hangup","expect":{"error.code":486}}`, "line 2: expect.error.code: not a string: 486: want a string"},
		{"an expect that is neither", `{"callRef":"a","action":"hangup","expect":7}`, "line 2: expect: neither a string nor an object: want a status"},
		{"incoming outside of the demo", `{"callRef":"a","action":"redirect","incoming":{}}`, "line 2: incoming: only the demo can make a call come in"},
		{"a placeholder outside of the demo", `{"callRef":"a","action":"transfer","parameters":{"x":["$callId:b"]}}`, `line 2: placeholder "$callId:b" is only for the demo`},
		{"a line without end", `{"callRef":"` + strings.Repeat("a", MaxLine) + `"}`, "line 2: too long: want at most 131072 bytes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			good := `{"callRef":"x","action":"hangup"}`
			lines, errs := collect(strings.NewReader(good+"\n"+tt.text+"\n"+good+"\n"), ParseOptions{})
			if len(errs) != 1 || !strings.HasPrefix(errs[0], tt.want) {
				t.Errorf("ParseLines() = %v; want %s", errs, tt.want)
			}
			if len(lines) != 2 || lines[1].Number != 3 {
				t.Errorf("ParseLines() = %d good lines; want the 2 around the bad one", len(lines))
			}
		})
	}
}

func TestReadersErrorEndsTheReading(t *testing.T) {
	broken := errors.New("disk on fire")
	in := io.MultiReader(strings.NewReader(`{"callRef":"x","action":"hangup"}`+"\n"), iotest.ErrReader(broken))
	var last error
	n := 0
	for _, err := range ParseLines(in, ParseOptions{}) {
		last = err
		n++
	}
	if n != 2 || !errors.Is(last, broken) {
		t.Errorf("ParseLines() yields %d times, last %v; want the line and then the reader's error", n, last)
	}
	if _, isLine := errors.AsType[*LineError](last); isLine {
		t.Error("ParseLines() yields the reader's error as a LineError; want it told apart")
	}
}

func TestReadingStopsWhenNobodyWantsMore(t *testing.T) {
	text := strings.Repeat(`{"callRef":"x","action":"hangup"}`+"\n", 3) + "bad\n" + strings.Repeat("x", MaxLine+1)
	for stop := 1; stop <= 5; stop++ {
		n := 0
		for range ParseLines(strings.NewReader(text), ParseOptions{}) {
			if n++; n == stop {
				break
			}
		}
		if n != stop {
			t.Errorf("ParseLines() yields %d times; want %d", n, stop)
		}
	}
}

func TestEverySpellingOfExpect(t *testing.T) {
	want := &Expect{Status: commands.Failed, Code: "486", Class: commands.ClassCallee, Reason: "busy"}
	for _, text := range []string{
		`{"status":"failed","error":{"code":"486","class":"callee","reason":"busy"}}`,
		`{"status":"failed","error.code":"486","error.class":"callee","error.reason":"busy"}`,
		`{"status":"failed","code":"486","class":"callee","reason":"busy"}`,
	} {
		line, err := ParseLine(1, []byte(`{"callRef":"a","action":"place","expect":`+text+`}`), ParseOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, line.Expect); diff != "" {
			t.Errorf("expect %s (-want +got):\n%s", text, diff)
		}
	}
}

func TestExpectSaysWhatDiffers(t *testing.T) {
	busy := commands.Result{Status: commands.Failed, Error: &commands.Error{Class: commands.ClassCallee, Code: "486", Reason: "busy"}}
	tests := []struct {
		name   string
		expect *Expect
		result commands.Result
		want   string
	}{
		{"nothing expected means success", nil, commands.Result{Status: commands.Succeeded}, ""},
		{"nothing expected, but it failed", nil, busy, "status is failed, expected succeeded"},
		{"the status alone", &Expect{Status: commands.Failed}, busy, ""},
		{"all of it", &Expect{Status: commands.Failed, Code: "486", Class: commands.ClassCallee, Reason: "busy"}, busy, ""},
		{"another code and class", &Expect{Status: commands.Failed, Code: "603", Class: commands.ClassGone}, busy, "error.code is 486, expected 603; error.class is callee, expected gone"},
		{"no error at all", &Expect{Code: "486"}, commands.Result{Status: commands.Succeeded}, "error.code is absent, expected 486"},
		{"the result's own reason", &Expect{Status: commands.Succeeded, Reason: "neverPlaced"}, commands.Result{Status: commands.Succeeded, Reason: "neverPlaced"}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := ""
			if err := tt.expect.Met(tt.result); err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("Met() = %q; want %q", got, tt.want)
			}
		})
	}
}

func TestPlaceholdersAreResolvedAndNothingElse(t *testing.T) {
	text := `{"callRef":"a","action":"transfer","id":"t1","callId":"$callId:a","metadata":{"m":"$callId:no"},` +
		`"parameters":{"$callId:name":"x","deep":[{"v":"$callId:b"},"$contentSharingSession:b","$callId:b"," $callId:b","\"$callId:b"],"n":1.50,"u":"\u00e4\\"}}`
	line, err := ParseLine(7, []byte(text), ParseOptions{Demo: true})
	if err != nil {
		t.Fatal(err)
	}
	want := []Placeholder{{PlaceholderCallID, "a"}, {PlaceholderCallID, "b"}, {PlaceholderContentSharing, "b"}}
	if diff := cmp.Diff(want, line.Placeholders()); diff != "" {
		t.Errorf("Placeholders() (-want +got):\n%s", diff)
	}
	resolved, err := line.Resolve(func(p Placeholder) (string, error) { return p.Kind[:2] + `"` + p.CallRef, nil })
	if err != nil {
		t.Fatal(err)
	}
	wantBody := `{"id":"t1","callId":"ca\"a","metadata":{"m":"$callId:no"},` +
		`"parameters":{"$callId:name":"x","deep":[{"v":"ca\"b"},"co\"b","ca\"b"," $callId:b","\"$callId:b"],"n":1.50,"u":"\u00e4\\"}}`
	if diff := cmp.Diff(wantBody, string(resolved.Body())); diff != "" {
		t.Errorf("Resolve() (-want +got):\n%s", diff)
	}
	if !strings.Contains(string(line.Body()), "$callId:b") {
		t.Error("Resolve() changed the line it was called on")
	}
	unknown := errors.New("no such call yet")
	if _, err := line.Resolve(func(Placeholder) (string, error) { return "", unknown }); !errors.Is(err, unknown) || !strings.HasPrefix(err.Error(), "line 7: callId: ") {
		t.Errorf("Resolve() = %v; want line, member and the error", err)
	}
	if _, err := ParseLine(1, []byte(`{"callRef":"a","action":"transfer","parameters":{"x":"$callId:"}}`), ParseOptions{Demo: true}); err == nil || !strings.Contains(err.Error(), "names no call: want $callId:<callRef>") {
		t.Errorf("ParseLine() = %v; want that the placeholder names no call", err)
	}
}

func TestIncomingIsTheDemos(t *testing.T) {
	line, err := ParseLine(1, []byte(`{"callRef":"a","action":"redirect","id":"r1","incoming":{"source": {"id": 1}},"parameters":{"targets":[{"identity":{"user":{"id":"u1"}}}]}}`), ParseOptions{Demo: true})
	if err != nil {
		t.Fatal(err)
	}
	if string(line.Incoming) != `{"source":{"id":1}}` {
		t.Errorf("Incoming = %s; want the object", line.Incoming)
	}
	if err := line.Check("demo", commands.DecodeOptions{}); err != nil {
		t.Errorf("Check() = %v; want nil", err)
	}
	if got := string(line.WithCallID("57DA").Body()); !strings.HasSuffix(got, `,"callId":"57DA"}`) {
		t.Errorf("WithCallID() = %s; want the call id in it", got)
	}
	if _, err := ParseLine(1, []byte(`{"callRef":"a","action":"redirect","incoming":"yes"}`), ParseOptions{Demo: true}); err == nil || !strings.Contains(err.Error(), "line 1: incoming: not an object") {
		t.Errorf("ParseLine() = %v; want that incoming is not an object", err)
	}
}

func TestCheckReadsTheCommandAsTheWorkerDoes(t *testing.T) {
	for text, want := range map[string]string{
		`{"callRef":"a","action":"mute","id":"m1"}`:                    "",
		`{"callRef":"a","action":"mute"}`:                              "line 3: id",
		`{"callRef":"a","action":"mute","id":"m1","unknown":1}`:        "line 3: unknown",
		`{"callRef":"a","action":"transfer","id":"t","parameters":{}}`: "line 3: parameters.transferTarget",
		`{"callRef":"a","action":"getContentSharingSession","id":"g","parameters":{"contentSharingSessionId":"$contentSharingSession:a"}}`: "",
	} {
		line, err := ParseLine(3, []byte(text), ParseOptions{Demo: true})
		if err != nil {
			t.Fatal(err)
		}
		err = line.Check("cli", commands.DecodeOptions{})
		if got := fmt.Sprint(err); want == "" && err != nil || !strings.HasPrefix(got, want) && want != "" {
			t.Errorf("Check(%s) = %v; want %q", text, err, want)
		}
	}
}

func TestIDsOfASecondRunAreThoseOfTheFirst(t *testing.T) {
	file := []string{
		`{"callRef":"a","action":"mute"}`,
		`{"callRef":"a","action":"mute"}`,
		`{"callRef":"a","action":"unmute"}`,
		`{"callRef":"b","action":"mute"}`,
		`{"callRef":"b","producer":"crm","action":"mute"}`,
		`{"callRef":"b","action":"mute","metadata":{"x":"y"}}`,
		`{"callRef":"b","action":"mute","id":"own"}`,
		`{"callRef":"b","action":"mute","id":"not usable"}`,
	}
	run := func(lines []string) (got []string) {
		var ids LineIDs
		for i, text := range lines {
			line, err := ParseLine(i+1, []byte(text), ParseOptions{})
			if err != nil {
				t.Fatal(err)
			}
			line, err = ids.Give(line, "cli")
			if err != nil {
				t.Fatal(err)
			}
			if id := BodyID(line.Body()); id != line.ID {
				t.Errorf("line %d has the id %q and a body with %q; want the same", i+1, line.ID, id)
			}
			got = append(got, line.ID)
		}
		return got
	}
	first := run(file)
	if diff := cmp.Diff(first, run(file)); diff != "" {
		t.Errorf("ids of the second run differ:\n%s", diff)
	}
	if unique := slices.Compact(slices.Sorted(slices.Values(first))); len(unique) != len(file) {
		t.Errorf("ids = %v; want all of them different", first)
	}
	if first[6] != "own" || first[7] != "" {
		t.Errorf("ids = %v; want those the lines say left alone", first)
	}
	if diff := cmp.Diff(first, run(append([]string{`{"callRef":"new","action":"mute"}`}, file...))[1:]); diff != "" {
		t.Errorf("a line before them changes ids:\n%s", diff)
	}
}

func TestOneIDForTwoCommandsIsAMistake(t *testing.T) {
	var ids LineIDs
	for i, tt := range []struct{ text, want string }{
		{`{"callRef":"a","action":"mute","id":"x"}`, ""},
		{`{"callRef":"b","action":"mute","id":"x"}`, ""},                   // another call
		{`{"callRef":"a","action":"mute","id":"x","expect":"failed"}`, ""}, // the same command
		{`{"callRef":"a","action":"unmute","id":"x"}`, "line 4: id: line 3 says the same id for another command of this call: want another id"},
	} {
		line, err := ParseLine(i+1, []byte(tt.text), ParseOptions{})
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if _, err := ids.Give(line, "cli"); err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("Give(%s) = %q; want %q", tt.text, got, tt.want)
		}
	}
}

func FuzzParseLine(f *testing.F) {
	f.Add(`{"callRef":"a","action":"place","id":"1","expect":{"error.code":"486"},"delay":1.5,"parameters":{"x":"$callId:b"}}`)
	f.Add(`{"callRef":"a","action":"redirect","incoming":{"a":[1,"\"",{}]}}`)
	f.Add("{\"callRef\":\"\xff\"}")
	f.Fuzz(func(t *testing.T, text string) {
		line, err := ParseLine(1, []byte(text), ParseOptions{Demo: true})
		if err != nil {
			if strings.Contains(err.Error(), "\n") && !strings.Contains(text, "\n") {
				t.Errorf("ParseLine() = %q; want one line", err)
			}
			return
		}
		body := line.Body()
		again, err := readObject(body)
		if err != nil || string(again.bytes()) != string(body) {
			t.Errorf("Body() = %s, which reads as %s, %v; want itself", body, again.bytes(), err)
		}
		same, err := line.Resolve(func(p Placeholder) (string, error) { return p.String(), nil })
		if err != nil || len(same.Placeholders()) != len(line.Placeholders()) {
			t.Errorf("Resolve() to themselves = %s, %v; want the same placeholders", same.Body(), err)
		}
	})
}
