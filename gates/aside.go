package gates

import (
	"context"
	"slices"
	"time"

	"github.com/cutover-dev/cutover/history"
)

// aside is the gate of a source that may be slow. It asks on a goroutine of its own,
// one question at a time, and says that it waits until the answer has come: neither
// the release nor the other gates are held up by it.
type aside struct {
	asking
	title  string
	source source
	grace  time.Duration
	values func() Values

	step    string           // of the last question
	last    Answer           // at that step; zero before the first
	pending *pendingQuestion // nil if none is under way
}

type pendingQuestion struct {
	span   Span
	cancel context.CancelFunc
	answer chan Answer // gets one
}

var _ Stopper = (*aside)(nil)

// Name implements [Gate].
func (a *aside) Name() string { return a.title }

// Limits implements [Gate].
func (a *aside) Limits() string { return a.limits }

// Read implements [Gate].
func (a *aside) Read(ctx context.Context, live history.Live, span Span) history.Reading {
	if span.Step != a.step {
		a.Stop()
		a.step, a.last = span.Step, Answer{}
	}
	r := history.Reading{Gate: a.title, From: span.From, To: span.To, Status: Silent}
	if a.steps != nil && !slices.Contains(a.steps, span.Step) || a.once && (span.Performing || a.last.Status == Pass) {
		return r
	}
	if a.final && a.last.Status == Fail {
		return a.last.in(r)
	}
	if a.pending == nil {
		a.begin(ctx, live, span)
	}
	r.Status = Waiting
	grace := time.NewTimer(a.grace)
	defer grace.Stop()
	select {
	case answer := <-a.pending.answer:
		r.From = a.pending.span.From
		r.To = a.pending.span.To
		r = answer.in(r)
		a.pending.cancel()
		a.pending, a.last = nil, answer
	case <-grace.C:
	case <-ctx.Done():
	}
	return r
}

// in makes a reading of the answer.
func (a Answer) in(r history.Reading) history.Reading {
	r.Status, r.Because, r.Value = a.Status, a.Because, a.Value
	return r
}

// begin asks. An answer that does not come in time is no data, also if the source
// never notices that nobody waits any more.
func (a *aside) begin(ctx context.Context, live history.Live, span Span) {
	q := Question{Span: span, Window: live.Window(span.From, span.To)}
	if a.values != nil {
		q.Values = a.values()
	}
	q.Values.Step = span.Step
	asked, cancel := context.WithTimeout(ctx, a.timeout)
	said, answer := make(chan Answer, 1), make(chan Answer, 1)
	go func() { said <- a.source.ask(asked, q) }()
	go func() {
		select {
		case got := <-said:
			answer <- a.inTime(asked, got)
		case <-asked.Done():
			// What ends with its question is given the time to say how.
			select {
			case got := <-said:
				answer <- a.inTime(asked, got)
			case <-time.After(stopWithin):
				answer <- noData("no answer within %s, and it does not let itself be stopped", a.timeout)
			}
		}
	}()
	a.pending = &pendingQuestion{span: span, cancel: cancel, answer: answer}
}

// inTime is the answer, unless it came too late. A failure is one at any time.
func (a *aside) inTime(asked context.Context, got Answer) Answer {
	if asked.Err() == nil || got.Status == Fail {
		return got
	}
	if got.Status == NoData && got.Because != "" {
		return noData("%s: timeout is %s", got.Because, a.timeout)
	}
	return noData("no answer within %s: is it reachable, and is timeout long enough?", a.timeout)
}

// stopWithin bounds how long a source that was told to end may take.
const stopWithin = 5 * time.Second

// Stop implements [Stopper].
func (a *aside) Stop() {
	if a.pending == nil {
		return
	}
	a.pending.cancel()
	<-a.pending.answer
	a.pending = nil
}
