package main

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/cutover-dev/cutover/bench"
	"github.com/cutover-dev/cutover/bench/stalls"
	"github.com/cutover-dev/cutover/faults/agent"
)

const (
	seed = 7
	// spoiltAtMost is the share of exchanges that stalls of the machine may void
	// before there is no figure.
	spoiltAtMost = 0.05
)

func head(ctx context.Context, s sizes) bench.Head {
	return bench.Head{
		Benchmark: "delay", Date: time.Now().UTC(), N: s.rounds, Machine: bench.ThisMachine(),
		Versions: map[string]string{"cutover": bench.Revision(ctx)},
	}
}

// streamRows are about one TCP stream.
func streamRows(ctx context.Context, s sizes, watched *stalls.Seen, noNetem string) ([]bench.Row, error) {
	delay := agent.Delay{Latency: 20 * time.Millisecond}
	began := stalls.Monotonic()
	samples, err := rounds(s.rounds, noNetem, func(driver string) (float64, error) {
		rate, err := stream(ctx, driver, delay, time.Second, time.Duration(s.stream)*time.Second)
		return rate / 1e6, err
	})
	row := bench.Judge("one TCP stream from the pod through 20ms", bench.AtLeast(500, "Mbit/s"), samples, noNetem)
	row.Because = bench.Because(fmt.Sprintf("rounds %.0f", samples.Ours), told(watched, began), noNetem)
	return []bench.Row{row}, err
}

func rounds(count int, noNetem string, one func(driver string) (float64, error)) (samples bench.Samples, err error) {
	for range count {
		figure, err := one("queue")
		if err != nil {
			return samples, err
		}
		samples.Ours = append(samples.Ours, figure)
		if noNetem != "" {
			continue
		}
		if figure, err = one("netem"); err != nil {
			return samples, err
		}
		samples.Peer = append(samples.Peer, figure)
	}
	return samples, nil
}

// flowRate is in packets a second.
const flowRate = 10_000

// flowRows are about many small packets: what they cost, and their order.
func flowRows(ctx context.Context, s sizes, watched *stalls.Seen, noNetem string) ([]bench.Row, error) {
	const peerless = "the peer works in the kernel: no process could be charged for it"
	began := stalls.Monotonic()
	var offs []time.Duration
	lost := 0
	cost, err := rounds(s.rounds, peerless, func(driver string) (float64, error) {
		f, err := packets(ctx, driver, agent.Delay{Latency: 20 * time.Millisecond}, flowRate, s.flow)
		offs, lost = append(offs, f.off...), lost+f.sent-f.received
		return 100 * f.share(), err
	})
	if err != nil {
		return nil, err
	}
	price := bench.Judge("CPU time of the driver's process for 10,000 packets/s through 20ms", bench.AtMost(15, "% of a core"), cost, peerless)
	price.Because = bench.Because(fmt.Sprintf("rounds %.1f; %d lost; later than due: %s", cost.Ours, lost, spread(offs)), told(watched, began), peerless)
	if lost > 0 {
		price.Met = new(false)
	}

	began = stalls.Monotonic()
	offs, lost = nil, 0
	order, err := rounds(s.rounds, noNetem, func(driver string) (float64, error) {
		f, err := packets(ctx, driver, agent.Delay{Latency: 20 * time.Millisecond, Jitter: 15 * time.Millisecond, Seed: seed}, flowRate, s.flow)
		if driver == "queue" {
			offs, lost = append(offs, f.off...), lost+f.sent-f.received
		}
		return float64(f.overtaken), err
	})
	kept := bench.Judge(fmt.Sprintf("packets overtaken, of %d at 10,000/s through 20ms ± 15ms", s.flow), bench.AtMost(0, "packets"), order, noNetem)
	kept.Because = bench.Because(fmt.Sprintf("%d lost; later than due: %s", lost, spread(offs)), told(watched, began), noNetem)
	return []bench.Row{price, kept}, err
}

// exchangeRows are about single packets on idle connections. The delays are
// measured side by side: each waits nearly all of its time.
func exchangeRows(ctx context.Context, s sizes, watched *stalls.Seen, noNetem string) ([]bench.Row, error) {
	var delays []agent.Delay
	for _, latency := range []time.Duration{5 * time.Millisecond, 50 * time.Millisecond, 500 * time.Millisecond} {
		delays = append(delays, agent.Delay{Latency: latency}, agent.Delay{Latency: latency, Jitter: latency / 5, Seed: seed})
	}
	ours, peers := make([][]exchange, len(delays)), make([][]exchange, len(delays))
	began := stalls.Monotonic()
	all, ctx := errgroup.WithContext(ctx)
	for i, delay := range delays {
		all.Go(func() (err error) { ours[i], err = exchanges(ctx, "queue", delay, s.exchanges); return err })
		if noNetem == "" {
			all.Go(func() (err error) { peers[i], err = exchanges(ctx, "netem", delay, s.exchanges); return err })
		}
	}
	if err := all.Wait(); err != nil {
		return nil, err
	}
	var rows []bench.Row
	var apart bench.Samples
	for i, delay := range delays {
		one, other := account(ours[i], watched), account(peers[i], watched)
		rows = append(rows, exact(delay, one, other, told(watched, began), noNetem)...)
		if len(one.took) > 0 && len(other.took) > 0 {
			apart.Ours = append(apart.Ours, milliseconds(furthest(one.took, other.took)))
		}
	}
	agree := bench.Judge("the queue and netem agree: greatest difference between the deciles of how long exchanges took, median of the delays",
		bench.AtMost(1, "ms"), apart, noNetem)
	if noNetem == "" {
		agree.Because = fmt.Sprintf("for each delay: %.3f", apart.Ours)
	}
	return append(rows, agree), nil
}

// furthest is how far the deciles of two distributions are apart.
func furthest(one, other []time.Duration) (most time.Duration) {
	one, other = slices.Sorted(slices.Values(one)), slices.Sorted(slices.Values(other))
	for decile := 1; decile <= 9; decile++ {
		q := float64(decile) / 10
		most = max(most, (quantile(one, q) - quantile(other, q)).Abs())
	}
	return most
}

// atWork is how long an exchange takes to reach the queue, generously. It is at
// work again from when its packet is due; a stall in between does it no harm.
const atWork = time.Millisecond

// accounted are the errors of exchanges.
type accounted struct {
	all, fair       []time.Duration // fair without those that were voided
	took            []time.Duration // how long the fair ones took
	stalled, shared int             // voided: by stalls, by other packets of the connection
}

func account(list []exchange, watched *stalls.Seen) (a accounted) {
	for _, e := range list {
		switch {
		case !e.alone:
			a.shared++
			continue
		case watched.During(e.from, e.from+atWork.Nanoseconds()), watched.During(e.from+e.drawn.Nanoseconds(), e.to):
			a.stalled++
		default:
			a.fair = append(a.fair, e.off())
			a.took = append(a.took, time.Duration(e.to-e.from))
		}
		a.all = append(a.all, e.off())
	}
	return a
}

// spoilt says that too much was voided.
func (a accounted) spoilt() bool {
	voided := a.stalled + a.shared
	return float64(voided) > spoiltAtMost*float64(voided+len(a.fair))
}

func (a accounted) String() string {
	return fmt.Sprintf("%s; voided %d (%d by stalls, %d because of other packets on the connection); with those that stalls voided: %s",
		spread(a.fair), a.stalled+a.shared, a.stalled, a.shared, spread(a.all))
}

// exact are the rows of one delay: how far off an exchange is, mostly and at worst.
func exact(delay agent.Delay, ours, peer accounted, told, noNetem string) []bench.Row {
	name := delay.Latency.String()
	if delay.Jitter > 0 {
		name += " ± " + delay.Jitter.String()
	}
	var rows []bench.Row
	for _, part := range []struct {
		name  string
		q     float64
		limit float64
	}{{"median", 0.5, 1}, {"p99", 0.99, 2}} {
		var samples bench.Samples
		samples.Ours = figure(ours, part.q)
		missing := noNetem
		if delay.Jitter == 0 {
			samples.Peer = figure(peer, part.q)
		} else if noNetem == "" {
			missing = "netem's draws are not known: see whether it agrees"
		}
		target := fmt.Sprintf("%s |error| of an exchange through %s", part.name, name)
		row := bench.Judge(target, bench.AtMost(part.limit, "ms"), samples, missing)
		row.Because = bench.Because(ours.String(), told, missing)
		if ours.spoilt() {
			row.Because = bench.Because("too many were voided", row.Because)
		}
		rows = append(rows, row)
	}
	return rows
}

// figure is a quantile of the sizes of the errors, in milliseconds, if it is one.
func figure(a accounted, q float64) []float64 {
	if len(a.fair) == 0 || a.spoilt() {
		return nil
	}
	var sizes []time.Duration
	for _, off := range a.fair {
		sizes = append(sizes, off.Abs())
	}
	slices.Sort(sizes)
	return []float64{milliseconds(quantile(sizes, q))}
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// quantile of sorted durations: the least that is no less than so many of them.
func quantile(sorted []time.Duration, q float64) time.Duration {
	return sorted[max(0, int(math.Ceil(q*float64(len(sorted))))-1)]
}

// spread is a distribution in a line.
func spread(list []time.Duration) string {
	if len(list) == 0 {
		return "none"
	}
	sorted := slices.Sorted(slices.Values(list))
	return fmt.Sprintf("n %d, least %.3f, p50 %.3f, p90 %.3f, p99 %.3f, most %.3f ms", len(sorted), milliseconds(sorted[0]),
		milliseconds(quantile(sorted, 0.5)), milliseconds(quantile(sorted, 0.9)), milliseconds(quantile(sorted, 0.99)), milliseconds(sorted[len(sorted)-1]))
}

// told is what is to be said about the machine since an instant.
func told(watched *stalls.Seen, since int64) string {
	return fmt.Sprintf("load average %s; stalls of the machine meanwhile: %s", bench.ThisMachine().Load, spread(watched.Since(since)))
}
