package experiment

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/cutover-dev/cutover/cluster"
)

// errLost ends what is done on a cluster that is no more. Without it everything
// there would be tried until its time is over.
var errLost = errors.New("the cluster died, and with it all that the run did there")

// mortal is a cluster that can say that it has ended.
type mortal interface{ Alive() bool }

// whileAlive returns a context that ends with [errLost] when the cluster does.
func whileAlive(ctx context.Context, c cluster.Cluster) (context.Context, context.CancelFunc) {
	living, end := context.WithCancelCause(ctx)
	stop := func() { end(nil) }
	it, can := c.(mortal)
	if !can {
		return living, stop
	}
	if !it.Alive() {
		end(errLost)
		return living, stop
	}
	go func() {
		ticker := time.NewTicker(100 * time.Millisecond)
		defer ticker.Stop()
		for it.Alive() {
			select {
			case <-living.Done():
				return
			case <-ticker.C:
			}
		}
		end(errLost)
	}()
	return living, stop
}

// lost reports whether ctx, of [whileAlive], ended with the cluster.
func lost(ctx context.Context) bool { return errors.Is(context.Cause(ctx), errLost) }

// lost reports whether the run's cluster has ended, also if ctx does not know yet.
func (r *run) lost(ctx context.Context) bool { return lost(ctx) || hasEnded(r.Cluster) }

func hasEnded(c cluster.Cluster) bool {
	it, can := c.(mortal)
	return can && !it.Alive()
}

// failures are collected from several goroutines.
type failures struct {
	mu   sync.Mutex
	list []error
}

func (f *failures) add(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.list = append(f.list, err)
}

func (f *failures) all() []error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.list
}
