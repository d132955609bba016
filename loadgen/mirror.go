package loadgen

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cutover-dev/cutover/history"
)

// Direct is how pods are asked past the gateway, which comparing their answers takes.
type Direct struct {
	Dial Dialer // to the address that it is given
	// Pods are the addresses of the version's ready pods; an error counts as none.
	Pods func(context.Context, history.Version) ([]string, error)
}

const (
	// askedAtOnce bounds how many requests are being compared, and with it the
	// connections, the memory and what a version that does not answer can cost.
	askedAtOnce = 32
	// lookAgain is how often the pods are looked up.
	lookAgain = 500 * time.Millisecond
)

// mirror sends a share of the requests to two pods of the baseline and to one of the
// candidate as well, and compares the answers. Users have no part in it: what they ask
// and are answered goes its own way, and is neither delayed nor counted here. A nil one
// does nothing.
//
// The two pods of the baseline are never the same: what is each pod's own, such as its
// name, must differ between them as it does from the candidate's.
type mirror struct {
	spec   DiffSpec
	runID  string
	ignore ignored
	direct Direct
	asker  asker
	rand   *rand.Rand    // of the goroutine that offers
	slots  chan struct{} // one for each request that is being compared
	came   chan *trial   // whose answers are there
	pods   atomic.Pointer[pods]

	chosen     int64 // by the goroutine that offers
	dropped    [reasons]atomic.Int64
	comparison *comparison
	underway   sync.WaitGroup
}

// pods are the addresses of both versions.
type pods struct{ baseline, candidate []string }

// asker asks the three of a trial, one after the other, all within the timeout of one
// request, and gives it back when they answered, or drops it. It belongs to a
// courier, which does not finish before all are asked.
type asker interface {
	ask(*trial) // waits for nothing
}

// Why a request that was chosen is not compared.
const (
	noCandidate = iota
	noTwoBaselines
	tooMany
	baselineSilent
	candidateSilent
	reasons
)

var reasonText = [reasons]string{
	noCandidate:     "the candidate had no ready pod",
	noTwoBaselines:  "the baseline had fewer than two ready pods",
	tooMany:         fmt.Sprintf("%d were being compared already", askedAtOnce),
	baselineSilent:  "the baseline did not answer",
	candidateSilent: "the candidate did not answer",
}

func newMirror(a *Attack, spec Spec, courier courier) (*mirror, error) {
	if spec.Diff == nil {
		return nil, nil
	}
	m := &mirror{
		spec: *spec.Diff, runID: a.RunID, direct: *a.Direct,
		rand:  rand.New(rand.NewPCG(uint64(a.Seed), mirrorStream)),
		slots: make(chan struct{}, askedAtOnce), came: make(chan *trial, askedAtOnce), comparison: newComparison(),
	}
	differ := spec.Diff.Ignore
	if a.Attribution != nil {
		differ = slices.Concat(differ, a.Attribution.Source.fields())
	}
	m.ignore = ignoring(differ)
	for i := range spec.Requests {
		if m.spec.compares(&spec.Requests[i]) {
			m.comparison.compared[spec.Requests[i].Name()] = 0
		}
	}
	var err error
	m.asker, err = courier.asker(m)
	return m, err
}

// look keeps the pods known until ctx ends.
func (m *mirror) look(ctx context.Context) {
	if m == nil {
		return
	}
	ticker := time.NewTicker(lookAgain)
	defer ticker.Stop()
	for {
		var now pods
		now.baseline, _ = m.direct.Pods(ctx, history.Baseline)
		now.candidate, _ = m.direct.Pods(ctx, history.Candidate)
		m.pods.Store(&now)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// offer chooses by chance whether a request is compared, and never waits.
func (m *mirror) offer(next arrival) {
	if m == nil || !m.spec.compares(next.spec) || m.rand.Float64() >= float64(m.spec.Share) {
		return
	}
	m.chosen++
	m.take(next)
}

// take compares a request that was chosen, if it can be. It stands apart from choosing,
// which is done for every request and allocates nothing.
func (m *mirror) take(next arrival) {
	// Drawn in any case: what is dropped has no say in what is chosen after it.
	chance := rand.New(rand.NewPCG(m.rand.Uint64(), mirrorStream))
	now := m.pods.Load()
	switch {
	case now == nil || len(now.candidate) == 0:
		m.dropped[noCandidate].Add(1)
		return
	case len(now.baseline) < 2:
		m.dropped[noTwoBaselines].Add(1)
		return
	}
	select {
	case m.slots <- struct{}{}:
		m.underway.Add(1)
		next.identify(m.runID, false)
		m.asker.ask(newTrial(next, now, chance))
	default:
		m.dropped[tooMany].Add(1)
	}
}

// compareAll compares what comes until all has ended. It is urgent for nobody, and must not
// be in the way of whoever answers users: a thread of its own does it, that is in no hurry.
func (m *mirror) compareAll() {
	if m == nil {
		return
	}
	takeTime()
	for t := range m.came {
		m.compare(t)
	}
}

// compare takes the three answers to a trial apart.
func (m *mirror) compare(t *trial) {
	var got [3]map[string]string
	large := false
	for i := range t.replies {
		fields, tooLarge := t.replies[i].fields(m.ignore)
		got[i], large = fields, large || tooLarge
	}
	m.comparison.add(t.request.spec.Name(), t.request.id, answers{[2]map[string]string{got[0], got[1]}, got[2], large})
	m.ended(t)
}

// drop gives a trial up.
func (m *mirror) drop(t *trial, reason int) {
	m.dropped[reason].Add(1)
	m.ended(t)
}

func (m *mirror) ended(t *trial) {
	for i := range t.replies {
		t.replies[i].release()
	}
	<-m.slots
	m.underway.Done()
}

// end waits for what is under way and tells what came of all of it.
func (m *mirror) end(sink history.Sink, clock history.Clock) {
	if m == nil {
		return
	}
	m.underway.Wait()
	close(m.came)
	result := m.comparison.result()
	result.Chosen = m.chosen
	for reason := range m.dropped {
		if n := m.dropped[reason].Load(); n > 0 {
			if result.Dropped == nil {
				result.Dropped = map[string]int64{}
			}
			result.Dropped[reasonText[reason]] = n
		}
	}
	sink.Event(history.NewEvent(clock.Now(), result))
}
