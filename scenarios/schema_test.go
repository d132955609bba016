package scenarios

import (
	"bytes"
	"encoding"
	"encoding/json"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/cutover-dev/cutover/gates"
	"github.com/cutover-dev/cutover/history"
	"github.com/cutover-dev/cutover/loadgen"
	"github.com/cutover-dev/cutover/release"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestSchemaIsUpToDate(t *testing.T) {
	made, err := json.MarshalIndent(makeSchema(t), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	made = append(made, '\n')
	if *update {
		if err := os.WriteFile("schema.json", made, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(made, Schema()) {
		t.Error("schema.json is not what the types say: run go test ./scenarios -update")
	}
}

// Every word that the vocabulary speaks of has to be a key of the types, or it
// would never be looked at.
func TestVocabularyNamesKeysThatExist(t *testing.T) {
	known := map[string]reflect.Type{}
	collect(known, "", reflect.TypeFor[Scenario]())
	for key := range choices {
		if _, ok := known[key]; !ok {
			t.Errorf("choices: there is no key %s", key)
		}
	}
	for key := range planned {
		section := key[:max(0, strings.LastIndexByte(key, '.'))]
		if _, ok := known[strings.TrimSuffix(section, "[]")]; !ok {
			t.Errorf("planned: %s: there is no section %s", key, section)
		}
		if _, ok := known[key]; ok {
			t.Errorf("planned: %s is implemented", key)
		}
	}
	for section, names := range required {
		for _, name := range names {
			if !slices.Contains(fields(section).names, name) {
				t.Errorf("required: %s has no key %s", section, name)
			}
		}
	}
}

// collect gathers the generic paths of all keys.
func collect(known map[string]reflect.Type, key string, t reflect.Type) {
	known[key] = t
	switch {
	case t.Kind() == reflect.Pointer:
		collect(known, key, t.Elem())
	case t.Kind() == reflect.Slice && t != rawJSON:
		collect(known, key+"[]", t.Elem())
	case t.Kind() == reflect.Struct:
		for name, i := range fields(t).index {
			collect(known, join(key, name), t.Field(i).Type)
		}
	}
}

type object = map[string]any

// makeSchema writes the types down as JSON Schema, with their comments.
func makeSchema(t *testing.T) object {
	m := schemaMaker{comments: comments(t)}
	s := m.schema(reflect.TypeFor[Scenario](), "")
	s["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	s["title"] = APIVersion + " " + Kind
	return s
}

type schemaMaker struct{ comments map[string]string }

// written are the types that read themselves from a text.
var written = map[reflect.Type]object{
	reflect.TypeFor[history.Duration](): {"type": "string", "pattern": `^([0-9.]+(ns|us|µs|ms|s|m|h))+$`, "examples": []string{"500ms", "5s", "1m30s"}},
	reflect.TypeFor[history.Fraction](): {"type": "string", "pattern": `^[0-9.]+ *%$`, "examples": []string{"99.9%"}},
	reflect.TypeFor[release.Amount]():   {"type": []string{"string", "integer"}, "pattern": `^[0-9]+%?$`, "minimum": 0, "examples": []any{1, "25%"}},
	reflect.TypeFor[gates.Number]():     {"type": []string{"string", "number"}, "examples": []any{0.01, "1%", "500ms"}},
	reflect.TypeFor[loadgen.Speed]():    {"type": []string{"string", "number"}, "examples": []any{1, 0.5, 10}},
	reflect.TypeFor[loadgen.Rate]():     {"type": "string", "pattern": `^[0-9.]+ */ *[a-z]+$`, "examples": []string{"200/s"}},
}

func (m schemaMaker) schema(t reflect.Type, key string) object {
	if t.Kind() == reflect.Pointer {
		return m.schema(t.Elem(), key)
	}
	if s, ok := written[t]; ok {
		return maps.Clone(s)
	}
	if reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
		panic(fmt.Sprintf("%s reads itself: say in written how", t))
	}
	switch {
	case t == rawJSON:
		return object{"type": "object"}
	case t.Kind() == reflect.Struct:
		return m.section(t, key)
	case t.Kind() == reflect.Map:
		return object{"type": "object", "additionalProperties": m.schema(t.Elem(), key)}
	case t.Kind() == reflect.Slice:
		return object{"type": "array", "items": m.schema(t.Elem(), key+"[]")}
	case t.Kind() == reflect.Bool:
		return object{"type": "boolean"}
	case t.Kind() == reflect.String:
		s := object{"type": "string"}
		if c, ok := choices[key]; ok {
			s["enum"] = c.known
		}
		return s
	default:
		return object{"type": "integer"}
	}
}

func (m schemaMaker) section(t reflect.Type, key string) object {
	properties := object{}
	for name, i := range fields(t).index {
		field := t.Field(i)
		s := m.schema(field.Type, join(key, name))
		text := m.comments[t.String()+"."+field.Name]
		if text == "" {
			text = m.comments[strings.TrimLeft(field.Type.String(), "*[]")]
		}
		if text != "" {
			s["description"] = text
		}
		properties[name] = s
	}
	s := object{"type": "object", "additionalProperties": false, "properties": properties}
	if names := required[t]; len(names) > 0 {
		s["required"] = names
	}
	return s
}

// comments reads what the sources say of each type ("release.App") and of each of
// its fields ("release.App.Image").
func comments(t *testing.T) map[string]string {
	found := map[string]string{}
	for _, source := range []string{
		"model.go", "../release/spec.go", "../release/procedure.go", "../release/procedure_helm.go", "../release/procedure_manifests.go", "../dependencies/spec.go", "../gates/spec.go", "../gates/sequential.go", "../gates/compare.go", "../gates/prometheus.go", "../gates/webhook.go", "../gates/command.go", "../gates/approval.go", "../loadgen/spec.go", "../loadgen/diffspec.go", "../loadgen/replay.go", "../loadgen/grpc.go", "../loadgen/shape.go", "../loadgen/shape_ramp.go", "../loadgen/shape_sine.go", "../loadgen/shape_steps.go", "../faults/spec.go", "../history/payloads.go",
	} {
		file, err := parser.ParseFile(token.NewFileSet(), filepath.FromSlash(source), nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		pkg := path.Base(path.Dir(source))
		if pkg == "." {
			pkg = "scenarios"
		}
		ast.Inspect(file, func(n ast.Node) bool {
			declaration, ok := n.(*ast.GenDecl)
			if !ok || declaration.Tok != token.TYPE {
				return true
			}
			for _, spec := range declaration.Specs {
				describeType(found, pkg, declaration.Doc.Text(), spec.(*ast.TypeSpec))
			}
			return true
		})
	}
	return found
}

func describeType(found map[string]string, pkg, doc string, spec *ast.TypeSpec) {
	name := pkg + "." + spec.Name.Name
	found[name] = oneLine(doc)
	fields, ok := spec.Type.(*ast.StructType)
	if !ok {
		return
	}
	for _, field := range fields.Fields.List {
		for _, ident := range field.Names {
			found[name+"."+ident.Name] = oneLine(field.Doc.Text() + field.Comment.Text())
		}
	}
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
