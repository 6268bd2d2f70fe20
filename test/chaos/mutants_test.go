package main

import "testing"

// Each mutant still finds the text that it replaces, exactly once: a change of the
// worker must not leave one behind that breaks nothing.
func TestEveryMutantFindsWhatItReplaces(t *testing.T) {
	t.Chdir("../..")
	for _, m := range mutants {
		if _, err := m.replacements(); err != nil {
			t.Errorf("%s: %v", m.name, err)
		}
	}
}
