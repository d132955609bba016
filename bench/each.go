package bench

import (
	"context"
	"runtime"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
)

// Each calls do for every run from 0 on, on all processors. It ends when the context
// does, with its cause.
func Each(ctx context.Context, runs int, do func(run int)) error {
	var next atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	for range runtime.GOMAXPROCS(0) {
		group.Go(func() error {
			for ctx.Err() == nil {
				run := int(next.Add(1)) - 1
				if run >= runs {
					return nil
				}
				do(run)
			}
			return context.Cause(ctx)
		})
	}
	return group.Wait()
}
