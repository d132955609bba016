package loadgen

import (
	"errors"
	"math/rand/v2"
	"net/http"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

// plan yields the arrivals one after another: a pure function of the spec, the
// host and the seed, or of the pacer and the targeter that the attack was given in their
// place. What happens to earlier arrivals has no part in it.
type plan struct {
	pacer  vegeta.Pacer
	choose func(*arrival) error // fills in what is asked for
	seq    uint64
	latest arrival // in here it is allocated once
}

// arrival is one planned request.
type arrival struct {
	seq    int64
	id     string        // of the request, which no other one has
	offset time.Duration // from the beginning of the load
	spec   *RequestSpec
	target vegeta.Target
}

// The independent streams of chance that one seed gives.
const (
	arrivalStream = iota + 1
	mixStream
	mirrorStream
)

// newChooser is what a spec asks for.
func newChooser(spec Spec, host string, seed int64) func(*arrival) error {
	mix := newMix(spec.Requests, host, rand.New(rand.NewPCG(uint64(seed), mixStream)))
	switch {
	case spec.Arrivals == Replay:
		return mix.asRecorded(spec.Replay.Recording)
	case spec.Targets != "":
		return mix.inTurn
	}
	return mix.byWeight
}

// errOver says that nobody comes any more.
var errOver = errors.New("the load is over")

// next is the following arrival. A pacer that is asked at the very instant of the
// latest arrival answers with the gap to the next. The error is errOver after the last.
func (p *plan) next() (arrival, error) {
	gap, over := p.pacer.Pace(p.latest.offset, p.seq)
	if over {
		return arrival{}, errOver
	}
	p.latest = arrival{seq: int64(p.seq), offset: p.latest.offset + gap}
	if err := p.choose(&p.latest); err != nil {
		return arrival{}, err
	}
	p.seq++
	return p.latest, nil
}

// mix is the requests of a spec, to choose from.
type mix struct {
	requests []RequestSpec
	targets  []vegeta.Target
	total    int
	rand     *rand.Rand
}

func newMix(requests []RequestSpec, host string, rand *rand.Rand) *mix {
	m := &mix{requests: requests, rand: rand}
	for _, r := range requests {
		m.targets = append(m.targets, r.target(host))
		m.total += r.Weight
	}
	return m
}

// take fills in the i-th request. The target is shared: whoever sends it copies it.
func (m *mix) take(i int, a *arrival) {
	a.target, a.spec = m.targets[i], &m.requests[i]
}

// byWeight draws a request.
func (m *mix) byWeight(a *arrival) error {
	if m.total <= 0 {
		return vegeta.ErrNoTargets
	}
	ticket := m.rand.IntN(m.total)
	i := 0
	for ; ticket >= m.requests[i].Weight; i++ {
		ticket -= m.requests[i].Weight
	}
	m.take(i, a)
	return nil
}

// inTurn takes one after the other, and begins again.
func (m *mix) inTurn(a *arrival) error {
	m.take(int(a.seq%int64(len(m.requests))), a)
	return nil
}

// asRecorded takes what was asked for at this place of the recording.
func (m *mix) asRecorded(r Recording) func(*arrival) error {
	return func(a *arrival) error {
		m.take(r.Arrivals[a.seq%int64(len(r.Arrivals))].Request, a)
		return nil
	}
}

// target is r addressed to host.
func (r RequestSpec) target(host string) vegeta.Target {
	header := http.Header{"User-Agent": {"cutover"}}
	for name, value := range r.Headers {
		header.Set(name, value)
	}
	r = r.withDefaults()
	t := vegeta.Target{Method: r.Method, URL: "http://" + host + r.Path, Header: header}
	if r.GRPC != nil {
		r.GRPC.header(header)
		t.Body, _ = r.GRPC.body(idPlaceholder) // it was encoded before, when it was looked up
		return t
	}
	if r.Body != "" {
		t.Body = []byte(r.Body)
	}
	return t
}
