package experiment

import (
	"context"

	"github.com/cutover-dev/cutover/history"
	"github.com/cutover-dev/cutover/release"
)

var _ release.Discoverer = (*tracker)(nil)

// Coming implements release.Discoverer: it fires what is pinned to before the write,
// and to its beginning.
func (t *tracker) Coming(ctx context.Context, n int) {
	step := release.StepOfWrite(n)
	t.faults.before(ctx, step)
	t.faults.begin(ctx, step)
}

// Came implements release.Discoverer. A step of a procedure lasts until the next one.
func (t *tracker) Came(ctx context.Context, n int, what string, began history.Micros) {
	step := release.StepOfWrite(n)
	t.sink.Event(history.NewEvent(began, history.StepBegan{Name: step, Title: what}))
	t.tell(history.StepLive{Name: step, Title: what, Weight: release.NoWeight})
	t.faults.own(ctx, step, whenLive)
	t.faults.live(ctx, step)
	if t.reduced(ctx, step, what, began) {
		t.faults.event(ctx, release.StepRollback)
	}
}
