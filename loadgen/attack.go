package loadgen

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"

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
func (a *Attack) Run(ctx context.Context) error {
	if err := a.validate(); err != nil {
		return err
	}
	if a.Dial == nil || a.Sink == nil || a.Host == "" {
		return errors.New("load: an attack needs a dialer, a sink and a host")
	}
	if a.Spec.Diff != nil && a.Direct == nil {
		return errors.New("load: comparing answers takes a way to the pods")
	}
	spec := a.Spec.WithDefaults()
	s := &sending{
		Attack:   a,
		spec:     spec,
		client:   newClient(spec, a.Dial, a.Clock),
		slots:    make(chan struct{}, spec.Connections),
		lateness: newLateness(a.Sink),
		mirror:   newMirror(a, spec),
	}
	s.follower, _ = a.Sink.(history.Follower)
	defer s.client.transport.CloseIdleConnections()

	looking, stop := context.WithCancel(ctx)
	defer stop()
	go s.mirror.look(looking)

	defer hurry()()
	released := make(chan error, 1)
	go func() { released <- s.release(ctx) }()
	err := <-released
	s.underway.Wait()
	s.mirror.end(a.Sink, a.Clock)
	s.readBack() //nolint:contextcheck // what was written is looked for when the load is over
	a.Sink.Event(history.NewEvent(a.Clock.Now(), history.LoadEnded{
		Planned:           s.planned,
		Sent:              s.sent.Load(),
		Unsent:            s.planned - s.sent.Load(),
		ReleaseErrorP99Us: s.lateness.end(),
	}))
	return err
}

// sending is an attack that goes on.
type sending struct {
	*Attack
	spec     Spec
	client   *client
	follower history.Follower // nil if the sink is none
	slots    chan struct{}    // one for each request that may be out at once
	lateness *lateness
	mirror   *mirror // nil if nothing is compared
	ledger   ledger
	underway sync.WaitGroup
	planned  int64
	sent     atomic.Int64
}

// release lets every arrival go at its instant. The thread is the goroutine's own
// and ends with it.
func (s *sending) release(ctx context.Context) error {
	keepTime()
	plan := s.newPlan(s.spec)
	began := s.Clock.Now()
	for {
		next, err := plan.next()
		if errors.Is(err, errOver) {
			<-ctx.Done() // nobody comes any more, and the run goes on
			return nil
		}
		if err != nil {
			return fmt.Errorf("load: %w", err)
		}
		next.id = s.RunID + "-" + strconv.FormatInt(next.seq, 10)
		if s.spec.Replay == nil { // what was recorded is sent as it was
			next.fill()
		}
		intended := began.After(next.offset)
		if !waitUntil(ctx, s.Clock.Time(intended)) {
			return nil
		}
		s.planned++
		s.underway.Add(1)
		select {
		case s.slots <- struct{}{}:
			go s.send(next, intended) //nolint:contextcheck // the end of the load ends no request
		default:
			go s.turnAway(next, intended)
		}
		s.mirror.offer(next) //nolint:contextcheck // the end of the load ends no request
	}
}

// send is the life of one request.
func (s *sending) send(next arrival, intended history.Micros) {
	defer s.underway.Done()
	s.lateness.released(intended, s.Clock.Now())
	r := s.record(next, intended)
	if s.follower != nil {
		s.follower.Began(r)
	}
	line := s.Attribution.expect(r.ID)
	defer line.forget()

	// The load outlives no request: the timeout alone ends it.
	ctx, cancel := context.WithDeadline(context.Background(), s.Clock.Time(intended.After(s.spec.Timeout.D())))
	got := s.client.do(ctx, &next.target, next.spec.Expect, &r)
	cancel()
	<-s.slots // what follows needs no connection

	s.Attribution.read(got, &r)
	if s.follower != nil {
		s.follower.Answered(r)
	}
	if r.Sent.Happened() {
		s.sent.Add(1)
		s.Attribution.await(line, got, &r)
	}
	if r.Expected && next.spec.ReadBack != nil {
		s.ledger.add(next.spec.ReadBack, r.ID)
	}
	s.Sink.Request(r)
}

// turnAway records an arrival for which all connections were in use: bad at once.
func (s *sending) turnAway(next arrival, intended history.Micros) {
	defer s.underway.Done()
	s.lateness.released(intended, s.Clock.Now())
	r := s.record(next, intended)
	r.Done = intended
	r.Err = fmt.Sprintf("not sent: all %d connections were in use", s.spec.Connections)
	s.Sink.Request(r)
}

func (s *sending) record(next arrival, intended history.Micros) history.Request {
	return history.Request{
		Seq:      next.seq,
		Name:     next.spec.Name(),
		Write:    next.spec.Write,
		Intended: intended,
		Sent:     history.Never,
		Done:     history.Never,
		ID:       next.id,
	}
}
