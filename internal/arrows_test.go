// Package internal_test holds the rooms to what ARCHITECTURE.md says of them:
// which may import which, and what words they share.
package internal_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const module = "callbus"

// leaves know no other room: one vocabulary for what we say to each other, one
// for Microsoft, numbers, and a simulated Graph that shares no type with the
// real client it tests.
var leaves = []string{"commands", "graph", "metrics", "graphsim"}

// arrows are the imports between rooms, by room. Rooms are named as in
// ARCHITECTURE.md: "queue" for internal/queue, "cmd/worker" as it is.
type arrows map[string][]string

// listedPackage is what go list tells of a package.
type listedPackage struct {
	ImportPath, Name, Dir string
	GoFiles, CgoFiles     []string
	Imports               []string
}

// packages lists the module's packages, without their tests.
var packages = sync.OnceValues(func() ([]listedPackage, error) {
	if err := readFolders(".."); err != nil {
		return nil, err
	}
	cmd := exec.Command("go", "list", "-e", "-json=ImportPath,Name,Dir,GoFiles,CgoFiles,Imports", "./...")
	cmd.Dir = ".."
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w: %s", err, stderr.String())
	}
	var all []listedPackage
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listedPackage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, fmt.Errorf("go list: %w", err)
		}
		if len(p.GoFiles)+len(p.CgoFiles) > 0 { // otherwise it is only tests
			all = append(all, p)
		}
	}
})

// readFolders looks into every folder. The test cache sees what the test itself
// looks at but not what go list reads; without it a new import would be judged
// by an old run.
func readFolders(root string) error {
	return filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() && (entry.Name() == ".git" || entry.Name() == "bin") {
			return fs.SkipDir
		}
		if errors.Is(err, fs.ErrNotExist) { // an editor's file, gone meanwhile
			return nil
		}
		return err
	})
}

func listPackages(t *testing.T) []listedPackage {
	t.Helper()
	all, err := packages()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) == 0 {
		t.Fatal("go list found no package")
	}
	return all
}

// room names a package as ARCHITECTURE.md does; ok is false outside the module.
func room(importPath string) (name string, ok bool) {
	rest, ok := strings.CutPrefix(importPath, module+"/")
	return strings.TrimPrefix(rest, "internal/"), ok
}

// imported are the arrows that the code has.
func imported(all []listedPackage) arrows {
	code := arrows{}
	for _, p := range all {
		from, ok := room(p.ImportPath)
		if !ok {
			continue
		}
		code[from] = []string{}
		for _, path := range p.Imports {
			if to, ok := room(path); ok {
				code[from] = append(code[from], to)
			}
		}
	}
	return code
}

// parseArrows reads the block that begins with ```arrows. A line is
// "room -> room, room" or, for a leaf, "room -> nothing".
func parseArrows(document string) (arrows, error) {
	_, rest, found := strings.Cut(document, "\n```arrows\n")
	block, _, closed := strings.Cut(rest, "\n```")
	if !found || !closed {
		return nil, errors.New("no block ```arrows … ```")
	}
	allowed := arrows{}
	for line := range strings.Lines(block) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		from, targets, ok := strings.Cut(line, " -> ")
		if !ok {
			return nil, fmt.Errorf("line %q is not \"room -> room, room\"", line)
		}
		if _, twice := allowed[from]; twice {
			return nil, fmt.Errorf("room %s has two lines", from)
		}
		allowed[from] = []string{}
		if targets == "nothing" {
			continue
		}
		for to := range strings.SplitSeq(targets, ",") {
			allowed[from] = append(allowed[from], strings.TrimSpace(to))
		}
	}
	return allowed, nil
}

// compareArrows tells every difference between the document and the code.
func compareArrows(allowed, code arrows) []string {
	var problems []string
	for _, from := range slices.Sorted(maps.Keys(code)) {
		targets, listed := allowed[from]
		if !listed {
			problems = append(problems, fmt.Sprintf("%s has no line in the block", from))
			continue
		}
		for _, to := range code[from] {
			if !slices.Contains(targets, to) {
				problems = append(problems, fmt.Sprintf("%s imports %s, which the block does not allow", from, to))
			}
		}
	}
	for _, from := range slices.Sorted(maps.Keys(allowed)) {
		targets, exists := code[from]
		if !exists {
			problems = append(problems, fmt.Sprintf("%s is in the block and does not exist", from))
			continue
		}
		for _, to := range allowed[from] {
			if !slices.Contains(targets, to) {
				problems = append(problems, fmt.Sprintf("%s -> %s is in the block and not in the code", from, to))
			}
		}
	}
	return problems
}

func TestImportsAreThoseOfTheArchitecture(t *testing.T) {
	document, err := os.ReadFile(filepath.Join("..", "ARCHITECTURE.md"))
	if err != nil {
		t.Fatal(err)
	}
	allowed, err := parseArrows(string(document))
	if err != nil {
		t.Fatalf("ARCHITECTURE.md: %v", err)
	}
	for _, problem := range compareArrows(allowed, imported(listPackages(t))) {
		t.Errorf("ARCHITECTURE.md: %s", problem)
	}
}

func TestLeavesImportNoOtherRoom(t *testing.T) {
	code := imported(listPackages(t))
	for _, leaf := range leaves {
		if targets, exists := code[leaf]; !exists {
			t.Errorf("%s does not exist", leaf)
		} else if len(targets) > 0 {
			t.Errorf("%s imports %v; want nothing", leaf, targets)
		}
	}
}

func TestNothingImportsACommand(t *testing.T) {
	for from, targets := range imported(listPackages(t)) {
		for _, to := range targets {
			if strings.HasPrefix(to, "cmd/") || (to == "app" && !strings.HasPrefix(from, "cmd/")) {
				t.Errorf("%s imports %s; want arrows from cmd to app to the rest", from, to)
			}
		}
	}
}

func TestParseArrows(t *testing.T) {
	tests := []struct {
		name, document string
		want           arrows
		wantErr        string
	}{
		{"rooms with and without arrows", "# A\n```arrows\napp -> queue, graph\ngraph -> nothing\n```\nmore",
			arrows{"app": {"queue", "graph"}, "graph": {}}, ""},
		{"another block is not it", "\n```go\na -> b\n```\n", nil, "no block ```arrows … ```"},
		{"a block that never ends", "\n```arrows\na -> b\n", nil, "no block ```arrows … ```"},
		{"a line without an arrow", "\n```arrows\napp queue\n```\n", nil, `line "app queue" is not "room -> room, room"`},
		{"a room said twice", "\n```arrows\na -> b\na -> c\n```\n", nil, "room a has two lines"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseArrows(tt.document)
			if (err == nil) != (tt.wantErr == "") || (err != nil && err.Error() != tt.wantErr) {
				t.Errorf("error = %v; want %q", err, tt.wantErr)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("arrows (-want +got):\n%s", diff)
			}
		})
	}
}

func TestCompareArrows(t *testing.T) {
	tests := []struct {
		name          string
		allowed, code arrows
		want          []string
	}{
		{"the same", arrows{"a": {"b"}, "b": {}}, arrows{"a": {"b"}, "b": {}}, nil},
		{"an arrow nobody allowed", arrows{"a": {}, "b": {}}, arrows{"a": {"b"}, "b": {}},
			[]string{"a imports b, which the block does not allow"}},
		{"an arrow nobody needs", arrows{"a": {"b"}, "b": {}}, arrows{"a": {}, "b": {}},
			[]string{"a -> b is in the block and not in the code"}},
		{"a room nobody wrote down", arrows{"a": {}}, arrows{"a": {}, "b": {}}, []string{"b has no line in the block"}},
		{"a room nobody built", arrows{"a": {}, "b": {}}, arrows{"a": {}}, []string{"b is in the block and does not exist"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, compareArrows(tt.allowed, tt.code)); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}
