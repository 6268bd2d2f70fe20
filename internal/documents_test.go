package internal_test

import (
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestEveryPackageHasOneComment(t *testing.T) {
	for _, p := range listPackages(t) {
		var with []string
		for _, name := range slices.Concat(p.GoFiles, p.CgoFiles) {
			file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, name), nil, parser.PackageClauseOnly|parser.ParseComments)
			if err != nil {
				t.Errorf("%s: %v", p.ImportPath, err)
				continue
			}
			if file.Doc == nil || strings.TrimSpace(file.Doc.Text()) == "" {
				continue
			}
			with = append(with, name)
			if start := "Package " + p.Name + " "; p.Name != "main" && !strings.HasPrefix(file.Doc.Text(), start) {
				t.Errorf("%s: the comment in %s does not begin %q", p.ImportPath, name, start)
			}
		}
		if len(with) != 1 {
			t.Errorf("%s: package comments in %v; want one", p.ImportPath, with)
		}
	}
}

var (
	fenced     = regexp.MustCompile("(?ms)^ *```.*?^ *```")
	codeSpan   = regexp.MustCompile("`([^`\n]+)`")
	linkTarget = regexp.MustCompile(`\]\(([^)\s#]+)`)
	pathStart  = regexp.MustCompile(`^(cmd|internal|deploy|api|docs)/`)
)

// namedPaths are the paths of the repository that a document names in code
// spans, and the relative targets of its links.
func namedPaths(markdown string) []string {
	prose := fenced.ReplaceAllString(markdown, "")
	var paths []string
	for _, match := range codeSpan.FindAllStringSubmatch(prose, -1) {
		if path := match[1]; pathStart.MatchString(path) && !strings.ContainsAny(path, " <>{}=") {
			paths = append(paths, strings.TrimSuffix(path, "/..."))
		}
	}
	for _, match := range linkTarget.FindAllStringSubmatch(prose, -1) {
		if !strings.Contains(match[1], ":") {
			paths = append(paths, match[1])
		}
	}
	return paths
}

func TestPathsNamedInDocumentsExist(t *testing.T) {
	root := ".."
	documents, err := filepath.Glob(filepath.Join(root, "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(documents, filepath.Join(root, "ARCHITECTURE.md")) {
		t.Fatalf("documents %v lack ARCHITECTURE.md", documents)
	}
	for _, document := range documents {
		text, err := os.ReadFile(document)
		if err != nil {
			t.Error(err)
			continue
		}
		for _, path := range namedPaths(string(text)) {
			if found, err := filepath.Glob(filepath.Join(root, path)); err != nil || len(found) == 0 {
				t.Errorf("%s names %s, which does not exist", filepath.Base(document), path)
			}
		}
	}
}

func TestNamedPaths(t *testing.T) {
	const document = "See `internal/queue` and `cmd/worker/flags.go`, `deploy/helm/*`, `go test ./...`, `api/...`.\n" +
		"Not `internal/<room>`, `calls/x` or `docs/a b`. [why](docs/why.md#because), [Go](https://example.org/internal/x)\n" +
		"```sh\nls `internal/fenced`\n```\n`docs/after.md`\n"
	want := []string{"internal/queue", "cmd/worker/flags.go", "deploy/helm/*", "api", "docs/after.md", "docs/why.md"}
	if diff := cmp.Diff(want, namedPaths(document)); diff != "" {
		t.Errorf("paths (-want +got):\n%s", diff)
	}
}
