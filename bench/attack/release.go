package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/cutover-dev/cutover/bench"
	"github.com/cutover-dev/cutover/bench/stalls"
)

// shape is a load whose release is measured.
type shape struct {
	rate    int
	poisson bool
}

var shapes = []shape{{1000, false}, {5000, false}, {20_000, false}, {1000, true}, {5000, true}, {20_000, true}}

func (s shape) String() string {
	if s.poisson {
		return fmt.Sprintf("%d/s at random", s.rate)
	}
	return fmt.Sprintf("%d/s evenly spaced", s.rate)
}

// tails are the runs of one tool with one shape: quantiles in microseconds.
type tails struct {
	p50, p99, p999         []float64
	voided, spoilt, absent int
}

func (t *tails) add(r release) {
	t.voided, t.absent = t.voided+r.voided, t.absent+r.absent
	if r.spoilt() {
		t.spoilt++
	}
	for _, part := range []struct {
		q    float64
		list *[]float64
	}{{0.5, &t.p50}, {0.99, &t.p99}, {0.999, &t.p999}} {
		if late, ok := r.quantile(part.q); ok {
			*part.list = append(*part.list, microseconds(late))
		}
	}
}

func (t tails) String() string {
	text := fmt.Sprintf("p50 %s, p99 %s, p99.9 %s µs", spread(t.p50), spread(t.p99), spread(t.p999))
	return text + fmt.Sprintf(", %d voided by stalls, %d runs spoilt by them, %d never read", t.voided, t.spoilt, t.absent)
}

// releaseRows are about how late requests are released, beside vegeta, and whether the
// books of these runs are right.
func releaseRows(ctx context.Context, l *lab, s sizes) ([]bench.Row, error) {
	var rows []bench.Row
	var all, unmade sums
	runs, off := 0, 0.0
	for i, shape := range shapes {
		began := stalls.Monotonic()
		var ours, peer tails
		for round := range s.rounds {
			j := job{Rate: shape.rate, Poisson: shape.poisson, Lasting: s.lasting, Seed: int64(100*i + round + 1)}
			for _, role := range turns(round) {
				o, was, err := l.run(ctx, role, manner{Room: j.room()}, j)
				if err != nil {
					return nil, err
				}
				released := join(planned(j, o), o, was, l.watched)
				if role == "vegeta" {
					peer.add(released)
					unmade = unmade.plus(vegetasAccount(planned(j, o), o, was))
					continue
				}
				ours.add(released)
				all, runs = all.plus(account(planned(j, o), o, was, false)), runs+1
				if !shape.poisson {
					off = max(off, rateOff(j.Rate, o.Intended))
				}
			}
		}
		samples := bench.Samples{Ours: ours.p99, Peer: peer.p99}
		target := fmt.Sprintf("p99 of the release error at %s; beside vegeta", shape)
		for _, want := range []bench.Want{bench.AtMost(100, "µs"), bench.Times(10, "µs")} {
			row := bench.Judge(target, want, samples, "")
			row.Because = fmt.Sprintf("%s: ours %s; vegeta %s; %s", shape, ours, peer, l.told(began))
			rows = append(rows, row)
		}
	}
	name := fmt.Sprintf("in %d runs of 1,000 to 20,000/s", runs)
	books := bench.Judge("requests that the books do not account for, "+name+"; beside hits that vegeta's results do not", bench.AtMost(0, "requests"),
		bench.Samples{Ours: []float64{float64(all.wrong)}, Peer: []float64{float64(unmade.wrong)}}, "")
	books.Because = name + ": " + all.String()
	exact := bench.Judge("mean rate off the plan's, evenly spaced, at worst", bench.AtMost(1, "ppm"), bench.Samples{Ours: []float64{off}}, "vegeta does not say when it meant to send")
	return append(rows, books, exact), nil
}

// turns has each go first in every other round.
func turns(round int) []string {
	if round%2 == 0 {
		return []string{"ours", "vegeta"}
	}
	return []string{"vegeta", "ours"}
}

// planned is how many requests were to be released until the end. Of those at random, only
// the tool knows.
func planned(j job, o outcome) int {
	if j.Poisson {
		return len(o.Intended)
	}
	return j.planned()
}

// vegetasAccount looks only at what vegeta has words for: each result is of a hit that the
// sink read once.
func vegetasAccount(due int, o outcome, was seen) sums {
	for i := range o.Sent {
		o.Ended.Planned++
		if o.Sent[i] != never {
			o.Ended.Sent++
		} else {
			o.Ended.Unsent++
		}
	}
	return account(due, o, was, false)
}

func microseconds(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 }

// spread is the median of some figures, and their range.
func spread(figures []float64) string {
	if len(figures) == 0 {
		return "none"
	}
	sorted := slices.Sorted(slices.Values(figures))
	return fmt.Sprintf("%.0f (%.0f to %.0f)", sorted[(len(sorted)-1)/2], sorted[0], sorted[len(sorted)-1])
}

func sum(all []time.Duration) (total time.Duration) {
	for _, one := range all {
		total += one
	}
	return total
}
