package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/cutover-dev/cutover/bench"
	"github.com/cutover-dev/cutover/bench/stalls"
)

const (
	// lowest and most bound the search.
	lowest, most = 1000, 400_000
	// steadyRate is the one at which allocations are counted.
	steadyRate = 5000
)

// bounds are what p99 of the release error may be at a rate that counts as sent: on time, and
// merely kept up with.
var bounds = [...]time.Duration{time.Millisecond, 10 * time.Millisecond}

// highest doubles a rate until it is not sustained, and then halves what is left between
// until that is finer than a factor. It is 0 if not even the lowest is sustained.
func highest(finest float64, sustained func(rate int) (bool, error)) (int, error) {
	good, bad := 0, lowest
	for bad <= most {
		ok, err := sustained(bad)
		if err != nil {
			return 0, err
		}
		if !ok {
			break
		}
		good, bad = bad, 2*bad
	}
	for good > 0 && bad <= most && float64(bad) > finest*float64(good) {
		between := int(math.Sqrt(float64(good) * float64(bad)))
		ok, err := sustained(between)
		if err != nil {
			return 0, err
		}
		if ok {
			good = between
		} else {
			bad = between
		}
	}
	return good, nil
}

// highestRates searches the highest rate of a tool of ours for each bound.
func (l *lab) highestRates(ctx context.Context, role string, s sizes) (rates [len(bounds)]float64, err error) {
	known := map[int]time.Duration{}
	for i, bound := range bounds {
		rate, err := highest(s.finest, func(rate int) (bool, error) {
			if _, asked := known[rate]; !asked {
				var err error
				if known[rate], err = l.lateAt(ctx, role, rate, s); err != nil {
					return false, err
				}
			}
			return known[rate] <= bound, nil
		})
		if err != nil {
			return rates, err
		}
		rates[i] = float64(rate)
	}
	return rates, nil
}

// lateAt is p99 of the release error at a rate. A run that stalls of the machine spoilt is made
// once more.
func (l *lab) lateAt(ctx context.Context, role string, rate int, s sizes) (time.Duration, error) {
	for range 2 {
		j := job{Rate: rate, Lasting: s.step, Timeout: time.Second, Seed: int64(rate)}
		// Whoever is hopelessly behind need not finish.
		limited, stop := context.WithTimeout(ctx, 10*s.step+10*time.Second)
		o, was, err := l.run(limited, role, manner{Room: j.room()}, j)
		late := limited.Err() != nil && ctx.Err() == nil
		stop()
		if late {
			return lost, nil
		}
		if err != nil {
			return lost, err
		}
		if p99, ok := join(j.planned(), o, was, l.watched).quantile(0.99); ok {
			return p99, nil
		}
	}
	return lost, nil
}

// capacityRows are about the most that one processor sends, and what a request costs.
func capacityRows(ctx context.Context, l *lab, s sizes) ([]bench.Row, error) {
	began := stalls.Monotonic()
	var ours, vegetas [len(bounds)][]float64
	var wrks, heys []float64
	noWrk, noHey := "", ""
	for round := range s.rounds {
		for _, role := range turns(round) {
			rates, err := l.highestRates(ctx, role, s)
			if err != nil {
				return nil, err
			}
			for i, rate := range rates {
				if role == "ours" {
					ours[i] = append(ours[i], rate)
				} else {
					vegetas[i] = append(vegetas[i], rate)
				}
			}
		}
		for _, peer := range []struct {
			list   *[]float64
			reason *string
			loop   func(context.Context, time.Duration) (float64, error)
		}{{&wrks, &noWrk, l.wrkClosed}, {&heys, &noHey, l.heyClosed}} {
			rate, err := peer.loop(ctx, s.closed)
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			if err != nil {
				*peer.reason = err.Error() // a peer that cannot be measured leaves a gap
				continue
			}
			*peer.list = append(*peer.list, rate)
		}
	}
	const unit = "requests/s"
	var rows []bench.Row
	for i, bound := range bounds {
		row := bench.Judge(fmt.Sprintf("highest rate with p99 of the release error ≤ %s, on one processor; beside vegeta", bound), bench.TimesMore(3, unit),
			bench.Samples{Ours: ours[i], Peer: vegetas[i]}, "")
		row.Because = fmt.Sprintf("highest rates with p99 ≤ %s, or 0 if it is not even %d/s: ours %s, vegeta %s; %s", bound, lowest, spread(ours[i]), spread(vegetas[i]), l.told(began))
		rows = append(rows, row)
	}
	closed := bench.Judge(fmt.Sprintf("highest rate with p99 of the release error ≤ %s, on one processor; beside the most that wrk sends in a closed loop", bounds[0]), bench.TimesMore(0.7, unit),
		bench.Samples{Ours: ours[0], Peer: wrks}, noWrk)
	closed.Because = bench.Because(fmt.Sprintf("in a closed loop: wrk %s, hey %s", spread(wrks), spread(heys)), noWrk, noHey)
	row, err := l.allocationRow(ctx, s)
	return append(rows, closed, row), err
}

// allocationRow is about the heap, once a run has settled. What the benchmark's own books do
// is counted too: they allocate nothing.
func (l *lab) allocationRow(ctx context.Context, s sizes) (bench.Row, error) {
	var samples bench.Samples
	for _, part := range []struct {
		role string
		list *[]float64
	}{{"ours", &samples.Ours}, {"vegeta", &samples.Peer}} {
		j := job{Rate: steadyRate, Lasting: 2 * s.lasting, Seed: 1, Count: true}
		o, _, err := l.run(ctx, part.role, manner{Room: j.room()}, j)
		if err != nil {
			return bench.Row{}, err
		}
		*part.list = append(*part.list, o.Allocations)
	}
	return bench.Judge(fmt.Sprintf("allocations for a request, at %d/s; beside vegeta", steadyRate), bench.AtMost(0.01, "allocations"), samples, ""), nil
}

// wrkClosed is the best of some numbers of connections.
func (l *lab) wrkClosed(ctx context.Context, lasting time.Duration) (best float64, err error) {
	for _, connections := range []int{16, 64, 256} {
		if _, err := l.be(manner{Room: 1}); err != nil {
			return 0, err
		}
		out, err := l.other(ctx, "wrk", "-t1", "-c"+strconv.Itoa(connections), "-d"+seconds(lasting), l.url())
		if err != nil {
			return 0, err
		}
		rate, err := perSecond(out)
		if err != nil {
			return 0, err
		}
		best = max(best, rate)
	}
	return best, nil
}

func (l *lab) heyClosed(ctx context.Context, lasting time.Duration) (float64, error) {
	if _, err := l.be(manner{Room: 1}); err != nil {
		return 0, err
	}
	out, err := l.other(ctx, "hey", "-z", lasting.String(), "-c", "64", l.url())
	if err != nil {
		return 0, err
	}
	return perSecond(out)
}

// seconds is a duration as wrk takes it: whole ones.
func seconds(d time.Duration) string { return strconv.Itoa(int(math.Ceil(d.Seconds()))) + "s" }

var requestsPerSecond = regexp.MustCompile(`Requests/sec:\s+([0-9.]+)`)

// perSecond reads what both wrk and hey print.
func perSecond(out string) (float64, error) {
	found := requestsPerSecond.FindStringSubmatch(out)
	if found == nil {
		return 0, errors.New("no requests a second in what was printed: " + strings.TrimSpace(out))
	}
	return strconv.ParseFloat(found[1], 64)
}
