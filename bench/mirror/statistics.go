package main

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/cutover-dev/cutover/bench"
	"github.com/cutover-dev/cutover/stats"
)

// sizes are how much is simulated.
type sizes struct {
	seed     uint64
	runs     int // in which nothing differs
	requests int // of each of these
	delays   int // runs in which a field is wrong
}

const (
	manyFields = 1000
	fewFields  = 20
	alpha      = 0.01
	wrong      = 0.01 // of the answers, in the field that is wrong
	inTime     = 1500 // requests
	looks      = 40   // on the way through a run
)

// judges are who looks at the same counts.
var judges = [...]func(*counted) []int{ours, diffys}

// lookAt are the numbers of requests at which a run is looked at: more often at the
// beginning, where it takes little to be deceived.
func lookAt(requests int) []int64 {
	var at []int64
	for i := range looks {
		n := int64(math.Round(10 * math.Pow(float64(requests)/10, float64(i)/(looks-1))))
		if len(at) == 0 || n > at[len(at)-1] {
			at = append(at, n)
		}
	}
	return at
}

// alarms are what came of runs in which nothing differs, by judge.
type alarms struct {
	ever  [len(judges)]int // runs in which some field was said to differ at some look
	atEnd [len(judges)]int // and at the last
}

func countAlarms(ctx context.Context, s sizes, noise []field) (alarms, error) {
	type seen struct{ ever, atEnd [len(judges)]bool }
	all := make([]seen, s.runs)
	err := bench.Each(ctx, s.runs, func(run int) {
		r := rand.New(rand.NewPCG(s.seed, uint64(run)))
		c := counted{fields: make([]tally, len(noise))}
		for _, n := range lookAt(s.requests) {
			c.more(n-c.requests, noise, r)
			for i, judge := range judges {
				named := len(judge(&c)) > 0
				all[run].ever[i] = all[run].ever[i] || named
				all[run].atEnd[i] = named
			}
		}
	})
	var a alarms
	for _, one := range all {
		for i := range judges {
			a.ever[i] += count(one.ever[i])
			a.atEnd[i] += count(one.atEnd[i])
		}
	}
	return a, err
}

func count(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

// alarmRows: nothing differs but by chance. One run of a hundred may say otherwise; that
// many and 3.1 standard deviations more are wanted at most.
func alarmRows(ctx context.Context, s sizes) ([]bench.Row, error) {
	a, err := countAlarms(ctx, s, noisyFields(manyFields))
	if err != nil {
		return nil, err
	}
	n := float64(s.runs)
	most := math.Floor(alpha*n + 3.1*math.Sqrt(n*alpha*(1-alpha)))
	row := func(when string, counts [len(judges)]int) bench.Row {
		target := fmt.Sprintf("runs of %d in which a field of %d is said to differ that does not, %s; beside Diffy's rule", s.runs, manyFields, when)
		return bench.Judge(target, bench.AtMost(most, "runs"), bench.Samples{Ours: []float64{float64(counts[0])}, Peer: []float64{float64(counts[1])}}, "")
	}
	return []bench.Row{
		row(fmt.Sprintf("at any of %d looks on the way to %d requests", looks, s.requests), a.ever),
		row(fmt.Sprintf("after %d requests", s.requests), a.atEnd),
	}, nil
}

// found is when a field that is wrong was said to differ, and how many others then were.
type found struct {
	requests float64
	others   float64
}

// never is more requests than any field takes to be found.
const never = 100_000

// delays are what became of runs in which the candidate's answers are wrong in one field, by
// judge. It is looked at after each answer that is wrong: nothing else can make it found.
func delays(ctx context.Context, s sizes, noise []field) ([len(judges)][]found, error) {
	var all [len(judges)][]found
	for i := range all {
		all[i] = make([]found, s.delays)
	}
	err := bench.Each(ctx, s.delays, func(run int) {
		r := rand.New(rand.NewPCG(s.seed+1, uint64(run)))
		c, broken := counted{fields: make([]tally, len(noise)+1)}, len(noise)
		left := len(judges)
		for left > 0 && c.requests < never {
			right := int64(math.Log(1-r.Float64()) / math.Log1p(-wrong))
			c.more(right+1, noise, r)
			c.fields[broken].candidate++
			for i, judge := range judges {
				if all[i][run].requests > 0 {
					continue
				}
				if named := judge(&c); slices.Contains(named, broken) {
					all[i][run] = found{float64(c.requests), float64(len(named) - 1)}
					left--
				}
			}
		}
		for i := range judges {
			if all[i][run].requests == 0 {
				all[i][run].requests = never
			}
		}
	})
	return all, err
}

// delayRows: one field is wrong in some of the answers, beside many that are noise and
// beside few.
func delayRows(ctx context.Context, s sizes) ([]bench.Row, error) {
	var rows []bench.Row
	for _, fields := range []int{manyFields, fewFields} {
		all, err := delays(ctx, s, noisyFields(fields))
		if err != nil {
			return nil, err
		}
		name := fmt.Sprintf("a field that is wrong in %g %% of the answers, among %d that are noise, %d runs", 100*wrong, fields, s.delays)
		soon := bench.Judge("requests until it is said to differ, p95: "+name+"; beside Diffy's rule", bench.AtMost(inTime, "requests"),
			bench.Samples{Ours: []float64{p95(all[0])}, Peer: []float64{p95(all[1])}}, "")
		if fields == manyFields {
			soon.Because = whyLate(fields + 1)
		}
		rows = append(rows, soon, bench.Judge("others that are said to differ, too, when it is, mean: "+name+"; beside Diffy's rule", bench.AtMost(alpha, "fields"),
			bench.Samples{Ours: []float64{others(all[0])}, Peer: []float64{others(all[1])}}, ""))
	}
	return rows, nil
}

// whyLate says what no test can do better: of three answers, an odd one speaks for a
// difference by a factor of three at most.
func whyLate(fields int) string {
	least := int(math.Ceil(math.Log(float64(fields)/alpha) / math.Log(3)))
	return fmt.Sprintf("one odd answer of three is evidence by a factor of 3 at most, so that among %d fields it takes %d of them, whatever the test; at %g %% of the answers the last of them comes within %d requests at p95, and no sooner",
		fields, least, 100*wrong, waitFor(least))
}

// waitFor is within how many requests so many of them are wrong, with a chance of 95 %.
func waitFor(times int) int {
	n := times
	for stats.BinomialTail(times, n, wrong) < 0.95 {
		n++
	}
	return n
}

func p95(all []found) float64 {
	requests := make([]float64, len(all))
	for i, f := range all {
		requests[i] = f.requests
	}
	q, _ := stats.Quantile(requests, 0.95)
	return q
}

func others(all []found) float64 {
	sum := 0.0
	for _, f := range all {
		sum += f.others
	}
	return sum / float64(max(len(all), 1))
}
