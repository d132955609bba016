package main

import (
	"math"
	"math/rand/v2"
	"testing"
)

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
		if want := (seen{row.found, row.onset, row.end, row.relapses}); got != want {
			t.Errorf("%s: %+v, want %+v", row.why, got, want)
		}
	}
}

func TestTally(t *testing.T) {
	o := outage{bursts: []stretch{{20, 21}, {22, 23}, {24, 25}}}
	var tally tally
	tally.add(o, seen{found: true, onset: 20.001, end: 24.998, relapses: 2})
	tally.add(o, seen{found: true, onset: 19.9, end: 25.2, relapses: 0})
	tally.add(o, seen{found: true, onset: 20, end: 25, relapses: 5}) // more than there were is none missed
	tally.add(o, seen{})
	tally.add(o, seen{found: true, onset: 20, end: math.Inf(1)})
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
			if gap := b.from - f.bursts[i].to; gap < 0.3 || gap > confirm.Seconds() || f.bad(b.from-gap/2) {
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
	wrong.add(one, judged(other.record()))
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
		if got, want := m.firstBad(), quantile(waits, 0.5)[0]; math.Abs(got-want) > 0.1 {
			t.Errorf("%.0f %%, %s: %.2f ms, drawn %.2f ms", 100*m.share, m.spacing(), got, want)
		}
	}
}
