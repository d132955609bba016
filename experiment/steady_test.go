package experiment

import (
	"testing"
	"time"

	"github.com/cutover-dev/cutover/history"
)

func TestJudgeSteady(t *testing.T) {
	slo := history.SLO{Latency: history.Duration(500 * time.Millisecond), Availability: 0.999}
	for _, row := range []struct {
		name     string
		n, bad   int
		rejected bool
	}{
		// Nothing was bad.
		{"clean", 1000, 0, false},
		// As many as the SLO allows.
		{"at the SLO", 1000, 1, false},
		// Unlucky, but an honest service is as unlucky in 2 % of its days.
		{"bad luck", 1000, 4, false},
		// Not even one day in a hundred.
		{"broken", 1000, 6, true},
		// A fifth of all.
		{"very broken", 1000, 200, true},
		// Nothing to judge by.
		{"starved", 20, 0, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			got := judgeSteady(history.Tally{N: row.n, Bad: row.bad}, slo, 1000)
			if got.Rejected != row.rejected {
				t.Errorf("rejected: %v (%s), want %v", got.Rejected, got.Because, row.rejected)
			}
			if got.Because == "" {
				t.Error("no reason is given")
			}
		})
	}
}
