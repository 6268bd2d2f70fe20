package commands

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

func readAsyncAPI(t *testing.T) map[string]any {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(apiDir, "asyncapi.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var doc map[string]any
	if err := yaml.Unmarshal(b, &doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

// at follows a JSON pointer like "/channels/results".
func at(doc any, pointer string) (any, bool) {
	for part := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		object, ok := doc.(map[string]any)
		if !ok {
			return nil, false
		}
		if doc, ok = object[part]; !ok {
			return nil, false
		}
	}
	return doc, true
}

// refs calls f for every $ref in doc.
func refs(doc any, f func(string)) {
	switch v := doc.(type) {
	case map[string]any:
		if to, ok := v["$ref"].(string); ok {
			f(to)
		}
		for _, inner := range v {
			refs(inner, f)
		}
	case []any:
		for _, inner := range v {
			refs(inner, f)
		}
	}
}

func TestAsyncAPIReferencesResolve(t *testing.T) {
	doc := readAsyncAPI(t)
	if doc["asyncapi"] != "3.0.0" {
		t.Errorf("asyncapi is %v; want 3.0.0", doc["asyncapi"])
	}
	n := 0
	refs(doc, func(to string) {
		n++
		file, pointer, _ := strings.Cut(to, "#")
		target := any(doc)
		if file != "" {
			target = readSchema(t, file)
		}
		if pointer == "" {
			return
		}
		if _, ok := at(target, pointer); !ok {
			t.Errorf("%s leads nowhere", to)
		}
	})
	if n < 60 {
		t.Errorf("%d references; want those of 17 channels", n)
	}
}

func TestAsyncAPIChannelsAreTheSubjects(t *testing.T) {
	p, call := Prefix("{prefix}"), CallKey{"{producer}", "{callRef}"}
	key := Key{call.Producer, call.CallRef, "{commandId}"}
	want := []string{p.Result(key), p.Dead(key), p.Event(call, "{kind}"), p.Replies("{producer}") + "{reply}"}
	for _, a := range Actions {
		want = append(want, p.Command(call, a))
	}
	doc := readAsyncAPI(t)
	var got []string
	for name, channel := range doc["channels"].(map[string]any) {
		address := channel.(map[string]any)["address"].(string)
		got = append(got, address)
		// Each parameter of the address is described, and none other.
		parameters, _ := channel.(map[string]any)["parameters"].(map[string]any)
		if len(parameters) != strings.Count(address, "{") {
			t.Errorf("channel %s has %d parameters for %s", name, len(parameters), address)
		}
		for parameter := range parameters {
			if !strings.Contains(address, "{"+parameter+"}") {
				t.Errorf("channel %s describes %s, which is not in %s", name, parameter, address)
			}
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("channels differ (-Go +asyncapi):\n%s", diff)
	}
	if n := len(doc["operations"].(map[string]any)); n != len(got) {
		t.Errorf("%d operations; want one for each of %d channels", n, len(got))
	}
}

func TestAsyncAPIWordsAreOurs(t *testing.T) {
	doc := readAsyncAPI(t)
	kinds, _ := at(doc, "/components/parameters/kind/enum")
	if diff := cmp.Diff(anyList(repeat(len(Kinds), func(i int) string { return string(Kinds[i]) })), kinds); diff != "" {
		t.Errorf("kinds differ (-Go +asyncapi):\n%s", diff)
	}
	for _, header := range []string{HeaderReplayOf, HeaderTraceParent} {
		if _, ok := at(doc, "/components/schemas/commandHeaders/properties/"+header); !ok {
			t.Errorf("the header %s of commands is not described", header)
		}
	}
	for name, headers := range map[string]map[string]string{
		"result": Result{}.CloudEvent(DefaultPrefix), "event": Event{}.CloudEvent(DefaultPrefix), "dead": DeadLetter{}.CloudEvent(DefaultPrefix),
	} {
		for _, header := range []string{"ce-type", "ce-dataschema", "ce-specversion"} {
			if got, _ := at(doc, "/components/schemas/"+name+"Headers/properties/"+header+"/const"); got != headers[header] {
				t.Errorf("%s of %s is %v; want %s", header, name, got, headers[header])
			}
		}
		if comment, _ := readSchema(t, name+".schema.json")["$comment"].(string); comment != "ce-dataschema "+headers["ce-dataschema"] {
			t.Errorf("%s.schema.json is for %q; want %s", name, comment, headers["ce-dataschema"])
		}
	}
}
