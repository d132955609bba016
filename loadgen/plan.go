package loadgen

import (
	"math"
	"math/rand/v2"
	"net/http"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

// plan yields the arrivals one after another: a pure function of the spec, the
// host and the seed. What happens to earlier arrivals has no part in it.
type plan struct {
	pacer  vegeta.Pacer
	target vegeta.Targeter
	mix    *mix
	replay *ReplaySpec // in place of pacer and target; nil without one
	seq    uint64
	offset time.Duration
	chosen vegeta.Target // the latest one; in here it is allocated once
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

func newPlan(spec Spec, host string, seed int64) *plan {
	mix := newMix(spec.Requests, host, rand.New(rand.NewPCG(uint64(seed), mixStream)))
	if spec.Arrivals == Replay {
		return &plan{mix: mix, replay: spec.Replay}
	}
	return &plan{pacer: newPacer(spec, seed), target: mix.choose, mix: mix}
}

// next is the following arrival. A pacer that is asked at the very instant of the
// latest arrival answers with the gap to the next. The error is errOver after the last
// one of a recording that is not begun again.
func (p *plan) next() (arrival, error) {
	if p.replay != nil {
		offset, i, err := p.replay.arrival(p.seq)
		if err != nil {
			return arrival{}, err
		}
		a := arrival{seq: int64(p.seq), offset: offset, target: p.mix.targets[i], spec: &p.mix.requests[i]}
		p.seq++
		return a, nil
	}
	gap, _ := p.pacer.Pace(p.offset, p.seq)
	p.offset += gap
	if err := p.target(&p.chosen); err != nil {
		return arrival{}, err
	}
	a := arrival{seq: int64(p.seq), offset: p.offset, target: p.chosen, spec: p.mix.chosen}
	p.seq++
	return a, nil
}

func newPacer(spec Spec, seed int64) vegeta.Pacer {
	if spec.Arrivals == Constant {
		return vegeta.ConstantPacer{Freq: spec.Rate.Count, Per: spec.Rate.Per}
	}
	return &poissonPacer{
		mean: float64(spec.Rate.Per) / float64(spec.Rate.Count),
		rand: rand.New(rand.NewPCG(uint64(seed), arrivalStream)),
	}
}

// poissonPacer spaces hits as a Poisson process does: gaps are independent and
// exponential.
type poissonPacer struct {
	mean float64 // nanoseconds between hits
	rand *rand.Rand
	hits uint64        // drawn so far
	last time.Duration // the latest hit drawn
}

var _ vegeta.Pacer = (*poissonPacer)(nil)

// Pace implements [vegeta.Pacer]; hits must not fall from call to call.
func (p *poissonPacer) Pace(elapsed time.Duration, hits uint64) (time.Duration, bool) {
	for ; p.hits <= hits; p.hits++ {
		p.last += time.Duration(math.Round(p.rand.ExpFloat64() * p.mean))
	}
	return max(0, p.last-elapsed), false
}

// Rate implements [vegeta.Pacer].
func (p *poissonPacer) Rate(time.Duration) float64 { return 1e9 / p.mean }

// mix chooses requests by weight.
type mix struct {
	requests []RequestSpec
	targets  []vegeta.Target
	total    int
	rand     *rand.Rand
	chosen   *RequestSpec // the latest choice; a target alone does not say what to expect
}

func newMix(requests []RequestSpec, host string, rand *rand.Rand) *mix {
	m := &mix{requests: requests, rand: rand}
	for _, r := range requests {
		m.targets = append(m.targets, r.target(host))
		m.total += r.Weight
	}
	return m
}

// choose is a [vegeta.Targeter]. The target is shared: whoever sends it copies it.
func (m *mix) choose(t *vegeta.Target) error {
	if m.total <= 0 {
		return vegeta.ErrNoTargets
	}
	ticket := m.rand.IntN(m.total)
	i := 0
	for ; ticket >= m.requests[i].Weight; i++ {
		ticket -= m.requests[i].Weight
	}
	*t, m.chosen = m.targets[i], &m.requests[i]
	return nil
}

// target is r addressed to host.
func (r RequestSpec) target(host string) vegeta.Target {
	header := http.Header{"User-Agent": {"cutover"}}
	for name, value := range r.Headers {
		header.Set(name, value)
	}
	t := vegeta.Target{Method: r.withDefaults().Method, URL: "http://" + host + r.Path, Header: header}
	if r.Body != "" {
		t.Body = []byte(r.Body)
	}
	return t
}
