package scenarios

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/cutover-dev/cutover/dependencies"
)

// maxSize bounds a file: a scenario is a page, and whatever is larger is no scenario.
const maxSize = 1 << 18

// Load reads the scenario in the file at path. The error is a [Problems] unless
// the file cannot be read at all.
func Load(path string) (Scenario, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return Scenario{}, fmt.Errorf("cannot read the scenario: %w", err)
	}
	return Decode(path, data)
}

// Decode reads a scenario out of data: decoded strictly, filled with defaults and
// validated. The error is a [Problems] with all that is wrong; path is the name it
// calls the file by, and where relative images are looked for from.
func Decode(path string, data []byte) (Scenario, error) {
	r := newReport(path)
	root := r.document(data)
	if root == nil || !r.isScenario(root) {
		return Scenario{}, r.err()
	}
	r.lines[""] = root.Line
	var s Scenario
	fillDefaults(reflect.ValueOf(&s).Elem())
	(&decoder{r}).value(root, "", reflect.ValueOf(&s).Elem())
	s.Path, s.Seeded = path, r.given("seed")
	s.finish()
	(&validator{r, &s}).validate()
	if err := r.err(); err != nil {
		return Scenario{}, err
	}
	return s, nil
}

var parseError = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)`)

// document parses the only document in data; nil if there is none, or several.
func (r *report) document(data []byte) *yaml.Node {
	if len(data) > maxSize {
		r.addAt(0, "", "larger than %d bytes: this is no scenario", maxSize)
		return nil
	}
	in := yaml.NewDecoder(bytes.NewReader(data))
	var document, second yaml.Node
	err := in.Decode(&document)
	if errors.Is(err, io.EOF) {
		r.addAt(1, "", "empty: begin with apiVersion: %s and kind: %s", APIVersion, Kind)
		return nil
	}
	if err == nil {
		err = in.Decode(&second)
	}
	switch {
	case err == nil:
		r.addAt(second.Line, "", "a second document begins here: write one scenario to a file")
		return nil
	case !errors.Is(err, io.EOF):
		r.notYAML(data, err)
		return nil
	}
	return document.Content[0]
}

// notYAML reports what the parser stumbled over, and the usual reason if it is that.
func (r *report) notYAML(data []byte, err error) {
	for i, line := range strings.Split(string(data), "\n") {
		blank := line[:len(line)-len(strings.TrimLeft(line, " \t"))]
		if strings.Contains(blank, "\t") {
			r.addAt(i+1, "", "a tab in the indentation, which YAML does not allow: write spaces")
			return
		}
	}
	line, text := 0, err.Error()
	if found := parseError.FindStringSubmatch(text); found != nil {
		line, _ = strconv.Atoi(found[1]) // no number is no line
		text = found[2]
	}
	r.addAt(line, "", "not YAML: %s", text)
}

// isScenario looks at apiVersion and kind alone, so that a file of another sort is
// called that, and not wrong in every line.
func (r *report) isScenario(root *yaml.Node) bool {
	if root.Kind != yaml.MappingNode {
		r.addAt(root.Line, "", "%s instead of keys: begin with apiVersion: %s and kind: %s", describe(root), APIVersion, Kind)
		return false
	}
	for _, key := range []string{"apiVersion", "kind"} {
		want := choices[key].known[0]
		at := slices.IndexFunc(root.Content, func(n *yaml.Node) bool { return n.Value == key })
		switch {
		case at < 0 || at%2 != 0:
			r.addAt(root.Line, key, "missing: write %s: %s", key, want)
		case root.Content[at+1].Value != want:
			r.addAt(root.Content[at].Line, key, "%q is nothing this version can read: write %s: %s",
				root.Content[at+1].Value, key, want)
		}
	}
	return len(r.problems) == 0
}

// decoder lays a YAML tree down in Go values of the same shape.
type decoder struct{ *report }

var rawJSON = reflect.TypeFor[json.RawMessage]()

// value decodes node, which stands at key, into v.
func (d *decoder) value(node *yaml.Node, key string, v reflect.Value) {
	node = resolve(node)
	if node.Kind == yaml.ScalarNode && node.ShortTag() == "!!null" {
		d.add(key, "no value: write one, or leave the key out")
		return
	}
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		fillDefaults(v.Elem())
		v = v.Elem()
	}
	if text, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		d.text(node, key, text)
		return
	}
	if v.Type() == rawJSON {
		d.verbatim(node, key, v)
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		d.section(node, key, v)
	case reflect.Map:
		d.table(node, key, v)
	case reflect.Slice:
		d.list(node, key, v)
	case reflect.String:
		d.word(node, key, v)
	case reflect.Bool:
		d.scalar(node, key, v, "!!bool", "true or false")
	case reflect.Int, reflect.Int64:
		d.scalar(node, key, v, "!!int", "a whole number")
	default:
		panic(fmt.Sprintf("scenarios: %s has type %s, which no scenario is written in", key, v.Type()))
	}
}

// section decodes a mapping with known keys.
func (d *decoder) section(node *yaml.Node, key string, v reflect.Value) {
	known := fields(v.Type())
	for _, e := range d.entries(node, key) {
		instead, isPlanned := planned[generic(e.path)]
		i, isKnown := known.index[e.name]
		switch {
		case isPlanned:
			d.addAt(e.line, e.path, "not supported yet; supported: %s", instead)
		case isKnown:
			d.value(e.value, e.path, v.Field(i))
		default:
			d.addAt(e.line, e.path, "unknown key; known here: %s%s",
				strings.Join(known.names, ", "), didYouMean(e.name, known.names))
			if meant, ok := nearest(e.name, known.names); ok {
				d.spoilt = append(d.spoilt, join(key, meant))
			}
		}
	}
	if node.Kind != yaml.MappingNode {
		return
	}
	for _, name := range required[v.Type()] {
		if path := join(key, name); !d.given(path) && d.sound(path) {
			d.add(path, "missing")
		}
	}
}

// table decodes a mapping whose keys the user chooses.
func (d *decoder) table(node *yaml.Node, key string, v reflect.Value) {
	v.Set(reflect.MakeMap(v.Type()))
	for _, e := range d.entries(node, key) {
		value := reflect.New(v.Type().Elem()).Elem()
		d.value(e.value, e.path, value)
		v.SetMapIndex(reflect.ValueOf(e.name), value)
	}
}

// list decodes a sequence.
func (d *decoder) list(node *yaml.Node, key string, v reflect.Value) {
	if node.Kind != yaml.SequenceNode {
		d.add(key, "%s instead of a list: write [a, b]", describe(node))
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(node.Content), len(node.Content)))
	for i, item := range node.Content {
		path := elem(key, i)
		d.lines[path] = item.Line
		fillDefaults(v.Index(i))
		d.value(item, path, v.Index(i))
	}
}

// word decodes a string, one of a few if the key has a choice.
func (d *decoder) word(node *yaml.Node, key string, v reflect.Value) {
	if node.Kind == yaml.MappingNode && len(node.Content) > 0 && slices.Contains(indirect, node.Content[0].Value) {
		d.add(key, "%s is not supported yet; supported: %s", node.Content[0].Value, literal)
		return
	}
	if node.Kind != yaml.ScalarNode {
		d.add(key, "%s instead of a text", describe(node))
		return
	}
	if node.ShortTag() != "!!str" {
		d.add(key, "%s is not a text: put it in quotes, %q", node.Value, node.Value)
		return
	}
	v.SetString(node.Value)
	if len(dependencies.References(node.Value)) > 0 {
		d.referring[key] = node.Value
	}
	if c, ok := choices[generic(key)]; ok {
		if wrong := c.judge(node.Value); wrong != "" {
			d.add(key, "%s", wrong)
		}
	}
}

// scalar decodes a value that YAML itself has a type for.
func (d *decoder) scalar(node *yaml.Node, key string, v reflect.Value, tag, what string) {
	if node.Kind != yaml.ScalarNode || node.ShortTag() != tag || node.Decode(v.Addr().Interface()) != nil {
		d.add(key, "%s instead of %s", describe(node), what)
	}
}

// text decodes a value that reads itself: a duration, a percentage, a rate.
func (d *decoder) text(node *yaml.Node, key string, into encoding.TextUnmarshaler) {
	if node.Kind != yaml.ScalarNode {
		d.add(key, "%s instead of a value", describe(node))
		return
	}
	if err := into.UnmarshalText([]byte(node.Value)); err != nil {
		d.add(key, "%v", err)
	}
}

// verbatim keeps a mapping as it stands, as JSON: it is in somebody else's words.
func (d *decoder) verbatim(node *yaml.Node, key string, v reflect.Value) {
	before := len(d.problems)
	d.locate(node, key)
	if len(d.problems) > before {
		return
	}
	var content map[string]any
	err := node.Decode(&content)
	if err == nil {
		var data []byte
		data, err = json.Marshal(content)
		v.SetBytes(data)
	}
	if err != nil {
		d.add(key, "cannot be written as JSON: %v", err)
	}
}

// locate notes the lines of everything in a mapping that is kept verbatim.
func (d *decoder) locate(node *yaml.Node, key string) {
	for _, e := range d.entries(node, key) {
		if e.value.Kind == yaml.MappingNode {
			d.locate(e.value, e.path)
		}
	}
}

// entry is one key of a mapping and its value.
type entry struct {
	name, path string
	line       int
	value      *yaml.Node
}

// entries lists a mapping's keys and notes their lines.
func (d *decoder) entries(node *yaml.Node, key string) []entry {
	if node.Kind != yaml.MappingNode {
		d.add(key, "%s instead of keys: write {key: value}", describe(node))
		return nil
	}
	var found []entry
	for i := 0; i+1 < len(node.Content); i += 2 {
		name := node.Content[i]
		path := join(key, name.Value)
		switch {
		case name.ShortTag() == "!!merge":
			d.addAt(name.Line, path, "merge keys are not supported: write the keys out")
		case name.Kind != yaml.ScalarNode:
			d.addAt(name.Line, key, "%s as a key: a key is a word", describe(name))
		case d.given(path):
			d.addAt(name.Line, path, "given twice, first on line %d: keep one", d.lines[path])
		default:
			d.lines[path] = name.Line
			found = append(found, entry{name.Value, path, name.Line, node.Content[i+1]})
		}
	}
	return found
}

// keys are the keys of a section: their names in order and their fields.
type keys struct {
	names []string
	index map[string]int
}

// fields lists the keys that a type is written with: as its yaml tags say, or its
// json tags where it is somebody else's words.
func fields(t reflect.Type) keys {
	known := keys{index: map[string]int{}}
	for i := range t.NumField() {
		name, ok := t.Field(i).Tag.Lookup("yaml")
		if !ok {
			name = t.Field(i).Tag.Get("json")
		}
		name, _, _ = strings.Cut(name, ",")
		if name == "-" {
			continue
		}
		known.names = append(known.names, name)
		known.index[name] = i
	}
	slices.Sort(known.names)
	return known
}

// resolve follows an alias to what it stands for.
func resolve(node *yaml.Node) *yaml.Node {
	if node.Kind == yaml.AliasNode {
		return node.Alias
	}
	return node
}

// describe says what a node is, for the reader of an error.
func describe(node *yaml.Node) string {
	switch node.Kind {
	case yaml.MappingNode:
		return "keys"
	case yaml.SequenceNode:
		return "a list"
	default:
		return strconv.Quote(node.Value)
	}
}
