package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/cutover-dev/cutover/bench"
	"github.com/cutover-dev/cutover/bench/stalls"
	"github.com/cutover-dev/cutover/stats"
)

// frozen is how a server stands still, and how often that is measured.
type frozen struct {
	rounds        int
	stands, every time.Duration
	periods       int
}

const (
	frozenRate = 1000 // requests a second, evenly spaced
	// paced is how many answers a second the slower server gives.
	paced = 4 * frozenRate
	// workers is how many connections those have that send the next request after an answer.
	workers = 10
)

// oracle knows the latencies of open-loop load on a server that stands still every so
// often, and then answers those who have waited, in order, at a rate. A request that comes
// u after the freeze has begun waits S - u·(1 - λ/μ), as long as u is less than D = S·μ/(μ-λ),
// with which all have caught up: P(wait > x) = (1 - x/S)·D/P.
type oracle struct {
	stands, every  time.Duration // S, P
	arrivals, rate float64       // λ, μ; a rate of 0 is beyond all bounds
}

// share of the requests that wait: D/P.
func (o oracle) share() float64 {
	caughtUp := o.stands.Seconds()
	if o.rate > 0 {
		caughtUp *= o.rate / (o.rate - o.arrivals)
	}
	return caughtUp / o.every.Seconds()
}

// quantile is how long requests wait. It leaves out what an answer takes anyway, which is all
// there is where 1-q is at least D/P: here that is nothing.
func (o oracle) quantile(q float64) time.Duration {
	if 1-q >= o.share() {
		return 0
	}
	return time.Duration(float64(o.stands) * (1 - (1-q)/o.share()))
}

// off is by how much estimates of the quantiles are off, at worst, as a multiple of what is
// allowed: 1 ms, or 1 % where that is more. A quantile at the very edge of the requests that
// wait is none: it is nothing or a wait, by the draw.
func (o oracle) off(estimate func(q float64) time.Duration) (worst, at float64) {
	for _, q := range []float64{0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 0.9999} {
		if math.Abs(1-q-o.share()) < 0.005 {
			continue
		}
		want := o.quantile(q)
		if off := float64((estimate(q) - want).Abs()) / float64(max(time.Millisecond, want/100)); off > worst {
			worst, at = off, q
		}
	}
	return worst, at
}

// latencies are estimated by what a tool says of each request.
type latencies []time.Duration

func (l latencies) quantile(q float64) time.Duration {
	estimate, ok := stats.Quantile(l, q)
	if !ok {
		return lost
	}
	return estimate
}

// told are the latencies that ours counts, from the intended instants of the first requests.
func told(o outcome, planned int) (all latencies) {
	for i := range planned {
		if i < len(o.Intended) && o.Intended[i] != never && o.Status[i] > 0 {
			all = append(all, time.Duration(o.Done[i]-o.Intended[i]))
		} else {
			all = append(all, lost)
		}
	}
	return all
}

// reported are those that vegeta counts, from when a worker came to it.
func reported(o outcome) (all latencies) {
	for i := range o.Sent {
		if o.Sent[i] != never {
			all = append(all, time.Duration(o.Done[i]-o.Sent[i]))
		}
	}
	return all
}

// measured is how far off one tool is in each round, at which quantile in the last, and why
// nothing is known.
type measured struct {
	name    string
	off     []float64
	at      float64
	missing string
}

func (m measured) String() string {
	if len(m.off) == 0 {
		return m.name + ": " + m.missing
	}
	return fmt.Sprintf("%s %.3g times what is allowed, at p%g", m.name, m.off[len(m.off)-1], 100*m.at)
}

// frozenRows are about what tools say of a server that stands still: of one that answers those
// who have waited as fast as it can, and of one that answers so many a second.
func frozenRows(ctx context.Context, l *lab, s sizes) (rows []bench.Row, err error) {
	for _, rate := range []int{0, paced} {
		part, err := thawing(ctx, l, s.frozen, rate)
		if err != nil {
			return nil, err
		}
		rows = append(rows, part...)
	}
	return rows, nil
}

// thawing are the rows about a server that gives so many answers a second after a freeze; 0 for
// as many as it can.
func thawing(ctx context.Context, l *lab, f frozen, rate int) ([]bench.Row, error) {
	began := stalls.Monotonic()
	truth := oracle{stands: f.stands, every: f.every, arrivals: frozenRate, rate: float64(rate)}
	how := manner{Freeze: freeze{For: f.stands, Every: f.every, Rate: rate}}
	long := time.Duration(f.periods) * f.every
	ours := measured{name: "ours"}
	peers := []*measured{{name: fmt.Sprintf("vegeta with -max-workers %d", workers)}, {name: "wrk"}, {name: "hey"}}
	for range f.rounds {
		j := job{Rate: frozenRate, Lasting: long, Timeout: 10 * time.Second}
		o, _, err := l.run(ctx, "ours", from(how), j)
		if err != nil {
			return nil, err
		}
		ours.add(truth.off(told(o, j.planned()).quantile))
		j.Workers = workers
		if o, _, err = l.run(ctx, "vegeta", from(how), j); err != nil {
			return nil, err
		}
		peers[0].add(truth.off(reported(o).quantile))
		for i, quantiles := range []func(context.Context, time.Duration) (func(float64) time.Duration, error){l.wrkQuantiles, l.heyQuantiles} {
			if _, err := l.be(from(how)); err != nil {
				return nil, err
			}
			estimate, err := quantiles(ctx, long)
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			if err != nil {
				peers[i+1].missing = err.Error()
				continue
			}
			peers[i+1].add(truth.off(estimate))
		}
	}
	title := fmt.Sprintf("p50 to p99.99 of a server that stands still for %s every %s, at %d/s", f.stands, f.every, frozenRate)
	if rate > 0 {
		title += fmt.Sprintf(", and then gives %d answers a second", rate)
	}
	const unit = "× max(1 ms, 1 %)"
	rows := []bench.Row{bench.Judge(title+", largest error; beside "+peers[0].name, bench.AtMost(1, unit), bench.Samples{Ours: ours.off, Peer: peers[0].off}, "")}
	said := fmt.Sprintf("%d periods: %s", f.periods, ours)
	for _, peer := range peers {
		rows = append(rows, bench.Judge(title+", largest error; beside "+peer.name, bench.Times(100, unit), bench.Samples{Ours: ours.off, Peer: peer.off}, peer.missing))
		said += "; " + peer.String()
	}
	rows[0].Because = said + "; " + l.told(began)
	return rows, nil
}

func (m *measured) add(off, at float64) { m.off, m.at = append(m.off, off), at }

// from has the first freeze begin in half a period, so that no load over whole periods has
// part of one.
func from(m manner) manner {
	m.Room = 1
	m.Freeze.First = stalls.Monotonic() + m.Freeze.Every.Nanoseconds()/2
	return m
}

// script has wrk say what it knows of the quantiles, in microseconds.
const script = `done = function(summary, latency, requests)
  for _, q in ipairs({50, 75, 90, 95, 99, 99.9, 99.99}) do
    print("quantile", q, latency:percentile(q))
  end
end
`

// wrkQuantiles are wrk's, as fast as its connections can.
func (l *lab) wrkQuantiles(ctx context.Context, lasting time.Duration) (func(float64) time.Duration, error) {
	folder, err := os.MkdirTemp("", "bench-attack-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(folder) }() // in the system's own folder for such things
	path := filepath.Join(folder, "quantiles.lua")
	if err := os.WriteFile(path, []byte(script), 0o600); err != nil {
		return nil, err
	}
	out, err := l.other(ctx, "wrk", "-t1", "-c"+strconv.Itoa(workers), "-d"+seconds(lasting), "-s", path, l.url())
	if err != nil {
		return nil, err
	}
	return readWrk(out)
}

func readWrk(out string) (func(float64) time.Duration, error) {
	known := map[string]time.Duration{}
	for line := range strings.Lines(out) {
		fields := strings.Fields(line)
		if len(fields) != 3 || fields[0] != "quantile" {
			continue
		}
		us, err := strconv.ParseFloat(fields[2], 64)
		if err != nil {
			return nil, fmt.Errorf("wrk: %w", err)
		}
		known[fields[1]] = time.Duration(us * float64(time.Microsecond))
	}
	if len(known) == 0 {
		return nil, errors.New("wrk printed no quantiles: " + strings.TrimSpace(out))
	}
	return func(q float64) time.Duration { return known[strconv.FormatFloat(100*q, 'g', 6, 64)] }, nil
}

// heyQuantiles are of the requests that hey tells, at the same rate in all.
func (l *lab) heyQuantiles(ctx context.Context, lasting time.Duration) (func(float64) time.Duration, error) {
	out, err := l.other(ctx, "hey", "-z", lasting.String(), "-c", strconv.Itoa(workers), "-q", strconv.Itoa(frozenRate/workers), "-o", "csv", l.url())
	if err != nil {
		return nil, err
	}
	return readHey(out)
}

func readHey(out string) (func(float64) time.Duration, error) {
	var all latencies
	for line := range strings.Lines(out) {
		first, _, _ := strings.Cut(line, ",")
		if seconds, err := strconv.ParseFloat(first, 64); err == nil { // the first line is a heading
			all = append(all, time.Duration(seconds*float64(time.Second)))
		}
	}
	if len(all) == 0 {
		return nil, errors.New("hey told no latencies: " + strings.TrimSpace(out))
	}
	return all.quantile, nil
}
