package loadgen

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"

	"github.com/cutover-dev/cutover/history"
)

// Attack is load on a service. It is open loop: every arrival of the plan is
// released at its intended instant, whatever became of the earlier ones, and ends
// up as exactly one request in the record.
type Attack struct {
	Spec  Spec
	Seed  int64
	RunID string // request ids are "<RunID>-<seq>"
	Host  string // the Host header: the service's name
	Dial  Dialer
	Clock history.Clock
	// Pacer says when requests arrive and Targeter which, as vegeta's do, in place of the
	// spec's rate, arrivals and shape, and of its requests. A pacer that stops, or a
	// targeter that has no targets left, lets the attack go on without arrivals. Targets
	// keep the host of their URL; to which address that leads, Dial is asked. Either
	// serves one attack.
	Pacer    vegeta.Pacer
	Targeter vegeta.Targeter
	// Sink takes the requests, and Stall and LoadEnded events. One that is a
	// [history.Follower] also learns of those on their way.
	Sink history.Sink
	// Attribution says who answered; nil leaves it open.
	Attribution *Attribution
	// Direct is needed if the spec has a Diff, and then a Diff event is told, too.
	Direct *Direct
}

// Run sends the load until ctx is done, waits for the answers to what was sent,
// which takes no longer than the timeout of one request and of its attribution,
// and closes the books with a LoadEnded event.
func (a *Attack) Run(ctx context.Context) error { return a.run(ctx, newCourier) }

func (a *Attack) run(ctx context.Context, newCourier func(*Attack, Spec, *inbox) (courier, error)) error {
	if err := a.validate(); err != nil {
		return err
	}
	if a.Dial == nil || a.Sink == nil || a.Host == "" {
		return errors.New("load: an attack needs a dialer, a sink and a host")
	}
	if a.Spec.Diff != nil && a.Direct == nil {
		return errors.New("load: comparing answers takes a way to the pods")
	}
	if url.PathEscape(a.RunID) != a.RunID {
		return fmt.Errorf("load: run id %q cannot stand in a URL: use letters, digits, - and _", a.RunID)
	}
	spec := a.Spec.WithDefaults()
	s := &sending{Attack: a, spec: spec, books: newBooks(a)}
	var err error
	if s.courier, err = newCourier(a, spec, &s.books.inbox); err != nil {
		return fmt.Errorf("load: %w", err)
	}
	if s.mirror, err = newMirror(a, spec, s.courier); err != nil {
		s.courier.finish()
		return fmt.Errorf("load: %w", err)
	}
	looking, stop := context.WithCancel(ctx)
	defer stop()
	go s.mirror.look(looking)
	go s.books.keep()

	defer hurry()()
	defer makeRoom()()
	go s.mirror.compareAll()
	released := make(chan error, 1)
	go func() { released <- s.release(ctx) }()
	err = <-released
	s.books.close()
	s.mirror.end(a.Sink, a.Clock)
	s.readBack() //nolint:contextcheck // what was written is looked for when the load is over
	a.Sink.Event(history.NewEvent(a.Clock.Now(), history.LoadEnded{
		Planned:           s.planned,
		Sent:              s.books.sent,
		Unsent:            s.planned - s.books.sent,
		ReleaseErrorP99Us: s.books.lateness.end(),
	}))
	return err
}

// sending is an attack that goes on.
type sending struct {
	*Attack
	spec    Spec
	courier courier
	books   *books
	mirror  *mirror // nil if nothing is compared
	planned int64
}

// release lets every arrival go at its instant, and returns when the last one was
// answered. The thread is the goroutine's own and ends with it.
func (s *sending) release(ctx context.Context) error {
	keepTime()
	defer s.courier.finish()
	plan := s.newPlan(s.spec)
	began := s.Clock.Now()
	for {
		next, err := plan.next()
		if errors.Is(err, errOver) {
			for s.courier.wait(ctx, time.Now().Add(time.Hour)) { // nobody comes any more, and the run goes on
			}
			return nil
		}
		if err != nil {
			return fmt.Errorf("load: %w", err)
		}
		intended := began.After(next.offset)
		if !s.courier.wait(ctx, s.Clock.Time(intended)) {
			return nil
		}
		s.planned++
		s.courier.send(next, intended)
		s.mirror.offer(next)
	}
}
