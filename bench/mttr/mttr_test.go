package main

import (
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cutover-dev/cutover/history"
	"github.com/cutover-dev/cutover/verdict"
)

// TestMain is the service, if the test starts itself as one.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == serveCommand {
		main()
	}
	os.Exit(m.Run())
}

func TestBetween(t *testing.T) {
	looks := func(pattern string) []look {
		var all []look
		for i, c := range pattern {
			all = append(all, look{at: float64(i), bad: c == 'x'})
		}
		return all
	}
	for _, row := range []struct {
		why        string
		pattern    string
		lag        float64
		found      bool
		onset, end float64
		relapses   int
	}{
		{"half-way between the looks", "..xx..", 0, true, 1.5, 3.5, 0},
		{"who sees all since the last look knows that it was over before", "..xx..", 1, true, 1.5, 2.5, 0},
		{"a single bad look is enough", "..x...", 0, true, 1.5, 2.5, 0},
		{"it came back", "..x.x..", 0, true, 1.5, 4.5, 1},
		{"nothing was bad", "......", 0, false, 0, 0, 0},
		{"it is not seen to end", "...xxx", 0, true, 2.5, math.Inf(1), 0},
	} {
		got := between(looks(row.pattern), 1, row.lag)
		if want := (seen{found: row.found, onset: row.onset, end: row.end, relapses: row.relapses}); got != want {
			t.Errorf("%s: %+v, want %+v", row.why, got, want)
		}
	}
}

func TestTally(t *testing.T) {
	o := outage{bursts: []stretch{{20, 21}, {22, 23}, {24, 25}}}
	var tally tally
	tally.add(o, seen{found: true, onset: 20.001, end: 24.998, relapses: 2}, counts)
	tally.add(o, seen{found: true, onset: 19.9, end: 25.2, relapses: 0}, counts)
	tally.add(o, seen{found: true, onset: 20, end: 25, relapses: 5}, counts) // more than there were is none missed
	tally.add(o, seen{}, counts)
	tally.add(o, seen{found: true, onset: 20, end: math.Inf(1)}, counts)
	if tally.missed != 2 || tally.relapses != 2+2+2 || len(tally.onsets) != 3 {
		t.Errorf("%+v", tally)
	}
	for i, want := range []float64{1, 100, 0} {
		if math.Abs(tally.onsets[i]-want) > 1e-6 {
			t.Errorf("onset %d is %g ms off, want %g", i, tally.onsets[i], want)
		}
	}
	if math.Abs(tally.ends[0]-2) > 1e-6 || math.Abs(tally.ends[1]-200) > 1e-6 {
		t.Errorf("ends are %v ms off", tally.ends)
	}
}

func TestOutages(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	for range 500 {
		o := newOutage(manners[0], random)
		if long := o.end() - o.onset(); long < 0.2 || long > 20.001 || o.bad(o.onset()-1e-9) || !o.bad(o.onset()) || o.bad(o.end()) {
			t.Fatalf("an outage of %+v", o.bursts)
		}
		f := newOutage(manners[4], random)
		for i, b := range f.bursts[1:] {
			if gap := b.From - f.bursts[i].To; gap < 0.3 || gap > confirm.Seconds() || f.bad(b.From-gap/2) {
				t.Fatalf("a gap of %g s", gap)
			}
		}
	}
	// The share of bad ones is what the manner says, and the rate is what is promised.
	for _, m := range manners {
		o := outage{manner: m, bursts: []stretch{{calm, calm + 10}}, random: random}
		h := o.record()
		n, bad := 0.0, 0.0
		for _, r := range h.Requests {
			if o.bad(float64(r.Intended) / 1e6) {
				n++
				if r.Bad(slow) {
					bad++
				}
			}
		}
		want := m.share
		if m.slows {
			want = 0.94 // of a log-normal around 800 ms
		}
		if math.Abs(n/10-rate) > 35 || math.Abs(bad/n-want) > 0.02 {
			t.Errorf("%s: %g requests a second, %.3f of them bad", m.name, n/10, bad/n)
		}
	}
}

// TestWatch is a small one of what the benchmark does at length. What is known is found; an
// observer that is told of another outage is far off, or else this would notice nothing.
func TestWatch(t *testing.T) {
	for i, m := range manners {
		tallies, err := watch(t.Context(), sizes{seed: 1, outages: 8}, uint64(i), func(r *rand.Rand) outage { return newOutage(m, r) })
		if err != nil {
			t.Fatal(err)
		}
		us, most := tallies[ours], 20.0
		if m.share < 0.5 {
			most = 60
		}
		for k := range us.onsets {
			if us.onsets[k] > most || us.ends[k] > most {
				t.Errorf("%s: onset %.1f ms off, recovery %.1f ms", m.name, us.onsets[k], us.ends[k])
			}
		}
		if us.missed > 0 || us.relapses > 0 || len(us.onsets) != 8 {
			t.Errorf("%s: %d outages and %d relapses missed", m.name, us.missed, us.relapses)
		}
		if middle := quantile(tallies[scrape15].ends, 0.5); len(middle) == 1 && middle[0] < 500 {
			t.Errorf("%s: a scrape every 15 s is only %.0f ms off", m.name, middle[0])
		}
	}
	quiet, err := watch(t.Context(), sizes{seed: 1, outages: 8}, 99, never)
	if err != nil || quiet[ours].missed != 8 {
		t.Errorf("outages are found where there are none: %+v (%v)", quiet[ours], err)
	}
	random := rand.New(rand.NewPCG(5, 5))
	one, other := newOutage(manners[0], random), newOutage(manners[0], random)
	var wrong tally
	wrong.add(one, judged(other.record()), counts)
	if len(wrong.onsets) != 1 || wrong.onsets[0] < 20 {
		t.Errorf("what was read of another outage is %v ms off", wrong.onsets)
	}
}

// TestScraped: at least one look falls into an outage that is longer than their distance.
func TestScraped(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	o := outage{manner: manners[1], bursts: []stretch{{calm, calm + 15}}, random: random}
	h := o.record()
	if s := scraped(o, h, 10); !s.found || math.Abs(s.onset-calm) > 5.1 || math.Abs(s.end-calm-15) > 5.6 {
		t.Errorf("%+v of an outage from %g to %g", s, calm, calm+15)
	}
	if s := scraped(o, h, 1); !s.found || math.Abs(s.onset-calm) > 0.6 || math.Abs(s.end-calm-15) > 1.1 {
		t.Errorf("%+v of an outage from %g to %g", s, calm, calm+15)
	}
}

func TestFirstBad(t *testing.T) {
	random := rand.New(rand.NewPCG(8, 8))
	for _, m := range []manner{{share: 1, even: true}, {share: 0.5, even: true}, {share: 0.2, even: true}, {share: 0.5}, {share: 0.2}} {
		var waits []float64
		for range 20_000 {
			at := random.Float64()
			if !m.even {
				at = random.ExpFloat64()
			}
			for random.Float64() >= m.share {
				if m.even {
					at++
				} else {
					at += random.ExpFloat64()
				}
			}
			waits = append(waits, at)
		}
		if got, want := m.firstBad(0.5), quantile(waits, 0.5)[0]; math.Abs(got-want) > 0.1 {
			t.Errorf("%.0f %%, %s: %.2f ms, drawn %.2f ms", 100*m.share, m.spacing(), got, want)
		}
		if got, want := m.firstBad(0.95), quantile(waits, 0.95)[0]; math.Abs(got-want) > 0.6 {
			t.Errorf("%.0f %%, %s: 95 %% within %.2f ms, drawn %.2f ms", 100*m.share, m.spacing(), got, want)
		}
	}
}

// TestIntervalsAreCounted: those that are too narrow do not hold, and it shows.
func TestIntervalsAreCounted(t *testing.T) {
	o := outage{bursts: []stretch{{20, 21}}}
	s := func(around float64) seen {
		return seen{found: true, onset: 20.004, end: 20.999,
			onsetCI: &verdict.Bounds{20_004 - around, 20_004 + around}, endCI: &verdict.Bounds{20_999 - around, 20_999 + around},
			lengthCI: &verdict.Bounds{995 - 2*around, 995 + 2*around}}
	}
	for _, row := range []struct {
		why             string
		around          float64
		instants, whole float64 // %
	}{
		{"wide enough for all", 5, 100, 100},
		{"wide enough for the end and for the length", 3, 50, 100},
		{"only the end", 1.5, 50, 0},
		{"none", 0.5, 0, 0},
	} {
		var tally tally
		tally.add(o, s(row.around), counts)
		if got, whole := tally.instants.percent()[0], tally.lengths.percent()[0]; got != row.instants || whole != row.whole {
			t.Errorf("%s: %g %% of the instants are held, %g %% of the lengths", row.why, got, whole)
		}
	}
	// And over outages as they are drawn: a millisecond where one request in five fails.
	narrow := func(h history.History) seen {
		s := judged(h)
		s.onsetCI = &verdict.Bounds{1000*s.onset - 0.5, 1000*s.onset + 0.5}
		s.endCI = &verdict.Bounds{1000*s.end - 0.5, 1000*s.end + 0.5}
		return s
	}
	var right, wrong tally
	for i := range uint64(10) {
		o := newOutage(manners[2], rand.New(rand.NewPCG(i, 3)))
		h := o.record()
		right.add(o, judged(h), counts)
		wrong.add(o, narrow(h), counts)
	}
	if got := right.instants.percent()[0]; got < covered {
		t.Errorf("only %g %% of the intervals hold", got)
	}
	if got := wrong.instants.percent()[0]; got >= covered {
		t.Errorf("%g %% hold of those that are too narrow: the benchmark would not notice", got)
	}
}

// TestVoid: what a stall touches counts neither for nor against anybody.
func TestVoid(t *testing.T) {
	o := outage{bursts: []stretch{{20, 21}, {21.5, 22}}}
	l := live{stalls: []history.Stall{{From: micros(19.99), To: micros(20.01)}}}
	var tally tally
	tally.add(o, seen{found: true, onset: 20.3, end: 22}, l.void)
	tally.add(o, seen{}, l.void)
	if len(tally.onsets) != 0 || len(tally.ends) != 1 || tally.missed != 0 || tally.relapses != 0 || tally.voided != 2 {
		t.Errorf("%+v", tally)
	}
	l.stalls[0] = history.Stall{From: micros(25), To: micros(26)}
	tally.add(o, seen{}, l.void)
	if tally.missed != 1 || tally.relapses != 1 || tally.voided != 2 {
		t.Errorf("a stall elsewhere excuses nothing: %+v", tally)
	}
}

// TestLive has one outage of each manner in real time, twenty seconds of them.
func TestLive(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes half a minute")
	}
	in, out, err := startService(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	l, err := watchLive(t.Context(), 3, 5, in, out)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d requests, %d stalls, released %s late at p99; %d probes, %d scrapes", len(l.requests), len(l.stalls), l.late, len(l.probes), len(l.scrapes))
	if l.late > 20*time.Millisecond {
		t.Skip("the machine is too busy for anything to be timed on it")
	}
	if math.Abs(float64(len(l.requests))-1000*l.outages[4].end()-2500) > 500 || len(l.probes) < 10 || len(l.scrapes) < 3 {
		t.Error("somebody did not look")
	}
	for i, o := range l.outages {
		s := judged(l.history(i))
		t.Logf("%s: onset %.3f, said %.3f; end %.3f, said %.3f; relapses %d, said %d", o.name, o.onset(), s.onset, o.end(), s.end, len(o.bursts)-1, s.relapses)
		var tally tally
		tally.add(o, s, l.void)
		if tally.missed > 0 || tally.relapses > 0 {
			t.Errorf("%s: missed", o.name)
		}
		for _, off := range slices.Concat(tally.onsets, tally.ends) {
			if off > 100 { // the machine may be busy; the benchmark wants a tenth of it
				t.Errorf("%s: %.1f ms off", o.name, off)
			}
		}
	}
}

// TestLiveRows: what a schedule would have left is put together as what is measured is. The
// draws are those of virtual time; nothing waits.
func TestLiveRows(t *testing.T) {
	random := rand.New(rand.NewPCG(2, 2))
	l := &live{outages: schedule(20, random)}
	state := counters{Bad: make([]int, 20)}
	next, until := 0, l.outages[19].end()+2.5
	for at := 0.0; at < until; at += 1.0 / rate {
		for next < 20 && at >= l.around(next).To {
			next++
		}
		o := l.outages[next]
		o.random = random
		latency, good := o.answer(at)
		bad := !good || latency > liveSlow
		l.requests = append(l.requests, history.Request{Seq: int64(len(l.requests)), Intended: micros(at), Sent: micros(at), Done: micros(at).After(latency), Status: 200, Expected: good})
		state.N++
		switch {
		case bad && o.bad(at):
			state.Bad[next]++
		case bad:
			state.Background++
		}
		if n := len(l.requests); n%1000 == 500 {
			l.probes = append(l.probes, look{at: at, bad: bad})
		}
		if len(l.requests)%(scraping*1000) == 1 {
			l.scrapes = append(l.scrapes, scrape{at: at, counters: counters{N: state.N, Background: state.Background, Bad: slices.Clone(state.Bad)}})
		}
	}
	for _, kind := range liveManners() {
		tallies, outages := l.tallies(kind)
		us, others := tallies[ours], tallies[prober]
		if outages != 4 || us.missed+us.relapses+us.voided > 0 || us.instants.of != 8 || us.instants.yes < 7 || len(others.onsets)+others.missed != 4 {
			t.Errorf("%s: %+v beside %+v", kind.name, us, others)
		}
		for _, off := range slices.Concat(us.onsets, us.ends) {
			if off > 30 {
				t.Errorf("%s: %.1f ms off", kind.name, off)
			}
		}
		for _, off := range slices.Concat(tallies[scrape15].onsets, tallies[scrape10].ends) {
			if off > 15_001 {
				t.Errorf("%s: who looks every 15 s is not %.1f ms off", kind.name, off)
			}
		}
		if seen := 4 - tallies[scrape10].missed; kind.share == 1 && seen < 3 {
			t.Errorf("%s: who scrapes every 10 s sees %d of 4", kind.name, seen)
		}
	}
	shares := 0
	for _, row := range l.rows() {
		if strings.HasPrefix(row.Target, "intervals") {
			shares++
			if row.Met == nil || !*row.Met {
				t.Errorf("%s: %v", row.Target, row.Ours)
			}
		}
	}
	if shares != 3 {
		t.Errorf("%d rows say how sure it is", shares)
	}
	l.stalls = []history.Stall{{From: 0, To: micros(until)}}
	for _, row := range l.rows() {
		if strings.HasPrefix(row.Target, "how far") && row.Ours != nil {
			t.Errorf("%s: %g, where nothing counts", row.Target, *row.Ours)
		}
		if !strings.Contains(row.Because, "stood still") {
			t.Errorf("%s: it does not say why: %q", row.Target, row.Because)
		}
	}
}

// TestSchedule: real outages are apart, of all manners, and seen as they are told.
func TestSchedule(t *testing.T) {
	all := schedule(60, rand.New(rand.NewPCG(7, 77)))
	kinds := map[string]int{}
	for i, o := range all {
		kinds[o.name]++
		if i > 0 && o.onset()-all[i-1].end() < 2*liveConfirm.Seconds()+0.2 {
			t.Errorf("only %g s after the one before", o.onset()-all[i-1].end())
		}
		for j, b := range o.bursts {
			if long := b.To - b.From; long < 0.2 || long > 2.001 {
				t.Errorf("an outage of %g s", long)
			}
			if j > 0 && b.From-o.bursts[j-1].To > 0.9*liveConfirm.Seconds() {
				t.Errorf("bursts %g s apart are not one outage", b.From-o.bursts[j-1].To)
			}
		}
	}
	for name, n := range kinds {
		if n != 12 {
			t.Errorf("%d of %s", n, name)
		}
	}
	if long := all[59].end(); len(kinds) != 5 || long > 250 {
		t.Errorf("%d manners in %g s", len(kinds), long)
	}
}
