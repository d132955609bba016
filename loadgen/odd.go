package loadgen

import (
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/cutover-dev/cutover/history"
)

// answers are those of two pods of the baseline and of one of the candidate to the same
// request, taken apart.
type answers struct {
	baseline  [2]map[string]string
	candidate map[string]string
	large     bool // a body was too large to be taken apart
}

// oddOne says whose value is the odd one of three.
type oddOne int

const (
	nobody oddOne = iota // all are the same
	theBaseline
	theCandidate
	everybody // all differ
)

// odd says whose is the odd one, from which of the three are the same: the two of the
// baseline, and each of them and the candidate's.
func odd(baselines, first, second bool) oddOne {
	switch {
	case baselines && !first:
		return theCandidate
	case !baselines && first != second:
		return theBaseline
	case !baselines:
		return everybody
	}
	return nobody
}

// of says whose value of a field is the odd one. A value that is missing differs from
// every other.
func (a answers) of(field string) oddOne {
	same := func(x, y map[string]string) bool {
		one, there := x[field]
		other, too := y[field]
		return one == other && there == too
	}
	return odd(same(a.baseline[0], a.baseline[1]), same(a.baseline[0], a.candidate), same(a.baseline[1], a.candidate))
}

// fields are all that at least one of the answers has, in order.
func (a answers) fields() []string {
	all := maps.Clone(a.candidate)
	maps.Copy(all, a.baseline[0])
	maps.Copy(all, a.baseline[1])
	return slices.Sorted(maps.Keys(all))
}

const (
	// maxFields bounds what is counted: documents may have keys that nobody has seen before.
	maxFields = 5000
	// otherFields are those that came after them, counted as one.
	otherFields = "(other fields)"
	// sampleValue is how many bytes of a value are kept as a sample.
	sampleValue = 200
)

// comparison counts, field by field, whose was the odd answer of three.
type comparison struct {
	mu       sync.Mutex
	compared map[string]int64 // by request
	large    int64
	fields   map[fieldOf]*history.OddField
}

func newComparison() *comparison {
	return &comparison{compared: map[string]int64{}, fields: map[fieldOf]*history.OddField{}}
}

type fieldOf struct{ request, field string }

// add counts the answers to one request, with its name and id.
func (c *comparison) add(request, id string, a answers) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.compared[request]++
	if a.large {
		c.large++
	}
	others := answers{baseline: [2]map[string]string{{}, {}}, candidate: map[string]string{}}
	for _, field := range a.fields() {
		counted, ok := c.field(request, field)
		if !ok {
			others.take(field, a)
			continue
		}
		count(counted, a.of(field), id, a, field)
	}
	if len(others.fields()) > 0 {
		counted, _ := c.field(request, otherFields)
		count(counted, odd(
			maps.Equal(others.baseline[0], others.baseline[1]),
			maps.Equal(others.baseline[0], others.candidate),
			maps.Equal(others.baseline[1], others.candidate),
		), id, answers{}, otherFields)
	}
}

// take copies a field out of other answers.
func (a answers) take(field string, from answers) {
	for i, fields := range []map[string]string{from.baseline[0], from.baseline[1], from.candidate} {
		if value, there := fields[field]; there {
			[]map[string]string{a.baseline[0], a.baseline[1], a.candidate}[i][field] = value
		}
	}
}

// field is what is counted of a field; false if there are too many already.
func (c *comparison) field(request, field string) (*history.OddField, bool) {
	key := fieldOf{request, field}
	if counted, ok := c.fields[key]; ok {
		return counted, true
	}
	if len(c.fields) >= maxFields && field != otherFields {
		return nil, false
	}
	counted := &history.OddField{Request: request, Field: field}
	c.fields[key] = counted
	return counted, true
}

func count(f *history.OddField, whose oddOne, id string, a answers, field string) {
	switch whose {
	case everybody:
		f.AllDiffer++
	case theBaseline:
		f.Baseline++
	case theCandidate:
		f.Candidate++
		if f.Sample == nil {
			f.Sample = &history.OddSample{ID: id, Baseline: shown(a.baseline[0], field), Candidate: shown(a.candidate, field)}
		}
	}
}

// shown is a value as it stands in the record.
func shown(fields map[string]string, field string) string {
	value, there := fields[field]
	switch {
	case !there:
		return "(missing)"
	case slices.Contains(secretHeaders, strings.TrimPrefix(field, "header.")):
		return "(not shown)"
	}
	return strings.ToValidUTF8(value[:min(len(value), sampleValue)], "\ufffd")
}

// secretHeaders are those of an answer whose values are nobody else's business.
var secretHeaders = []string{"Set-Cookie", "Authorization", "Authentication-Info", "Www-Authenticate"}

// result is what came of all of it; the fields in which some answers differed, in order.
func (c *comparison) result() history.Diff {
	c.mu.Lock()
	defer c.mu.Unlock()
	d := history.Diff{Requests: maps.Clone(c.compared), Large: c.large, Fields: len(c.fields)}
	for _, n := range c.compared {
		d.Compared += n
	}
	for _, f := range c.fields {
		if f.Baseline+f.Candidate+f.AllDiffer > 0 {
			d.Odd = append(d.Odd, *f)
		}
	}
	slices.SortFunc(d.Odd, func(a, b history.OddField) int {
		return strings.Compare(a.Request+"\x00"+a.Field, b.Request+"\x00"+b.Field)
	})
	return d
}
