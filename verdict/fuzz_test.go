package verdict

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/cutover-dev/cutover/history"
)

// FuzzJudge judges records that no run would write: events in any order and number,
// requests of any kind. Whatever it makes of them, it must not panic, the cuts must
// be in order and the segments must add up.
func FuzzJudge(f *testing.F) {
	for seed := range uint64(20) {
		f.Add(seed, uint16(seed*40), byte(seed))
	}
	f.Fuzz(func(t *testing.T, seed uint64, requests uint16, events byte) {
		h := nonsense(rand.New(rand.NewPCG(seed, 3)), int(requests)%2000, int(events)%60)
		run := Judge(h)
		assertSound(t, run)
		for i, incident := range run.Incidents {
			if incident.RecoveredMs != nil && *incident.RecoveredMs < *incident.OnsetMs {
				t.Errorf("incident %d recovered before it began: %+v", i, incident)
			}
			if i > 0 && (run.Incidents[i-1].RecoveredMs == nil || *incident.OnsetMs < *run.Incidents[i-1].RecoveredMs) {
				t.Errorf("incident %d begins before the one before it is over", i)
			}
			for _, one := range []struct {
				ms *float64
				ci *Bounds
			}{{incident.OnsetMs, incident.OnsetMsCI}, {incident.RecoveredMs, incident.RecoveredMsCI}} {
				if (one.ms == nil) != (one.ci == nil) || one.ms != nil && (*one.ms < one.ci[0] || *one.ms > one.ci[1]) {
					t.Errorf("incident %d has an instant outside of its interval: %+v", i, incident)
				}
			}
			if incident.Bad < 1 || int64(incident.Bad) > run.Requests.Bad {
				t.Errorf("incident %d has %d bad requests of %d", i, incident.Bad, run.Requests.Bad)
			}
		}
		if m := run.MTTR; m != nil && m.TotalMsCI != nil && (m.TotalMs < m.TotalMsCI[0] || m.TotalMs > m.TotalMsCI[1]) {
			t.Errorf("the MTTR is outside of its interval: %+v", *m)
		}
		if run.Verdict == Pass && len(run.Checks) == 0 {
			t.Error("a pass without a check")
		}
		if (run.Verdict == Pass) != (ExitCode(run) == ExitPass) {
			t.Errorf("%s exits with %d", run.Verdict, ExitCode(run))
		}
	})
}

func nonsense(r *rand.Rand, requests, events int) history.History {
	s := rolledBack()
	s.plan.Recover.Confirm = history.Duration(r.IntN(8)) * history.Duration(time.Second)
	s.plan.SLO.Availability = history.Fraction([]float64{0, 0.5, 0.9, 0.999, 1}[r.IntN(5)])
	s.plan.Expect.RecoverAfterFault = lasting(time.Second)
	h := history.History{Plan: s.plan}
	instant := func() history.Micros {
		if r.IntN(10) == 0 {
			return history.Never
		}
		return history.Micros(r.Int64N(30e6)) - 1e6
	}
	payloads := []func() history.Payload{
		func() history.Payload { return history.ReleaseBegan{} },
		func() history.Payload { return history.ReleaseEnded{Err: []string{"", "no"}[r.IntN(2)]} },
		func() history.Payload { return history.Phase{Name: "heal"} },
		func() history.Payload { return history.SteadyState{Rejected: r.IntN(4) == 0} },
		func() history.Payload { return history.StepBegan{Name: "a"} },
		func() history.Payload { return history.StepEnded{Name: "b"} },
		func() history.Payload { return history.FaultApplied{Fault: r.IntN(4) - 1} },
		func() history.Payload { return history.FaultInjected{Fault: 0, Pod: "p"} },
		func() history.Payload { return history.FaultProven{Fault: r.IntN(2), Proven: r.IntN(3) > 0} },
		func() history.Payload { return history.FaultEnded{Fault: r.IntN(3) - 1} },
		func() history.Payload { return history.Decision{Action: "rollback", First: instant()} },
		func() history.Payload { return history.Stall{From: instant(), To: instant()} },
		func() history.Payload {
			return history.LoadEnded{Planned: int64(requests), Sent: int64(requests)}
		},
		func() history.Payload { return history.Residue{} },
	}
	for range events {
		at := instant()
		if !at.Happened() {
			at = 0
		}
		h.Events = append(h.Events, history.NewEvent(at, payloads[r.IntN(len(payloads))]()))
	}
	bad := r.Float64()
	for i := range requests {
		if r.IntN(100) == 0 {
			bad = r.Float64() * float64(r.IntN(2))
		}
		at := history.Micros(r.Int64N(25e6))
		request := history.Request{Seq: int64(i), Intended: at, Sent: at, Done: at.After(time.Millisecond), Status: 200, Expected: r.Float64() > bad,
			Version: []history.Version{history.Baseline, history.Candidate, history.Unattributed}[r.IntN(3)], Pod: []string{"", "p", "q"}[r.IntN(3)]}
		if r.IntN(20) == 0 {
			request.Done = history.Never
		}
		h.Requests = append(h.Requests, request)
	}
	return h
}

// A minute at a thousand requests a second must be judged at once.
func TestJudgeIsFast(t *testing.T) {
	s := faulty(0).some(0.5, 8, 99, timedOut)
	s.rate, s.until = 1000, 65
	h := s.tell()
	began := time.Now()
	Judge(h)
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("%d requests took %v", len(h.Requests), took)
	}
}
