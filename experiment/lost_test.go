package experiment

import (
	"context"
	"encoding/json"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/history"
	"github.com/cutover-dev/cutover/safety"
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

// A ledger of a cluster that is gone must not stay: nobody could ever undo it.
func TestTheLedgerIsEmptyWhenTheClusterDiesInTheMiddleOfTheUndo(t *testing.T) {
	for _, row := range []struct {
		why  string
		dies func(*patient) // in the undo
		kept int
	}{
		{"it dies", func(p *patient) { p.dead.Store(true) }, 0},
		// Negative control: a failure alone leaves the entry to a clean-up.
		{"it lives, and the undo fails", func(*patient) {}, 1},
	} {
		t.Run(row.why, func(t *testing.T) {
			it := &patient{}
			resists := errors.New("it resists")
			ledger, err := safety.OpenLedger(t.TempDir(), "run-1", safety.Header{}, safety.Undoers{
				kindNamespace: func(context.Context, json.RawMessage) error { row.dies(it); return resists },
			})
			if err != nil {
				t.Fatal(err)
			}
			defer ledger.Close()
			if _, err := ledger.Do(t.Context(), safety.Action{Kind: kindNamespace}, func(context.Context) error { return nil }); err != nil {
				t.Fatal(err)
			}
			clock := history.NewClock()
			record, err := history.Open(t.TempDir(), clock, time.Second)
			if err != nil {
				t.Fatal(err)
			}
			defer record.Close()
			r := &run{Options: Options{Cluster: it}, clock: clock, record: record, ledger: ledger,
				client: fake.NewClientBuilder().WithScheme(runtime.NewScheme()).Build()}
			err = r.undoAll(t.Context(), nil)
			if kept := len(ledger.Pending()); kept != row.kept || (err != nil) != (row.kept > 0) {
				t.Errorf("%d entries are left, want %d (%v)", kept, row.kept, err)
			}
		})
	}
}

// The same for a clean-up. An undo that waits for its cluster must not wait on.
func TestACleanUpEndsWithItsCluster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		it := &patient{}
		waits := func(ctx context.Context, _ json.RawMessage) error {
			it.dead.Store(true)
			<-ctx.Done()
			return context.Cause(ctx)
		}
		undoers := safety.Undoers{kindNamespace: waits}
		ledger, err := safety.OpenLedger(t.TempDir(), "run-1", safety.Header{}, undoers)
		if err != nil {
			t.Fatal(err)
		}
		defer ledger.Close()
		if _, err := ledger.Do(t.Context(), safety.Action{Kind: kindNamespace}, func(context.Context) error { return nil }); err != nil {
			t.Fatal(err)
		}
		if err := replayOn(t.Context(), it, ledger, undoers); err != nil || len(ledger.Pending()) != 0 {
			t.Errorf("replayed: %v, left: %v", err, ledger.Pending())
		}
	})
}

func dead() *patient {
	p := &patient{}
	p.dead.Store(true)
	return p
}
