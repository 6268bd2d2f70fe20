package commands

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// shape is a type of Graph's schema (v1.0 CSDL and reference pages) as far as
// a request may carry it, or the envelope of a command.
type shape struct {
	// name is the "@odata.type"; empty for the parameters of an action and for
	// the envelope, which carry none.
	name string
	// derived are annotations that are as good as name.
	derived []string
	// mark is the member that gives this shape away among the alternatives of
	// a field; empty: it is the one taken when nothing else fits.
	mark string
	// open types let members through that the shape does not list.
	open bool
	// dynamic is the shape of objects among those members, nil for any.
	dynamic *shape
	// noNull refuses null for members that could be left out.
	noNull bool
	fields map[string]field
}

type kind int

const (
	anything kind = iota
	text
	flag
	whole
	object
	objects
	texts
	readOnly // Graph's to tell, an error in a request
	workers  // the worker's to set, an error in a command
)

// field is a member of a shape.
type field struct {
	kind   kind
	needed bool
	shapes []*shape // object, objects: the alternatives
	enum   []string // text, texts
	// min and max bound the characters of a text, the value of a whole number
	// and the entries of a list; a max of 0 is none.
	min, max int
	// check is asked about a text; it returns what is wrong with it, or the
	// empty string. It must not repeat what may be private.
	check func(string) string
	want  string // what is allowed, where the rest of the field does not say it
}

// names lists what a shape knows, for messages.
func (s *shape) names() string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(s.fields)) {
		if k := s.fields[name].kind; k != readOnly && k != workers {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// allowed describes a field for messages.
func (f field) allowed() string {
	if f.want != "" {
		return f.want
	}
	switch f.kind {
	case text:
		switch {
		case f.enum != nil:
			return "one of " + strings.Join(f.enum, ", ")
		case f.max > 0:
			return fmt.Sprintf("a text of %d to %d characters", f.min, f.max)
		case f.min > 0:
			return "a text that is not empty"
		}
		return "a text"
	case flag:
		return "true or false"
	case whole:
		return fmt.Sprintf("a whole number from %d to %d", f.min, f.max)
	case object:
		if names := f.memberNames(); names != "none" {
			return "an object with " + names
		}
		return "nothing, or an empty object"
	case objects:
		return f.entries("objects with " + f.memberNames())
	case texts:
		if f.enum != nil {
			return f.entries("texts out of " + strings.Join(f.enum, ", "))
		}
		return f.entries("texts")
	}
	return "any value"
}

func (f field) entries(of string) string {
	switch {
	case f.max > 0:
		return fmt.Sprintf("a list of %d to %d %s", f.min, f.max, of)
	case f.min > 0:
		return fmt.Sprintf("a list of at least %d %s", f.min, of)
	}
	return "a list of " + of
}

func (f field) memberNames() string {
	var names []string
	for _, s := range f.shapes {
		names = append(names, s.names())
	}
	return strings.Join(names, ", or ")
}
