package loadgen

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
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
	spec      DiffSpec
	identify  func(*arrival)
	ignore    ignored
	host      string
	timeout   time.Duration // of all three answers
	direct    Direct
	transport *http.Transport
	rand      *rand.Rand    // of the goroutine that offers
	slots     chan struct{} // one for each request that is being compared
	pods      atomic.Pointer[pods]

	chosen     int64 // by the goroutine that offers
	dropped    [reasons]atomic.Int64
	comparison *comparison
	underway   sync.WaitGroup
}

// pods are the addresses of both versions.
type pods struct{ baseline, candidate []string }

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
	tooMany:         fmt.Sprintf("%d were being asked already", askedAtOnce),
	baselineSilent:  "the baseline did not answer",
	candidateSilent: "the candidate did not answer",
}

func newMirror(a *Attack, spec Spec) *mirror {
	if spec.Diff == nil {
		return nil
	}
	m := &mirror{
		spec: *spec.Diff, identify: func(next *arrival) { next.identify(a.RunID, spec.Replay == nil) },
		host: a.Host, timeout: spec.Timeout.D(), direct: *a.Direct,
		rand:  rand.New(rand.NewPCG(uint64(a.Seed), mirrorStream)),
		slots: make(chan struct{}, askedAtOnce), comparison: newComparison(),
		transport: &http.Transport{
			DialContext: stampedDial(a.Direct.Dial, spec.Timeout.D()), DisableCompression: true, Protocols: protocols(spec.Protocol),
			MaxIdleConnsPerHost: askedAtOnce, IdleConnTimeout: 10 * time.Second,
		},
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
	return m
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
		m.identify(&next)
		go m.compare(next, now, chance)
	default:
		m.dropped[tooMany].Add(1)
	}
}

// compare asks all three, in random order, one after the other.
func (m *mirror) compare(next arrival, now *pods, chance *rand.Rand) {
	defer m.underway.Done()
	defer func() { <-m.slots }()
	kept := bodies.Get().(*bytes.Buffer)
	defer bodies.Put(kept)
	ctx, cancel := context.WithTimeout(context.Background(), m.timeout)
	defer cancel()
	two := chance.Perm(len(now.baseline))
	whom := [3]string{now.baseline[two[0]], now.baseline[two[1]], now.candidate[chance.IntN(len(now.candidate))]}
	var got [3]map[string]string
	large := false
	for _, i := range chance.Perm(len(whom)) {
		answer, err := m.ask(ctx, next, whom[i], kept)
		if err != nil {
			silent := baselineSilent
			if i == 2 {
				silent = candidateSilent
			}
			m.dropped[silent].Add(1)
			return
		}
		fields, tooLarge := answer.fields(m.ignore)
		got[i], large = fields, large || tooLarge
	}
	m.comparison.add(next.spec.Name(), next.id, answers{[2]map[string]string{got[0], got[1]}, got[2], large})
}

// ask sends the request to a pod. All three get the same id, so that an answer may
// repeat it.
func (m *mirror) ask(ctx context.Context, next arrival, address string, kept *bytes.Buffer) (reply, error) {
	request, err := newRequest(&next.target, next.id)
	if err != nil {
		return reply{}, err
	}
	request.URL.Host, request.Host = address, m.host
	response, err := m.transport.RoundTrip(request.WithContext(ctx))
	if err != nil {
		return reply{}, err
	}
	defer response.Body.Close()
	return newReply(response, kept)
}

// end waits for what is under way and tells what came of all of it.
func (m *mirror) end(sink history.Sink, clock history.Clock) {
	if m == nil {
		return
	}
	m.underway.Wait()
	m.transport.CloseIdleConnections()
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
