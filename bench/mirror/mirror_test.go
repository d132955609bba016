package main

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cutover-dev/cutover/history"
)

// TestMain serves, in the processes that the test starts itself as.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == serveCommand {
		if err := serve(context.Background(), os.Args[2:], os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// In noise, no answer is the odd one more often than another.
func TestNoiseIsAlike(t *testing.T) {
	noise := noisyFields(100)
	r := rand.New(rand.NewPCG(1, 2))
	c := counted{fields: make([]tally, len(noise))}
	const requests = 200_000
	for range 100 {
		c.more(requests/100, noise, r)
	}
	for i, f := range noise {
		got, want := c.fields[i], f.odd*requests/3
		for _, n := range []int64{got.candidate, got.baseline[0], got.baseline[1]} {
			if math.Abs(float64(n)-want) > 5*math.Sqrt(want)+1 {
				t.Errorf("field %d: %+v, want %.0f odd ones of each", i, got, want)
			}
		}
		if got.all != int64(f.all*requests) {
			t.Errorf("field %d: all differ %d times", i, got.all)
		}
	}
	if ids, flags := noise[0], noise[99]; ids.all != 1 || ids.odd != 0 || flags.odd < 2.9e-4 || flags.odd > 4e-4 {
		t.Errorf("an id is %+v, the rarest flag %+v", ids, flags)
	}
}

func TestDiffysRule(t *testing.T) {
	for _, row := range []struct {
		comment string
		tally   tally
		named   bool
	}{
		{"nothing differs", tally{}, false},
		{"an id", tally{all: 1000}, false},
		{"the candidate's differ, the baseline's do not", tally{candidate: 10}, true},
		// 50 against 34 is 19 % of both together.
		{"less than a fifth more", tally{candidate: 50, baseline: [2]int64{0, 34}}, false},
		{"more than a fifth more", tally{candidate: 50, baseline: [2]int64{0, 33}}, true},
		{"what the primary alone has is in both", tally{candidate: 50, baseline: [2]int64{40, 33}}, false},
		{"less often than between the baselines", tally{candidate: 10, baseline: [2]int64{0, 50}}, false},
	} {
		if got := len(diffys(&counted{requests: 1000, fields: []tally{row.tally}})) == 1; got != row.named {
			t.Errorf("%s: named: %v", row.comment, got)
		}
	}
	// 3 in 10,000 are not more than 0.03 %; 4 are.
	for n, named := range map[int64]int{3: 0, 4: 1} {
		if got := diffys(&counted{requests: 10_000, fields: []tally{{candidate: n}}}); len(got) != named {
			t.Errorf("%d of 10,000: %v", n, got)
		}
	}
}

func TestLookAt(t *testing.T) {
	at := lookAt(1_000_000)
	if len(at) != looks || at[0] != 10 || at[looks-1] != 1_000_000 || !slices.IsSorted(at) {
		t.Errorf("looks at %v", at)
	}
}

func TestAlarms(t *testing.T) {
	s := sizes{seed: 7, runs: 15, requests: 10_000}
	a, err := countAlarms(t.Context(), s, noisyFields(200))
	if err != nil {
		t.Fatal(err)
	}
	// More than two of 15 have a chance of one in two thousand at one in a hundred.
	if a.ever[0] > 2 || a.atEnd[0] > a.ever[0] {
		t.Errorf("%d of %d runs cry wolf, %d at the end", a.ever[0], s.runs, a.atEnd[0])
	}
	if a.ever[1] < s.runs {
		t.Errorf("Diffy's rule cries wolf in %d of %d runs: it is looked at wrongly", a.ever[1], s.runs)
	}
}

// A field of which the candidate's answer is the odd one more often than a third of the
// time is no noise: or else the alarms would not be counted.
func TestAlarmsAreCounted(t *testing.T) {
	c := counted{requests: 100, fields: []tally{{}, {candidate: 60, baseline: [2]int64{20, 20}}}}
	for i, judge := range judges {
		if named := judge(&c); !slices.Equal(named, []int{1}) {
			t.Errorf("judge %d names %v", i, named)
		}
	}
}

func TestDelays(t *testing.T) {
	s := sizes{seed: 7, delays: 30}
	for _, row := range []struct {
		fields   int
		from, to float64
	}{
		{20, 800, 1700},
		{1000, 1300, 2800},
	} {
		all, err := delays(t.Context(), s, noisyFields(row.fields))
		if err != nil {
			t.Fatal(err)
		}
		if got := p95(all[0]); got < row.from || got > row.to {
			t.Errorf("among %d: found within %g requests at p95, want %g to %g", row.fields, got, row.from, row.to)
		}
		if got := others(all[0]); got > 0.1 {
			t.Errorf("among %d: %g others are named", row.fields, got)
		}
		if p95(all[1]) >= p95(all[0]) || others(all[1]) <= others(all[0]) {
			t.Errorf("among %d: Diffy's rule needs %g requests and names %g others", row.fields, p95(all[1]), others(all[1]))
		}
	}
}

func TestWhyLate(t *testing.T) {
	if got := whyLate(1001); !strings.Contains(got, "it takes 11 of them") || !strings.Contains(got, "within 1693 requests") {
		t.Errorf("got %q", got)
	}
	if got := waitFor(1); got != 299 { // ln 0.05 / ln 0.99
		t.Errorf("one comes within %d requests", got)
	}
}

func TestUnbooked(t *testing.T) {
	for _, row := range []struct {
		comment string
		share   float64
		diff    history.Diff
		want    int64
	}{
		{"all is in the books", 0.1, history.Diff{Chosen: 10, Compared: 7, Dropped: map[string]int64{"a": 2, "b": 1}}, 0},
		{"one is in none", 0.1, history.Diff{Chosen: 10, Compared: 7, Dropped: map[string]int64{"a": 2}}, 1},
		{"one is in two", 0.1, history.Diff{Chosen: 10, Compared: 8, Dropped: map[string]int64{"a": 3}}, 1},
		{"all were to be chosen", 1, history.Diff{Chosen: 98, Compared: 98}, 2},
		{"all were", 1, history.Diff{Chosen: 100, Compared: 100}, 0},
	} {
		if got := (outcome{planned: 100, diff: row.diff}).unbooked(load{share: row.share}); got != row.want {
			t.Errorf("%s: %d, want %d", row.comment, got, row.want)
		}
	}
}

func TestMeasured(t *testing.T) {
	m := measured{mirrored: map[float64][]float64{0: {1, 2}, 1: {1.5, 1.9}}, before: []float64{2, 4}, frozen: []float64{3, 4}}
	if got := m.added(1); math.Abs(got[0]-500) > 1e-9 || math.Abs(got[1]+100) > 1e-9 {
		t.Errorf("%v µs are added", got)
	}
	if got := m.change(); !slices.Equal(got, []float64{50, 0}) {
		t.Errorf("the change is %v %%", got)
	}
}

// What is not answered well must not make a p99 better.
func TestFailuresCountAsLate(t *testing.T) {
	s := &sink{}
	for i := range 100 {
		s.Request(history.Request{Intended: history.Micros(1e6 + i), Done: history.Micros(1e6 + i), Expected: i > 2})
	}
	s.Request(history.Request{Intended: 1000, Done: history.Never}) // in the warm-up
	if s.o.failed != 3 || len(s.o.latencies) != 100 || s.o.p99() != 5000 {
		t.Errorf("%d failed of %d, p99 %g ms", s.o.failed, len(s.o.latencies), s.o.p99())
	}
}

func TestLab(t *testing.T) {
	l, err := newLab(t.Context(), liveSizes{nginx: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := l.close(); err != nil {
			t.Error(err)
		}
	}()
	if l.nginx != nil || !strings.Contains(l.missing, "nginx is not there") {
		t.Errorf("without nginx it says %q", l.missing)
	}
	what := load{seed: 7, rate: 200, share: 1, lasting: 800 * time.Millisecond}
	send := func() (outcome, error) { return what.send(t.Context(), l.users.addresses[0], l.pods.addresses) }
	o, err := send()
	if err != nil || o.unbooked(what) != 0 || o.diff.Compared == 0 || o.failed > 0 {
		t.Errorf("%v, with %d failed: %+v", err, o.failed, o.diff)
	}
	// Frozen pods answer when they are thawed, and not before; users notice nothing.
	o, err = l.whileFrozen(what.lasting, send)
	if err != nil || o.unbooked(what) != 0 || o.diff.Compared > 64 || len(o.diff.Dropped) == 0 || o.failed > 0 {
		t.Errorf("frozen: %v, with %d failed: %+v", err, o.failed, o.diff)
	}
	what.path, what.rate = chunkedPath, 5
	if o, err = send(); err != nil || o.diff.Large == 0 || o.diff.Large != o.diff.Compared {
		t.Errorf("large: %v: %+v", err, o.diff)
	}
}

// What nginx is told, for each share.
func TestConfig(t *testing.T) {
	p := proxies{folder: "/f", address: map[float64]string{0: "127.0.0.1:1", 0.1: "127.0.0.1:2", 1: "127.0.0.1:3"}}
	got := p.config("127.0.0.1:4", "127.0.0.1:5")
	for _, want := range []string{"upstream users { server 127.0.0.1:4;", "upstream pods { server 127.0.0.1:5;", `split_clients $request_id $chosen10 { 10% 1; * ""; }`, `$chosen100 { 100% 1;`} {
		if !strings.Contains(got, want) {
			t.Errorf("it lacks %q:\n%s", want, got)
		}
	}
	if n := strings.Count(got, "mirror /mirror;"); n != 2 {
		t.Errorf("%d ways are mirrored, want 2", n)
	}
}
