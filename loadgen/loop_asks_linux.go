package loadgen

import "time"

// patience is how long an ask waits for a moment in which nobody else is being answered:
// a few times as long as answers mostly take where there are such moments.
const patience = 5 * time.Millisecond

// loopAsks are the requests with which a loop compares, apart from those of users and behind
// them. One is sent when neither a user nor another ask awaits an answer, so that it takes
// no processor from whoever answers users; or when it has waited for such a moment in vain.
type loopAsks struct {
	*exchanges
	mirror *mirror
	queue  []waitingTrial // in order
}

type waitingTrial struct {
	*trial
	since time.Duration
}

// asker lets the loop ask what a mirror has chosen.
func (l *loop) asker(m *mirror) (asker, error) {
	a := &loopAsks{mirror: m}
	x, err := newExchanges(exchangesSpec{
		zero: l.zero, prefix: l.prefix, connections: askedAtOnce, dial: m.direct.Dial, timeout: l.timeout, ended: a.take,
	})
	if err != nil {
		return nil, err
	}
	if err := l.poller.addOther(x.poller, othersRow); err != nil {
		x.close()
		return nil, err
	}
	a.exchanges = x
	l.asks = a
	return l, nil
}

// ask begins a trial.
func (l *loop) ask(t *trial) {
	w, err := l.wire(&t.request)
	if err != nil {
		l.asks.mirror.drop(t, baselineSilent)
		return
	}
	now := l.now()
	t.wire, t.deadline = w, now+l.spec.Timeout.D()
	l.asks.queue = append(l.asks.queue, waitingTrial{t, now})
}

// goOn reports whether there is something left to do.
func (a *loopAsks) goOn() bool { return a.underway+len(a.queue) > 0 }

// step does one thing, if there is one to be done while so many users await an answer.
// If there is none, rest is how long it stays so unless an event comes.
func (a *loopAsks) step(now time.Duration, users int) (rest time.Duration, done bool) {
	if rest, done = a.exchanges.step(now); done {
		return rest, true
	}
	if a.poll(now, 0); a.poller.any() {
		return 0, true
	}
	if len(a.queue) == 0 {
		return rest, false
	}
	first := a.queue[0]
	if users+a.underway > 0 && now < first.since+patience {
		return min(rest, first.since+patience-now), false
	}
	a.queue = a.queue[1:]
	a.send(first.trial)
	return 0, true
}

// send asks the next one of the three.
func (a *loopAsks) send(t *trial) {
	e := a.begin(t.wire, a.place(t.next()), t.request.seq, 0, t.deadline)
	e.trial = t
	e.heard.whole = t.reply()
	a.dispatch(e)
}

// take takes an answer, or that there is none.
func (a *loopAsks) take(e *exchange, why string) {
	t := e.trial
	switch {
	case why != "":
		a.mirror.drop(t, t.silence())
	case t.answered():
		a.queue = append(a.queue, waitingTrial{t, a.now()})
	default:
		a.mirror.came <- t // there is room for all that have a slot
	}
}
