package commands

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

const annotation = "@odata.type"

// shaped holds an object to one of the shapes, fills in its "@odata.type",
// and returns the shape; nil when it cannot tell which.
func (p *problems) shaped(path string, shapes []*shape, object map[string]any) *shape {
	s := p.pick(path, shapes, object)
	if s == nil {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(object)) {
		if object[name] != (any)(twice{}) {
			p.member(path, s, name, object[name])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.fields)) {
		if _, ok := object[name]; !ok && s.fields[name].needed {
			p.add(join(path, name), "is missing", s.fields[name].allowed())
		}
	}
	if s.name != "" && object[annotation] == nil {
		object[annotation] = s.name
	}
	return s
}

// pick finds the shape of an object by its annotation, else by its members.
func (p *problems) pick(path string, shapes []*shape, object map[string]any) *shape {
	if given, ok := object[annotation].(string); ok && shapes[0].name != "" {
		var allowed []string
		for _, s := range shapes {
			if given == s.name || slices.Contains(s.derived, given) {
				return s
			}
			allowed = append(append(allowed, s.name), s.derived...)
		}
		p.add(join(path, annotation), "is "+show(given), oneOf(allowed))
		return nil
	}
	var marks []string
	var otherwise *shape
	for _, s := range shapes {
		switch _, has := object[s.mark]; {
		case s.mark == "":
			otherwise = s
		case has:
			return s
		default:
			marks = append(marks, s.mark)
		}
	}
	if otherwise == nil {
		p.add(path, "does not tell which kind it is", "one of the members "+strings.Join(marks, ", ")+", or "+annotation)
	}
	return otherwise
}

// member checks one member of an object.
func (p *problems) member(path string, s *shape, name string, value any) {
	at := join(path, name)
	if f, ok := s.fields[name]; ok {
		p.field(at, f, s.noNull, value)
		return
	}
	if of, isAnnotation := strings.CutSuffix(name, annotation); isAnnotation {
		_, known := s.fields[of]
		if known || of == "" && s.name != "" {
			if _, ok := value.(string); !ok {
				p.add(at, "is "+article(value), "a text")
			}
			return
		}
	}
	// Graph may well read "Phone" as "phone"; what our checks do not see must
	// not pass them in another spelling.
	for _, known := range slices.Sorted(maps.Keys(s.fields)) {
		if strings.EqualFold(known, name) {
			p.add(at, "is not spelled right", known)
			return
		}
	}
	switch object, isObject := value.(map[string]any); {
	case !s.open && s.names() == "none":
		p.add(at, "is unknown", "no members")
	case !s.open:
		p.add(at, "is unknown", "one of "+s.names())
	case isObject && s.dynamic != nil:
		p.shaped(at, []*shape{s.dynamic}, object)
	}
}

// field checks the value of a member that the shape lists.
func (p *problems) field(at string, f field, noNull bool, value any) {
	switch {
	case f.kind == readOnly:
		p.add(at, "is set by Microsoft Graph", "it left out")
		return
	case f.kind == workers:
		p.add(at, "is set by the worker", "it left out")
		return
	case f.kind == anything:
		return
	case value == nil:
		if f.needed || noNull {
			p.add(at, "is null", f.allowed())
		}
		return
	}
	if !p.typed(at, f, value) {
		p.add(at, "is "+article(value), f.allowed())
	}
}

// typed checks a value against the field's kind and bounds. It returns false
// when the value is of another type.
func (p *problems) typed(at string, f field, value any) bool {
	switch f.kind {
	case text:
		s, ok := value.(string)
		if ok {
			p.text(at, f, s)
		}
		return ok
	case flag:
		_, ok := value.(bool)
		return ok
	case whole:
		number, ok := value.(json.Number)
		if ok {
			if n, err := strconv.Atoi(number.String()); err != nil || n < f.min || n > f.max {
				p.add(at, "is "+showNumber(number), f.allowed())
			}
		}
		return ok
	case object:
		members, ok := value.(map[string]any)
		if ok {
			p.shaped(at, f.shapes, members)
		}
		return ok
	}
	list, ok := value.([]any)
	if !ok {
		return false
	}
	if len(list) < f.min || f.max > 0 && len(list) > f.max {
		p.add(at, fmt.Sprintf("has %d entries", len(list)), f.allowed())
		return true
	}
	entry := field{kind: object, needed: true, shapes: f.shapes}
	if f.kind == texts {
		entry = field{kind: text, needed: true, enum: f.enum}
	}
	for i, v := range list {
		p.field(fmt.Sprintf("%s[%d]", at, i), entry, true, v)
	}
	return true
}

func (p *problems) text(at string, f field, s string) {
	switch n := utf8.RuneCountInString(s); {
	case f.enum != nil:
		if !slices.Contains(f.enum, s) {
			p.add(at, "is "+show(s), f.allowed())
		}
	case n == 0 && f.min > 0:
		p.add(at, "is empty", f.allowed())
	case n < f.min || f.max > 0 && n > f.max:
		p.add(at, fmt.Sprintf("has %d characters", n), f.allowed())
	case f.check != nil:
		if problem := f.check(s); problem != "" {
			p.add(at, problem, f.allowed())
		}
	}
}

// showNumber repeats a number unless it is long enough to be a phone number.
func showNumber(n json.Number) string {
	if len(n) > 6 {
		return "out of range"
	}
	return n.String()
}

func oneOf(list []string) string {
	if len(list) == 1 {
		return list[0]
	}
	return "one of " + strings.Join(list, ", ")
}
