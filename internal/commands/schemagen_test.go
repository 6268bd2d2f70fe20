package commands

import (
	"encoding/json"
	"reflect"
	"strings"
	"time"
)

// What the schemas of api/ must say, derived from the Go types. Descriptions,
// patterns and conditions are theirs alone; see stripped.

// defName is the name of a shape among the schema's $defs.
func defName(s *shape, member string) string {
	short := strings.TrimPrefix(s.name, graphPrefix)
	if short == "identity" && len(s.derived) > 0 {
		return member + "Identity"
	}
	return short
}

// parameterDef is the name of an action's parameters among the $defs.
func parameterDef(a Action) string {
	switch parameterShapes[a] {
	case noParameters:
		return "noParameters"
	case operationShape:
		return "operationParameters"
	}
	return string(a) + "Parameters"
}

// commandSchemas is every definition of command.schema.json but the actions'.
func commandSchemas() map[string]any {
	defs := map[string]any{}
	shapeSchemas(defs, "envelope", envelopeShape)
	for _, a := range Actions {
		shapeSchemas(defs, parameterDef(a), parameterShapes[a])
	}
	return defs
}

// shapeSchemas adds the schemas of a shape and of all it refers to.
func shapeSchemas(defs map[string]any, name string, s *shape) {
	if _, done := defs[name]; done {
		return
	}
	schema := map[string]any{"type": "object"}
	defs[name] = schema
	properties := map[string]any{}
	if s.name != "" {
		types := []any{s.name}
		for _, derived := range s.derived {
			types = append(types, derived)
		}
		properties[annotation] = map[string]any{"enum": types}
	}
	var required []any
	for _, member := range fieldNames(s.fields) {
		f := s.fields[member]
		properties[member] = fieldSchema(defs, member, f, s.noNull)
		if f.needed {
			required = append(required, member)
		}
	}
	if len(properties) > 0 {
		schema["properties"] = properties
	}
	if required != nil {
		schema["required"] = required
	}
	switch {
	case s.dynamic != nil:
		shapeSchemas(defs, "identity", s.dynamic)
		schema["additionalProperties"] = map[string]any{
			"if": map[string]any{"type": "object"}, "then": ref("identity")}
	case !s.open:
		schema["additionalProperties"] = false
	}
	if !s.open && s.name != "" {
		schema["patternProperties"] = map[string]any{`.@odata\.type$`: map[string]any{"type": "string"}}
	}
}

func fieldSchema(defs map[string]any, member string, f field, noNull bool) any {
	var one map[string]any
	switch f.kind {
	case anything:
		return true
	case readOnly, workers:
		return false
	case text:
		one = map[string]any{"type": "string"}
		if f.enum != nil {
			one["enum"] = anyList(f.enum)
		}
		if f.want == timeWant {
			one["format"] = "date-time"
		}
		bound(one, "minLength", f.min)
		bound(one, "maxLength", f.max)
	case flag:
		one = map[string]any{"type": "boolean"}
	case whole:
		one = map[string]any{"type": "integer", "minimum": float64(f.min), "maximum": float64(f.max)}
	case object:
		one = shapesSchema(defs, member, f.shapes)
	case objects:
		one = map[string]any{"type": "array", "items": shapesSchema(defs, member, f.shapes)}
		bound(one, "minItems", f.min)
		bound(one, "maxItems", f.max)
	case texts:
		one = map[string]any{"type": "array", "items": map[string]any{"type": "string", "enum": anyList(f.enum)}}
		bound(one, "minItems", f.min)
	}
	if f.needed || noNull {
		return one
	}
	if one["type"] == nil {
		return map[string]any{"anyOf": []any{one, map[string]any{"type": "null"}}}
	}
	one["type"] = []any{one["type"], "null"}
	if enum, ok := one["enum"].([]any); ok {
		one["enum"] = append(enum, nil)
	}
	return one
}

func shapesSchema(defs map[string]any, member string, shapes []*shape) map[string]any {
	var refs []any
	for _, s := range shapes {
		name := defName(s, member)
		if name == "" {
			name = member
		}
		shapeSchemas(defs, name, s)
		refs = append(refs, ref(name))
	}
	if len(refs) == 1 {
		return refs[0].(map[string]any)
	}
	return map[string]any{"anyOf": refs}
}

func ref(name string) map[string]any { return map[string]any{"$ref": "#/$defs/" + name} }

func bound(schema map[string]any, keyword string, n int) {
	if n > 0 {
		schema[keyword] = float64(n)
	}
}

func anyList(all []string) []any {
	out := make([]any, len(all))
	for i, s := range all {
		out[i] = s
	}
	return out
}

func fieldNames(fields map[string]field) []string {
	all := make(map[string]any, len(fields))
	for name := range fields {
		all[name] = nil
	}
	return sorted(all)
}

// homes says in which file the schema of a Go type is defined, and where.
var homes = map[reflect.Type]string{
	reflect.TypeFor[Result]():     "result.schema.json",
	reflect.TypeFor[Error]():      "result.schema.json#/$defs/error",
	reflect.TypeFor[Operation]():  "result.schema.json#/$defs/operation",
	reflect.TypeFor[ResultInfo](): "result.schema.json#/$defs/resultInfo",
	reflect.TypeFor[Timing]():     "result.schema.json#/$defs/timing",
	reflect.TypeFor[Event]():      "event.schema.json",
	reflect.TypeFor[DeadLetter](): "dead.schema.json",
}

// typeSchema is the schema of a struct, written for a file.
func typeSchema(t reflect.Type, file string) map[string]any {
	properties := map[string]any{}
	var required []any
	for i := range t.NumField() {
		name, options, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		properties[name] = valueSchema(t.Field(i).Type, file)
		if options == "" {
			required = append(required, name)
		}
	}
	schema := map[string]any{"type": "object", "properties": properties}
	if required != nil {
		schema["required"] = required
	}
	return schema
}

func valueSchema(t reflect.Type, file string) any {
	switch t {
	case reflect.TypeFor[json.RawMessage]():
		return true
	case reflect.TypeFor[time.Time]():
		return map[string]any{"type": "string", "format": "date-time"}
	case reflect.TypeFor[Action]():
		return enum(Actions)
	case reflect.TypeFor[Status]():
		return enum(Statuses)
	case reflect.TypeFor[Class]():
		return enum(Classes)
	case reflect.TypeFor[Kind]():
		return enum(Kinds)
	case reflect.TypeFor[Cause]():
		return enum(Causes)
	}
	switch t.Kind() {
	case reflect.Pointer:
		return valueSchema(t.Elem(), file)
	case reflect.Struct:
		return map[string]any{"$ref": strings.TrimPrefix(homes[t], file)}
	case reflect.Slice:
		return map[string]any{"type": "array", "items": valueSchema(t.Elem(), file)}
	case reflect.Map:
		return map[string]any{"type": "object", "additionalProperties": valueSchema(t.Elem(), file)}
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.String:
		return map[string]any{"type": "string"}
	case reflect.Uint64:
		return map[string]any{"type": "integer", "minimum": float64(0)}
	}
	return map[string]any{"type": "integer"}
}

func enum[T ~string](all []T) map[string]any {
	out := make([]any, len(all))
	for i, v := range all {
		out[i] = string(v)
	}
	return map[string]any{"type": "string", "enum": out}
}

// stripped takes away what the schemas say beyond the Go types.
func stripped(schema any) any {
	switch s := schema.(type) {
	case map[string]any:
		out := map[string]any{}
		for keyword, value := range s {
			switch keyword {
			case "title", "description", "$comment", "examples", "default", "pattern", "allOf", "dependentRequired",
				"$schema", "$defs", "uniqueItems":
			case "properties", "patternProperties":
				inner := map[string]any{}
				for name, property := range value.(map[string]any) {
					inner[name] = stripped(property)
				}
				out[keyword] = inner
			case "items", "additionalProperties", "then", "if":
				out[keyword] = stripped(value)
			case "anyOf":
				var all []any
				for _, one := range value.([]any) {
					all = append(all, stripped(one))
				}
				out[keyword] = all
			default:
				out[keyword] = value
			}
		}
		if len(out) == 0 {
			return true
		}
		return out
	}
	return schema
}
