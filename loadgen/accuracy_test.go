package loadgen

import (
	"cmp"
	"context"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/cutover-dev/cutover/history"
	"github.com/cutover-dev/cutover/stats"
)

// outage is a stretch of the run's time.
type outage struct{ from, to history.Micros }

func (o outage) overlap(p outage) history.Micros { return min(o.to, p.to) - max(o.from, p.from) }

// TestOutagesAreTimedExactly compares onset and recovery as they are read from the
// record with a server that knows them, because it scripted them. It takes a
// minute: it is the measurement that every MTTR rests on.
func TestOutagesAreTimedExactly(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes a minute")
	}
	const (
		outages = 50
		errors  = 0.5 // share of requests that fail during one
		within  = 25 * time.Millisecond
	)
	clock := history.NewClock()
	truth := script(outages, rand.New(rand.NewPCG(11, 1)))
	dial := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		now := clock.Now()
		failing := slices.ContainsFunc(truth, func(o outage) bool { return now >= o.from && now < o.to })
		if failing && rand.Float64() < errors {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	sink := &memory{began: map[int64]int{}, answered: map[int64]int{}}
	spec := valid()
	spec.Rate = Rate{500, time.Second}
	ctx, cancel := context.WithDeadline(t.Context(), clock.Time(truth[outages-1].to.After(time.Second)))
	defer cancel()
	a := &Attack{Spec: spec, Seed: 3, RunID: "run", Host: "shop", Dial: dial, Clock: clock, Sink: sink}
	if err := a.Run(ctx); err != nil {
		t.Fatal(err)
	}
	audit(t, a, sink)

	found := read(sink.requests, spec.SLO.Latency.D())
	stalls := history.All[history.Stall](sink.events)
	var onset, recovery []time.Duration
	for _, o := range truth {
		seen := slices.MaxFunc(found, func(a, b outage) int { return cmp.Compare(o.overlap(a), o.overlap(b)) })
		if o.overlap(seen) <= 0 {
			t.Errorf("the outage from %d to %d µs was not seen", o.from, o.to)
			continue
		}
		if !stalled(stalls, o.from) {
			onset = append(onset, seen.from.Sub(o.from).Abs())
		}
		if !stalled(stalls, o.to) {
			recovery = append(recovery, seen.to.Sub(o.to).Abs())
		}
	}
	ended, _ := history.First[history.LoadEnded](sink.events)
	judged := len(onset) + len(recovery)
	t.Logf("%d stalls, %d of %d instants voided by them; p99 of the release error %d µs",
		len(stalls), 2*outages-judged, 2*outages, ended.Data.ReleaseErrorP99Us)
	if judged < 2*outages*9/10 {
		t.Fatalf("only %d of %d instants could be judged: the machine stood still too often", judged, 2*outages)
	}
	for name, errors := range map[string][]time.Duration{"onset": onset, "recovery": recovery} {
		p50, _ := stats.Quantile(errors, .5)
		p95, _ := stats.Quantile(errors, .95)
		t.Logf("error of %s: p50 %s, p95 %s, worst %s", name, p50, p95, slices.Max(errors))
		if p95 > within {
			t.Errorf("p95 of the error of %s is %s, want %s at most", name, p95, within)
		}
	}
}

// script spreads n outages of about 0.4 s, one every 1.2 s.
func script(n int, chance *rand.Rand) []outage {
	all := make([]outage, n)
	for i := range all {
		from := history.Micros(500_000 + 1_200_000*int64(i) + chance.Int64N(200_000))
		all[i] = outage{from, from + history.Micros(300_000+chance.Int64N(200_000))}
	}
	return all
}

// read finds the outages in the requests: the stretches between change points in
// which more than a tenth were bad.
func read(requests []history.Request, slo time.Duration) []outage {
	slices.SortFunc(requests, func(a, b history.Request) int { return cmp.Compare(a.Seq, b.Seq) })
	bad := make([]bool, len(requests))
	for i, r := range requests {
		bad[i] = r.Bad(slo)
	}
	var found []outage
	for _, s := range stats.Segments(bad, 3*math.Log(float64(len(bad)))) {
		if s.To < len(requests) && s.Ones*10 > s.Len() {
			found = append(found, outage{requests[s.From].Intended, requests[s.To].Intended})
		}
	}
	return found
}

// stalled reports whether the generator stood still at that instant: what was due
// then reached the server later.
func stalled(stalls []history.Stamped[history.Stall], at history.Micros) bool {
	return slices.ContainsFunc(stalls, func(s history.Stamped[history.Stall]) bool {
		return s.Data.From <= at && at <= s.Data.To
	})
}
