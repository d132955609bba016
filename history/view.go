package history

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

// view is the live tally. Requests stand in it in the order in which they became
// known, each at one instant that never changes:
//
//   - overdue: intended + SLO, if no answer had been reported by then;
//   - else the instant at which its answer was reported together with who gave
//     it, which is later than the answer itself when attribution takes a while.
//
// Known instants therefore never lie before a stretch that was already read: a
// reader of adjoining windows up to the present counts every request once. What
// is known *about* a request still improves: an overdue one that was answered
// since is tallied with its real latency and version.
type view struct {
	clock Clock
	slo   time.Duration

	mu      sync.Mutex
	known   []*entry         // by known
	open    map[int64]*entry // by Seq: begun, not yet settled
	waiting []*entry         // begun, by overdue; answered ones leave when they surface
	served  int64            // highest route generation in an answer
	serving map[int64]chan struct{}
}

// entry is what the view keeps of a request.
type entry struct {
	known, overdue, intended Micros
	latency                  time.Duration // negative while unanswered
	version                  Version
	failed                   bool // answered, and not as expected
	answered                 bool
}

func newView(clock Clock, slo time.Duration) *view {
	return &view{clock: clock, slo: slo, open: map[int64]*entry{}, serving: map[int64]chan struct{}{}}
}

// began puts r among those waiting for an answer.
func (v *view) began(r Request) {
	v.mu.Lock()
	defer v.mu.Unlock()
	now := v.surface()
	e := &entry{known: Never, intended: r.Intended, latency: -1}
	// One released so late that it is overdue already becomes known only now.
	e.overdue = max(r.Intended.After(v.slo), now)
	v.open[r.Seq] = e
	// After those due at the same instant; at the end, unless begun out of order.
	at, _ := slices.BinarySearchFunc(v.waiting, e.overdue.After(time.Microsecond), byOverdue)
	v.waiting = slices.Insert(v.waiting, at, e)
}

// answered takes r off the waiting ones; final says that nothing more will be
// learned of who answered.
func (v *view) answered(r Request, final bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	now := v.surface()
	e := v.open[r.Seq]
	if e == nil {
		if !final {
			return
		}
		e = &entry{known: Never, intended: r.Intended}
	}
	e.answered = true
	e.version = r.Version
	e.latency = r.Latency()
	e.failed = !r.Expected
	if !e.known.Happened() && (final || r.Version != Unattributed) {
		e.known = now
		v.known = append(v.known, e)
	}
	if final {
		delete(v.open, r.Seq)
	}
	v.serve(r.Gen)
}

// surface makes known what is overdue by now and returns the present instant.
// Every change to the view starts with it, which keeps known in order.
func (v *view) surface() Micros {
	now := v.clock.Now()
	due := 0
	for _, e := range v.waiting {
		if e.overdue > now {
			break
		}
		due++
		if !e.answered {
			e.known = e.overdue
			v.known = append(v.known, e)
		}
	}
	v.waiting = v.waiting[due:]
	return now
}

// window tallies what became known in [from, to).
func (v *view) window(from, to Micros) Window {
	v.mu.Lock()
	defer v.mu.Unlock()
	now := v.surface()
	w := Window{From: from, To: to, Versions: map[Version]Tally{Baseline: {}, Candidate: {}, Unattributed: {}}}
	first, _ := slices.BinarySearchFunc(v.known, from, byKnown)
	for _, e := range v.known[first:] {
		if e.known >= to {
			break
		}
		t := w.Versions[e.version]
		t.count(e, now, v.slo)
		w.Versions[e.version] = t
	}
	return w
}

// count adds e to the tally.
func (t *Tally) count(e *entry, now Micros, slo time.Duration) {
	t.N++
	latency := e.latency
	unanswered := latency < 0
	if unanswered {
		latency = now.Sub(e.intended)
		t.Unanswered++
	}
	if unanswered || e.failed {
		t.Errors++
	}
	if unanswered || e.failed || latency > slo {
		t.Bad++
	}
	t.Latencies = append(t.Latencies, latency)
}

// serve tells those who wait for gen or an earlier generation.
func (v *view) serve(gen int64) {
	v.served = max(v.served, gen)
	for want, waiting := range v.serving {
		if want <= v.served {
			close(waiting)
			delete(v.serving, want)
		}
	}
}

// await returns a channel that is closed once gen or a later one has answered.
func (v *view) await(gen int64) <-chan struct{} {
	v.mu.Lock()
	defer v.mu.Unlock()
	waiting, ok := v.serving[gen]
	if !ok {
		waiting = make(chan struct{})
		v.serving[gen] = waiting
	}
	v.serve(0)
	return waiting
}

func byOverdue(e *entry, at Micros) int { return cmp.Compare(e.overdue, at) }
func byKnown(e *entry, at Micros) int   { return cmp.Compare(e.known, at) }
