package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	vegeta "github.com/tsenart/vegeta/v12/lib"

	"github.com/cutover-dev/cutover/bench"
	"github.com/cutover-dev/cutover/loadgen"
)

// sizes are how much is measured.
type sizes struct {
	seed    uint64
	samples int
	rounds  int
}

// quantiles are those that are compared.
var quantiles = []float64{0.5, 0.9, 0.95, 0.99, 0.999, 0.9999, 0.99999}

func measure(ctx context.Context, s sizes) ([]bench.Row, error) {
	var rows []bench.Row
	for i, shape := range shapes {
		if err := ctx.Err(); err != nil {
			return rows, err
		}
		drawn := latencies(shape, s.samples, s.seed, uint64(i))
		ours, peer := 0.0, 0.0
		for _, e := range errorsOf(drawn) {
			ours, peer = max(ours, e.ours), max(peer, e.peer)
		}
		target := fmt.Sprintf("largest relative error of p50 to p99.999 of %d latencies, %s; beside vegeta's t-digest", s.samples, shape.name)
		samples := bench.Samples{Ours: []float64{100 * ours}, Peer: []float64{100 * peer}}
		rows = append(rows, bench.Judge(target, bench.AtMost(0.1, "%"), samples, ""), bench.Judge(target, bench.Times(50, "%"), samples, ""))
	}
	speed, err := speedRow(ctx, s)
	if err != nil {
		return rows, err
	}
	merged, err := mergeRow(s)
	return append(rows, speed, merged), err
}

// deviation is how far estimates of a quantile are from it, relative to it.
type deviation struct{ ours, peer float64 }

// errorsOf compares, quantile by quantile, with the nearest rank of the sorted latencies,
// which it leaves sorted.
func errorsOf(drawn []time.Duration) []deviation {
	ours, peer := loadgen.NewHistogram(), vegeta.LatencyMetrics{}
	for _, latency := range drawn {
		_ = ours.RecordValue(latency.Microseconds()) // within its range by construction
		peer.Add(latency)
	}
	slices.Sort(drawn)
	var all []deviation
	for _, q := range quantiles {
		exact := float64(drawn[rank(len(drawn), q)-1])
		all = append(all, deviation{
			ours: relative(float64(ours.ValueAtQuantile(100*q))*float64(time.Microsecond), exact),
			peer: relative(float64(peer.Quantile(q)), exact),
		})
	}
	return all
}

// rank is ⌈q·n⌉, but for a hair: 0.999·n is not exact.
func rank(n int, q float64) int { return max(1, int(math.Ceil(q*float64(n)-1e-6))) }

func relative(estimate, exact float64) float64 { return math.Abs(estimate/exact - 1) }

// speedRow is what it costs to record a latency, as medians of rounds in turn.
func speedRow(ctx context.Context, s sizes) (bench.Row, error) {
	drawn := latencies(shapes[0], s.samples, s.seed, uint64(len(shapes)))
	var samples bench.Samples
	for range s.rounds {
		if err := ctx.Err(); err != nil {
			return bench.Row{}, err
		}
		ours, peer := loadgen.NewHistogram(), vegeta.LatencyMetrics{}
		samples.Ours = append(samples.Ours, each(drawn, func(latency time.Duration) { _ = ours.RecordValue(latency.Microseconds()) }))
		samples.Peer = append(samples.Peer, each(drawn, peer.Add))
	}
	return bench.Judge("to record a latency; beside vegeta's t-digest", bench.AtMost(10, "ns"), samples, ""), nil
}

// each is the nanoseconds that one of them takes.
func each(drawn []time.Duration, record func(time.Duration)) float64 {
	began := time.Now()
	for _, latency := range drawn {
		record(latency)
	}
	return float64(time.Since(began).Nanoseconds()) / float64(len(drawn))
}

// mergeRow splits latencies over shards and merges them again.
func mergeRow(s sizes) (bench.Row, error) {
	const shards = 64
	differ := 0.0
	for i, shape := range shapes {
		n, err := mergedDiffers(latencies(shape, s.samples/10, s.seed, uint64(i)), shards)
		if err != nil {
			return bench.Row{}, err
		}
		differ += float64(n)
	}
	target := fmt.Sprintf("counts that differ between %d merged shards and one histogram, over all shapes", shards)
	return bench.Judge(target, bench.AtMost(0, "counts"), bench.Samples{Ours: []float64{differ}}, "a t-digest is not merged exactly by design"), nil
}

func mergedDiffers(drawn []time.Duration, shards int) (int, error) {
	whole, merged := loadgen.NewHistogram(), loadgen.NewHistogram()
	parts := make([]*hdrhistogram.Histogram, shards)
	for i := range parts {
		parts[i] = loadgen.NewHistogram()
	}
	for i, latency := range drawn {
		us := latency.Microseconds()
		if err := errors.Join(whole.RecordValue(us), parts[i%shards].RecordValue(us)); err != nil {
			return 0, err
		}
	}
	for _, part := range parts {
		if dropped := merged.Merge(part); dropped > 0 {
			return 0, fmt.Errorf("%d latencies were lost in merging", dropped)
		}
	}
	return countsDiffer(whole, merged), nil
}

// countsDiffer is in how many buckets, or in their totals, two histograms are not the same.
func countsDiffer(a, b *hdrhistogram.Histogram) int {
	one, other := a.Export(), b.Export()
	differ := max(len(one.Counts), len(other.Counts)) - min(len(one.Counts), len(other.Counts))
	for i := range min(len(one.Counts), len(other.Counts)) {
		if one.Counts[i] != other.Counts[i] {
			differ++
		}
	}
	if a.TotalCount() != b.TotalCount() || a.Min() != b.Min() || a.Max() != b.Max() {
		differ++
	}
	return differ
}
