package experiment

import (
	"context"
	"fmt"
	"time"

	"github.com/cutover-dev/cutover/history"
	"github.com/cutover-dev/cutover/stats"
)

// proveSteadyState watches the baseline until there are enough requests to judge
// it by, and reports whether it may be broken.
func (r *run) proveSteadyState(ctx context.Context) (bool, error) {
	slo := r.scenario.Load.SLO
	from := r.clock.Now().After(r.scenario.Load.Warmup.D())
	// Fewer could not tell an SLO of 99.9 % from 99 %.
	enough := max(300, int(1/(1-float64(slo.Availability))+0.5))
	limit := from.After(3*time.Duration(float64(enough)/r.scenario.Load.LowestRate()*float64(time.Second)) + 10*time.Second)
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return false, context.Cause(ctx)
		case err := <-r.loadEnded:
			return false, fmt.Errorf("the load ended by itself: %w", err)
		case <-ticker.C:
		}
		now := r.clock.Now()
		seen := total(r.record.Window(from, now))
		if seen.N < enough && now < limit {
			continue
		}
		result := judgeSteady(seen, slo, enough)
		result.From = from
		r.tell(result)
		return !result.Rejected, nil
	}
}

// steadyAlpha is the level at which the baseline's bad requests reject the SLO.
const steadyAlpha = 0.01

// judgeSteady rejects the SLO only when an exact one-sided binomial test does, or
// when there was hardly any traffic to judge by.
func judgeSteady(seen history.Tally, slo history.SLO, enough int) history.SteadyState {
	p99, _ := stats.Quantile(seen.Latencies, 0.99)
	result := history.SteadyState{N: seen.N, Bad: seen.Bad, P99Us: p99.Microseconds()}
	p := stats.BinomialTail(seen.Bad, seen.N, 1-float64(slo.Availability))
	switch {
	case seen.N < enough:
		result.Rejected = true
		result.Because = fmt.Sprintf("only %d of the %d requests that judging takes were answered in time; raise load.rate or look at the gateway", seen.N, enough)
	case p < steadyAlpha:
		result.Rejected = true
		result.Because = fmt.Sprintf("%d of %d requests were bad before anything was touched; at %v availability that has a chance of %.2g", seen.Bad, seen.N, slo.Availability, p)
	default:
		result.Because = fmt.Sprintf("%d requests, %d bad, p99 %v (limit %v)", seen.N, seen.Bad, p99.Round(time.Millisecond), slo.Latency)
	}
	return result
}

func total(w history.Window) history.Tally {
	var sum history.Tally
	for _, tally := range w.Versions {
		sum = sum.Add(tally)
	}
	return sum
}
