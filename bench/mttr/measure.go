package main

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/cutover-dev/cutover/bench"
	"github.com/cutover-dev/cutover/stats"
	"github.com/cutover-dev/cutover/verdict"
)

// sizes are how much is simulated.
type sizes struct {
	seed    uint64
	outages int // of each sort, in virtual time
	live    int // of all sorts together, in real time
}

// Who looks at the same outages.
const (
	ours = iota
	prober
	scrape10
	scrape15
	observers
)

// names of the others, as the rows have them.
var names = [observers]string{prober: "a prober, every 1 s", scrape10: "a scrape every 10 s", scrape15: "a scrape every 15 s"}

// tally is what one observer made of all outages of a sort.
type tally struct {
	onsets, ends []float64 // ms off, of those that were found
	missed       int       // outages that were not
	relapses     int       // that were missed
	voided       int       // instants and outages that do not count

	instants, lengths held
	nearly            held      // instants, by onTheWay
	widths            []float64 // of the intervals of instants, in ms
}

// held counts the intervals that hold the truth.
type held struct{ yes, of int }

func (h *held) add(truth float64, said *verdict.Bounds, slack float64) {
	if said == nil {
		return
	}
	h.of++
	if said[0]-slack < truth && truth <= said[1]+slack {
		h.yes++
	}
}

// plus is what two counted together.
func (h held) plus(other held) held { return held{h.yes + other.yes, h.of + other.of} }

func (h held) percent() []float64 {
	if h.of == 0 {
		return nil
	}
	return []float64{100 * float64(h.yes) / float64(h.of)}
}

// counts is the void of what counts all the time.
func counts(float64, float64) bool { return false }

// add takes what was seen of an outage. void says what does not count of what happened
// between two instants.
func (t *tally) add(o outage, s seen, void func(from, to float64) bool) {
	onset, end, all := void(o.onset(), o.onset()), void(o.end(), o.end()), void(o.onset(), o.end())
	found := s.found && !math.IsInf(s.end, 1)
	switch {
	case all:
		t.voided++
	case !found:
		t.missed++
		t.relapses += len(o.bursts) - 1
	default:
		t.relapses += max(0, len(o.bursts)-1-s.relapses)
	}
	if !found {
		return
	}
	if !all {
		t.lengths.add(1000*(o.end()-o.onset()), s.lengthCI, 0)
	}
	if !onset {
		t.onsets = append(t.onsets, 1000*math.Abs(s.onset-o.onset()))
		t.within(o.onset(), s.onsetCI)
	}
	if !end {
		t.ends = append(t.ends, 1000*math.Abs(s.end-o.end()))
		t.within(o.end(), s.endCI)
	}
}

// within takes an interval of an instant.
func (t *tally) within(truth float64, said *verdict.Bounds) {
	t.instants.add(1000*truth, said, 0)
	t.nearly.add(1000*truth, said, onTheWay)
	if said != nil {
		t.widths = append(t.widths, said[1]-said[0])
	}
}

// watch lets everybody look at outages of a sort.
func watch(ctx context.Context, s sizes, stream uint64, draw func(*rand.Rand) outage) ([observers]tally, error) {
	all := make([][observers]seen, s.outages)
	outages := make([]outage, s.outages)
	err := bench.Each(ctx, s.outages, func(i int) {
		o := draw(rand.New(rand.NewPCG(s.seed, stream<<32+uint64(i))))
		h := o.record()
		outages[i] = o
		all[i] = [observers]seen{ours: judged(h), prober: probed(o, 1), scrape10: scraped(o, h, 10), scrape15: scraped(o, h, 15)}
	})
	var tallies [observers]tally
	for i, o := range outages {
		for who := range tallies {
			if err == nil {
				tallies[who].add(o, all[i][who], counts)
			}
		}
	}
	return tallies, err
}

func measure(ctx context.Context, s sizes) ([]bench.Row, error) {
	var rows []bench.Row
	var lengths held
	for i, kind := range manners {
		tallies, err := watch(ctx, s, uint64(i), func(r *rand.Rand) outage { return newOutage(kind, r) })
		if err != nil {
			return nil, err
		}
		rows = append(rows, rowsOf(kind, s.outages, tallies)...)
		rows = append(rows, sureness(kind, s.outages, tallies[ours])...)
		lengths = lengths.plus(tallies[ours].lengths)
	}
	rows = append(rows, bench.Judge("intervals of 95 % that hold the true MTTR, all of the above", bench.AtLeast(covered, "%"), bench.Samples{Ours: lengths.percent()}, alone))
	tallies, err := watch(ctx, s, uint64(len(manners)), never)
	if err != nil {
		return nil, err
	}
	found := func(who int) float64 { return float64(s.outages - tallies[who].missed) }
	rows = append(rows, bench.Judge(fmt.Sprintf("outages found in %d runs without one, 0.1 %% of errors all the time; beside %s", s.outages, names[prober]),
		bench.AtMost(math.Ceil(0.01*float64(s.outages)), "outages"), bench.Samples{Ours: []float64{found(ours)}, Peer: []float64{found(prober)}}, ""))
	return rows, nil
}

const (
	covered  = 93  // % of the intervals of 95 %
	onTheWay = 0.2 // ms that an instant may be off beyond the gap between two requests
	alone    = "no peer says how sure it is"
)

// rowsOf are what is wanted of a sort of outage.
func rowsOf(kind manner, outages int, tallies [observers]tally) []bench.Row {
	var rows []bench.Row
	us, peer := tallies[ours], tallies[prober]
	most := 10.0 // of p99, ms
	if kind.share < 0.5 {
		most = 30
	}
	for _, instant := range []struct {
		name string
		of   func(tally) []float64
	}{{"onset", func(t tally) []float64 { return t.onsets }}, {"recovery", func(t tally) []float64 { return t.ends }}} {
		name := fmt.Sprintf("how far off the %s is, %d outages, %s", instant.name, outages, kind.name)
		add := func(what string, want bench.Want, q float64, who int) {
			row := bench.Judge(fmt.Sprintf("%s: %s; beside %s", name, what, names[who]), want,
				bench.Samples{Ours: quantile(instant.of(us), q), Peer: quantile(instant.of(tallies[who]), q)}, "nothing was found")
			if row.Because == "" && kind.share < 1 {
				row.Because = kind.floor()
			}
			rows = append(rows, row)
		}
		add("p50", bench.AtMost(1000.0/rate+onTheWay, "ms"), 0.5, scrape10)
		add("p99", bench.AtMost(most, "ms"), 0.99, prober)
		add("p50", bench.Times(100, "ms"), 0.5, prober)
		add("p50", bench.Times(1000, "ms"), 0.5, scrape15)
	}
	count := func(what string, mine, theirs int) {
		rows = append(rows, bench.Judge(fmt.Sprintf("%s in %d, %s; beside %s", what, outages, kind.name, names[prober]),
			bench.AtMost(0, "missed"), bench.Samples{Ours: []float64{float64(mine)}, Peer: []float64{float64(theirs)}}, ""))
	}
	count("outages that are not seen", us.missed, peer.missed)
	if kind.flaps {
		count("relapses that are not seen", us.relapses, peer.relapses)
	}
	return rows
}

// sureness is how often the intervals of a sort of outage hold the truth, and how wide they
// are for that.
func sureness(kind manner, outages int, us tally) []bench.Row {
	return []bench.Row{
		bench.Judge(fmt.Sprintf("intervals of 95 %% that hold the true instant, %d outages, %s", outages, kind.name), bench.AtLeast(covered, "%"), bench.Samples{Ours: us.instants.percent()}, alone),
		bench.Judge(fmt.Sprintf("how wide these intervals are, %d outages, %s: p50", outages, kind.name), bench.AtMost(kind.widest(), "ms"), bench.Samples{Ours: quantile(us.widths, 0.5)}, alone),
	}
}

// quantile is one figure, or none of nothing.
func quantile(values []float64, q float64) []float64 {
	if v, ok := stats.Quantile(values, q); ok {
		return []float64{v}
	}
	return nil
}
