package experiment

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cutover-dev/cutover/cluster"
)

// mute is a cluster that cannot say whether it lives.
type mute struct{ cluster.Cluster }

// patient is one that can.
type patient struct {
	cluster.Cluster
	dead atomic.Bool
}

func (p *patient) Alive() bool { return !p.dead.Load() }

func TestWhatIsDoneOnAClusterEndsWithIt(t *testing.T) {
	for _, row := range []struct {
		why     string
		cluster cluster.Cluster
		die     bool // while it is used
		stop    bool // before it could
		lost    bool
	}{
		{"it dies", &patient{}, true, false, true},
		{"it was dead before", dead(), false, false, true},
		{"it lives", &patient{}, false, false, false},
		{"what was done ends first", &patient{}, true, true, false},
		{"nobody can tell", mute{}, false, false, false},
	} {
		t.Run(row.why, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, stop := whileAlive(t.Context(), row.cluster)
				defer stop()
				if row.stop {
					stop()
				}
				if row.die {
					row.cluster.(*patient).dead.Store(true)
				}
				// What is done there has contexts of its own.
				within, cancel := context.WithTimeout(ctx, time.Second)
				defer cancel()
				<-within.Done()
				if got := lost(within); got != row.lost {
					t.Errorf("lost: %v, want %v (%v)", got, row.lost, context.Cause(within))
				}
			})
		})
	}
}

func dead() *patient {
	p := &patient{}
	p.dead.Store(true)
	return p
}
