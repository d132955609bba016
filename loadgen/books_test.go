package loadgen

import (
	"strconv"
	"strings"
	"testing"

	"github.com/cutover-dev/cutover/history"
)

// nowhere is a sink that keeps nothing.
type nowhere struct{}

func (nowhere) Event(history.Event)     {}
func (nowhere) Request(history.Request) {}

// Books are kept without asking for memory: what collects it would take the processor from
// whoever releases requests.
func TestBooksAllocateNothing(t *testing.T) {
	spec := &RequestSpec{Path: "/"}
	b := newBooks(&Attack{RunID: "run", Sink: nowhere{}})
	seq := int64(0)
	one := func() {
		seq++
		r := newRecord(spec, "/", seq, history.Micros(seq))
		b.enter(&note{kind: begins, released: r.Intended, request: r, spec: spec})
		r.Sent, r.Done, r.Status, r.Expected = r.Intended, r.Intended, 200, true
		b.enter(&note{kind: ends, request: r, spec: spec})
	}
	if n := testing.AllocsPerRun(10_000, one); n > 0.1 {
		t.Errorf("%.3f allocations for a request", n)
	}
	// CONTROL: one for each request is found out.
	if n := testing.AllocsPerRun(10_000, func() { one(); b.ids.text.Reset() }); n < 0.9 {
		t.Errorf("%.3f allocations, where there is one for sure", n)
	}
	if b.sent < 20_000 {
		t.Errorf("%d were entered", b.sent)
	}
}

func TestIDs(t *testing.T) {
	for _, prefix := range []string{"run-", "", strings.Repeat("long", idsAtOnce)} { // the last one is longer than an allocation
		i := ids{prefix: prefix}
		var all []string
		for seq := range int64(3000) {
			all = append(all, i.of(seq))
		}
		for seq, id := range all { // earlier ones stay what they were
			if number, ok := strings.CutPrefix(id, prefix); !ok || number != strconv.Itoa(seq) {
				t.Fatalf("number %d is called %q", seq, shortened([]byte(id)))
			}
		}
		if id := i.of(-1 << 63); !strings.HasSuffix(id, "-9223372036854775808") {
			t.Errorf("the longest number is %q", shortened([]byte(id)))
		}
	}
}
