package verdict

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/cutover-dev/cutover/history"
)

// story builds the record of a run that never was: traffic at random arrivals and
// the events of a canary at half of it. Times are seconds since the run began.
//
//	0 load · 4 steady state proven · 5 release · 6 half of the traffic · 8 fault
type story struct {
	plan   history.Plan
	events []history.Event
	rate   float64 // per second
	until  float64 // end of confirmation
	seed   uint64
	// answer is what becomes of a request that is due at t.
	answer func(t float64, r *rand.Rand) answer
	// edit changes the finished record.
	edit func(*history.History)
}

// answer is one version's; status 0 is a timeout, which no version answers.
type answer struct {
	version history.Version
	latency time.Duration
	status  int
}

var (
	fromBaseline  = answer{history.Baseline, 5 * time.Millisecond, 200}
	fromCandidate = answer{history.Candidate, 6 * time.Millisecond, 200}
	slow          = answer{history.Candidate, 605 * time.Millisecond, 200}
	refused       = answer{history.Unattributed, time.Millisecond, 503} // by the gateway
	timedOut      = answer{history.Unattributed, 2 * time.Second, 0}
)

func sec(s float64) history.Micros { return history.Micros(s * 1e6) }

func lasting(d time.Duration) *history.Duration { l := history.Duration(d); return &l }

func fraction(f float64) *history.Fraction { v := history.Fraction(f); return &v }

// calm is the story that the others depart from: a canary that is promoted without a
// fault at second 12, watched until second 20.
func calm() *story {
	s := &story{rate: 25, until: 20, seed: 7}
	s.plan = history.Plan{
		Scenario: "synthetic", RunID: "r1", Seed: 7, PlanHash: "sha256:0", Provider: "embedded", Strategy: "canary",
		Steps: []string{"deploy-candidate", "weight-50", "promote"}, Rate: 25,
		SLO:     history.SLO{Latency: history.Duration(500 * time.Millisecond), Availability: 0.999},
		Recover: history.Recover{Confirm: history.Duration(5 * time.Second), Within: history.Duration(30 * time.Second)},
		Expect:  history.Expect{Outcome: "promoted", MTTR: lasting(15 * time.Second)},
		Replay:  "cutover run scenarios/synthetic.yaml --seed 7",
	}
	s.at(4, history.SteadyState{N: 100, P99Us: 6000, Because: "0 of 100 requests were bad"})
	s.at(5, history.ReleaseBegan{})
	s.at(5, history.StepBegan{Name: "deploy-candidate"})
	s.at(6, history.StepBegan{Name: "weight-50"})
	s.at(6, history.StepLive{Name: "weight-50", Weight: 50})
	s.answer = canary(12, 1)
	return s
}

// canary shares the traffic from second 6 until a second, and leaves all of it to the
// candidate (1) or to the baseline (0).
func canary(until, then float64) func(float64, *rand.Rand) answer {
	return func(t float64, r *rand.Rand) answer {
		share := 0.0
		switch {
		case t >= until:
			share = then
		case t >= 6:
			share = 0.5
		}
		if r.Float64() < share {
			return fromCandidate
		}
		return fromBaseline
	}
}

// faulty is calm with a fault on the candidate from second 8 until ended (never if
// 0), proven a tenth of a second later.
func faulty(ended float64) *story {
	s := calm()
	s.plan.Faults = []history.PlannedFault{{Name: "NetworkChaos delay 600ms", Kind: "NetworkChaos", Step: "weight-50", When: "live", Target: "candidate"}}
	effect := 603.0
	s.at(8, history.FaultApplied{Fault: 0})
	s.at(8.1, history.FaultInjected{Fault: 0, Pod: "shop-v2-a"})
	s.at(8.1, history.FaultProven{Fault: 0, Proven: true, Pods: []string{"shop-v2-a"}, EffectMs: &effect, Because: "+603 ms"})
	if ended > 0 {
		s.at(ended, history.FaultEnded{Fault: 0, By: "expiry"})
	}
	return s
}

// rolledBack is faulty with a slow candidate that a gate sees at 9 and 10; the last
// request reaches the candidate before 10.4.
func rolledBack() *story {
	s := faulty(16)
	s.plan.Expect.Outcome = "rolled-back"
	s.plan.Expect.Detection = lasting(5 * time.Second)
	s.plan.Expect.Availability = fraction(0.85)
	s.at(9, history.Reading{Gate: "latency", Step: "weight-50", Status: "fail", N: 12, Streak: 1})
	s.at(10, history.Reading{Gate: "latency", Step: "weight-50", Status: "fail", N: 12, Streak: 2})
	s.at(10, history.Decision{Step: "weight-50", Action: "rollback", First: sec(9), Because: "p99 605ms > 500ms, twice"})
	s.between(8, 10.4, func(before answer, _ *rand.Rand) answer {
		if before.version == history.Candidate {
			return slow
		}
		return before
	})
	return s.settles(10.4, 0)
}

// settles lets the traffic go to one version from second t on.
func (s *story) settles(t, share float64) *story {
	before, after := s.answer, canary(t, share)
	s.answer = func(at float64, r *rand.Rand) answer {
		if at >= t {
			return after(at, r)
		}
		return before(at, r)
	}
	return s
}

// between changes the answers due in [from, to).
func (s *story) between(from, to float64, change func(answer, *rand.Rand) answer) *story {
	before := s.answer
	s.answer = func(t float64, r *rand.Rand) answer {
		a := before(t, r)
		if t < from || t >= to {
			return a
		}
		return change(a, r)
	}
	return s
}

// outage gives all requests due in [from, to) the same answer.
func (s *story) outage(from, to float64, with answer) *story {
	return s.between(from, to, func(answer, *rand.Rand) answer { return with })
}

// at records an event.
func (s *story) at(t float64, payload history.Payload) {
	s.events = append(s.events, history.NewEvent(sec(t), payload))
}

// without drops the events of a type.
func (s *story) without(payload history.Payload) *story {
	s.events = slices.DeleteFunc(s.events, func(e history.Event) bool { return e.Type == payload.EventType() })
	return s
}

// tell is the finished record.
func (s *story) tell() history.History {
	r := rand.New(rand.NewPCG(s.seed, 1))
	h := history.History{Plan: s.plan, Events: append([]history.Event{history.NewEvent(0, s.plan)}, s.events...)}
	for t := r.ExpFloat64() / s.rate; t < s.until+0.3; t += r.ExpFloat64() / s.rate {
		h.Requests = append(h.Requests, s.request(int64(len(h.Requests)), t, s.answer(t, r)))
	}
	n := int64(len(h.Requests))
	for _, event := range []history.Event{
		history.NewEvent(sec(s.until)-1, history.ReleaseEnded{}),
		history.NewEvent(sec(s.until), history.Phase{Name: "heal"}),
		history.NewEvent(sec(s.until+0.5), history.LoadEnded{Planned: n, Sent: n, ReleaseErrorP99Us: 90}),
		history.NewEvent(sec(s.until+0.6), history.Residue{}),
		history.NewEvent(sec(s.until+0.7), history.RunEnded{}),
	} {
		if !slices.ContainsFunc(s.events, func(e history.Event) bool { return e.Type == event.Type }) {
			h.Events = append(h.Events, event)
		}
	}
	slices.SortStableFunc(h.Events, func(a, b history.Event) int { return cmp.Compare(a.At, b.At) })
	if s.edit != nil {
		s.edit(&h)
	}
	return h
}

func (s *story) request(seq int64, t float64, a answer) history.Request {
	r := history.Request{Seq: seq, Name: "GET /cart", Intended: sec(t), Sent: sec(t) + 20, Done: sec(t).After(a.latency),
		Status: a.status, Expected: a.status == 200, Version: a.version, Attempts: 1}
	switch {
	case a.status == 0:
		r.Err = "timeout"
	case a.version == history.Baseline:
		r.Attributed, r.Pod = "header", "shop-v1-a"
	case a.version == history.Candidate:
		r.Attributed, r.Pod = "header", "shop-v2-a"
	}
	return r
}

// check returns the named check of a run.
func (r Run) check(name string) Finding {
	for _, check := range r.Checks {
		if check.Name == name {
			return check
		}
	}
	return Finding{}
}
