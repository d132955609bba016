package experiment

import (
	"context"
	"time"

	"github.com/cutover-dev/cutover/history"
)

// awaitRecovery returns when the SLO has held for recover.confirm, or
// recover.within is over. How long it took is read from the record, not from here.
func (r *run) awaitRecovery(ctx context.Context) error {
	confirm, within := r.scenario.Recover.Confirm.D(), r.scenario.Recover.Within.D()
	began := r.clock.Now()
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ticker.C:
		}
		now := r.clock.Now()
		if now.Sub(began) >= confirm && holds(r.record.Window(now.After(-confirm), now), r.scenario.Load.SLO) {
			return nil
		}
		if now.Sub(began) >= within {
			return nil
		}
	}
}

func holds(w history.Window, slo history.SLO) bool {
	seen := total(w)
	return seen.N > 0 && float64(seen.Bad) <= float64(seen.N)*(1-float64(slo.Availability))
}
