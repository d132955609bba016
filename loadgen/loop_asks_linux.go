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
	queue  []*asking // in order
}

// asking is a trial in the hands of a loop.
type asking struct {
	*trial
	wire     *wire
	deadline time.Duration // of all three answers
	since    time.Duration // when the next one came to its turn
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
	l.asks.queue = append(l.asks.queue, &asking{t, w, now + l.spec.Timeout.D(), now})
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
	a.send(first)
	return 0, true
}

// send asks the next one of the three.
func (a *loopAsks) send(t *asking) {
	e := a.begin(t.wire, a.place(t.next()), t.request.seq, 0, t.deadline)
	e.asking = t
	e.heard.whole = t.reply()
	a.dispatch(e)
}

// take takes an answer, or that there is none.
func (a *loopAsks) take(e *exchange, why string) {
	t := e.asking
	switch {
	case why != "":
		a.mirror.drop(t.trial, t.silence())
	case t.answered():
		t.since = a.now()
		a.queue = append(a.queue, t)
	default:
		a.mirror.came <- t.trial // there is room for all that have a slot
	}
}
