package verdict

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/cutover-dev/cutover/history"
)

func outcomeOf(run Run) Outcome {
	if run.Outcome == nil {
		return ""
	}
	return *run.Outcome
}

func TestJudge(t *testing.T) {
	for _, row := range []struct {
		comment string
		tell    func() *story
		verdict Verdict
		outcome Outcome
		by      string // what ended the incident; "none" for no incident
	}{
		{"a canary without a fault is promoted", calm, Pass, Promoted, "none"},
		{"a masked fault is a good result", func() *story { return faulty(14) }, Pass, Promoted, "none"},
		{"a slow candidate is rolled back", rolledBack, Pass, RolledBack, "rollback"},
		{"the platform heals a blip while the fault stays on", func() *story {
			return faulty(0).outage(8, 8.5, refused)
		}, Pass, Promoted, "self"},
		{"the promotion itself ends the incident", func() *story {
			return faulty(0).between(9, 12, func(a answer, _ *rand.Rand) answer {
				if a.version == history.Baseline {
					a.status = 500
				}
				return a
			})
		}, Pass, Promoted, "promotion"},
		{"a promotion in the midst of an incident did not end it", func() *story {
			return faulty(0).some(0.5, 9, 14, refused)
		}, Pass, Promoted, "self"},
		{"nothing reacted before the fault ended: censored, not judged", func() *story {
			return faulty(11).outage(8, 11, timedOut)
		}, Invalid, Promoted, "fault-end"},
		{"nothing reacted, and that took longer than promised", func() *story {
			s := faulty(11).outage(8, 11, timedOut)
			s.plan.Expect.MTTR = lasting(2 * time.Second)
			return s
		}, Fail, Promoted, "fault-end"},
		{"it never recovered, and that took longer than promised", func() *story {
			s := faulty(0).outage(8, 99, timedOut)
			s.plan.Expect = history.Expect{MTTR: lasting(5 * time.Second)}
			return s
		}, Fail, Failed, ""},
		{"it never recovered, but the target is further away than the record's end", func() *story {
			s := faulty(0).outage(8, 99, timedOut)
			s.plan.Expect = history.Expect{MTTR: lasting(time.Minute)}
			return s
		}, Invalid, Failed, ""},
		{"a failed check outweighs one that could not be judged", func() *story {
			s := faulty(11).outage(8, 11, timedOut) // mttr unjudged
			s.plan.Expect.Outcome = "rolled-back"
			return s
		}, Fail, Promoted, "fault-end"},
		{"expecting nothing shows nothing", func() *story {
			s := calm()
			s.plan.Expect = history.Expect{}
			return s
		}, Invalid, Promoted, "none"},
		{"what was left behind overrides everything", func() *story {
			s := rolledBack()
			s.at(21, history.Residue{Items: []string{"qdisc netem on shop-v2-a"}})
			return s
		}, Error, RolledBack, "rollback"},
		{"so does an undo that failed", func() *story {
			s := rolledBack()
			s.at(20.5, history.Undone{Action: "networkchaos/delay", Err: "timed out"})
			return s
		}, Error, RolledBack, "rollback"},
		{"so does a harness that broke", func() *story {
			s := rolledBack()
			s.at(20.5, history.Broken{Because: "the API server is gone"})
			return s
		}, Error, RolledBack, "rollback"},
		{"a confirmed undo is no trouble", func() *story {
			s := rolledBack()
			s.at(20.5, history.Undone{Action: "networkchaos/delay"})
			return s
		}, Pass, RolledBack, "rollback"},
		{"a cluster that cannot run it skips it", func() *story {
			s := calm().without(history.ReleaseBegan{})
			s.at(0.5, history.Skipped{Because: "needs two nodes"})
			return s
		}, Skipped, "", "none"},
		{"without a release there is nothing to pass", func() *story {
			return calm().without(history.ReleaseBegan{})
		}, Invalid, "", "none"},
	} {
		run := Judge(row.tell().tell())
		by := "none"
		if run.MTTR != nil {
			by = run.MTTR.RecoveredBy
		}
		if run.Verdict != row.verdict || outcomeOf(run) != row.outcome || by != row.by {
			t.Errorf("%s:\ngot %s %q by %q, want %s %q by %q\n%s\n%+v", row.comment,
				run.Verdict, outcomeOf(run), by, row.verdict, row.outcome, row.by, run.Because, run.Checks)
		}
	}
}

func TestTheEmptyRecordIsInvalid(t *testing.T) {
	if run := Judge(history.History{}); run.Verdict != Invalid || run.Outcome != nil || run.MTTR != nil || run.Availability != nil {
		t.Errorf("got %+v", run)
	}
}

// Each check has a record that it passes and, as its negative control, one that it
// must fail. A check that is missing here fails the test.
func TestEachCheckCanFail(t *testing.T) {
	type control struct {
		expect     history.Expect
		pass, fail func() *story
	}
	slowGate := func() *story { // the gate saw it at 9 at last, not at 8.2
		s := rolledBack()
		s.plan.Expect = history.Expect{Detection: lasting(500 * time.Millisecond)}
		return s
	}
	controls := map[string]control{
		"outcome":      {history.Expect{Outcome: "rolled-back"}, rolledBack, calm},
		"mttr":         {history.Expect{MTTR: lasting(3 * time.Second)}, rolledBack, func() *story { return rolledBack().outage(10.4, 13, timedOut) }},
		"detection":    {history.Expect{Detection: lasting(2 * time.Second)}, rolledBack, func() *story { return faulty(0).outage(8, 11, refused) }},
		"availability": {history.Expect{Availability: fraction(0.9)}, rolledBack, func() *story { return rolledBack().outage(8, 10.4, refused) }},
		"recoverAfterFault": {history.Expect{RecoverAfterFault: lasting(time.Second)},
			func() *story { return faulty(10).outage(8, 10.5, refused) }, func() *story { return faulty(10).outage(8, 12, refused) }},
		"procedure": {history.Expect{Procedure: &history.ExpectProcedure{Exit: 3}},
			func() *story { return ending(history.ProcedureEnded{Attempt: 1, Exit: 3}) }, func() *story { return ending(history.ProcedureEnded{Attempt: 1}) }},
		"lostWrites": {history.Expect{LostWrites: new(int)},
			func() *story { return readBack(history.ReadBack{Acknowledged: 9, Kept: 9}) }, func() *story { return readBack(history.ReadBack{Acknowledged: 9, Kept: 8, Lost: 1}) }},
		"diff": {history.Expect{Diff: "none"}, func() *story { return compared(same) }, func() *story { return compared(another) }},
	}
	for _, check := range checks {
		c, ok := controls[check.Name()]
		if !ok {
			t.Errorf("check %s has no negative control", check.Name())
			continue
		}
		for want, tell := range map[string]func() *story{CheckPass: c.pass, CheckFail: c.fail} {
			s := tell()
			s.plan.Expect = c.expect
			if got := Judge(s.tell()).check(check.Name()); got.Status != want {
				t.Errorf("%s must %s: got %+v", check.Name(), want, got)
			}
		}
	}
	if got := Judge(slowGate().tell()).check("detection"); got.Status != CheckFail {
		t.Errorf("a detection that took too long must fail: got %+v", got)
	}
}

func TestUnjudgedForWantOfMeasurement(t *testing.T) {
	for _, row := range []struct {
		comment, check string
		expect         history.Expect
		tell           *story
	}{
		{"the incident was over before detection was due", "detection", history.Expect{Detection: lasting(2 * time.Second)}, faulty(0).outage(8, 8.5, refused)},
		{"no fault caused the incident", "recoverAfterFault", history.Expect{RecoverAfterFault: lasting(time.Second)}, calm().outage(8, 9, refused)},
		{"nobody saw the fault end", "recoverAfterFault", history.Expect{RecoverAfterFault: lasting(time.Second)}, faulty(0).outage(8, 99, refused)},
		{"no incident so far, but nobody watched for long after the fault", "mttr", history.Expect{MTTR: lasting(time.Second)}, func() *story {
			s := faulty(0)
			s.until = 9
			return s
		}()},
	} {
		row.tell.plan.Expect = row.expect
		if got := Judge(row.tell.tell()).check(row.check); got.Status != CheckUnjudged || got.Because == "" {
			t.Errorf("%s: got %+v", row.comment, got)
		}
	}
}

// A broken assumption leaves every check unjudged that names it, whatever was
// measured.
func TestBrokenAssumptions(t *testing.T) {
	unattributed := func(h *history.History) {
		for i := range h.Requests {
			if i%20 == 0 {
				h.Requests[i].Version, h.Requests[i].Attributed = history.Unattributed, ""
			}
		}
	}
	for _, row := range []struct {
		comment, check string
		tell           func(*story) *story
	}{
		{"the steady state rejects the SLO", "outcome", func(s *story) *story {
			s.without(history.SteadyState{}).at(4, history.SteadyState{N: 100, Bad: 5, Rejected: true})
			return s
		}},
		{"the steady state was not measured", "mttr", func(s *story) *story { return s.without(history.SteadyState{}) }},
		{"the fault was not proven", "availability", func(s *story) *story {
			s.without(history.FaultProven{}).at(8.1, history.FaultProven{Fault: 0, Because: "+2 ms"})
			return s
		}},
		{"one measurement of two denies the fault", "availability", func(s *story) *story {
			s.at(8.2, history.FaultProven{Fault: 0, Because: "+2 ms"})
			return s
		}},
		{"the fault was never measured", "detection", func(s *story) *story { return s.without(history.FaultProven{}) }},
		{"the fault was never applied", "mttr", func(s *story) *story {
			return s.without(history.FaultProven{}).without(history.FaultApplied{})
		}},
		{"the run was interrupted", "mttr", func(s *story) *story { s.at(21, history.RunEnded{Interrupted: true}); return s }},
		{"a hypervisor had a quarter of the processors", "mttr", func(s *story) *story {
			s.at(9, history.Host{Over: history.Duration(time.Second), Stolen: new(0.25)})
			return s
		}},
		{"the load's books do not balance", "outcome", func(s *story) *story { s.at(21, history.LoadEnded{Planned: 10, Sent: 8, Unsent: 1}); return s }},
		{"requests are missing", "outcome", func(s *story) *story { s.edit = func(h *history.History) { h.Requests = h.Requests[1:] }; return s }},
		{"the load was never closed", "outcome", func(s *story) *story {
			s.edit = func(h *history.History) {
				h.Events = slices.DeleteFunc(h.Events, func(e history.Event) bool { return e.Type == "load-ended" })
			}
			return s
		}},
		{"the generator stalled for two of fifteen seconds", "availability", func(s *story) *story { s.at(15, history.Stall{From: sec(13), To: sec(15)}); return s }},
		{"the generator was late by half of the SLO", "mttr", func(s *story) *story {
			s.edit = func(h *history.History) {
				n := int64(len(h.Requests))
				h.Events = append(h.Events[:len(h.Events)-3], history.NewEvent(sec(21), history.LoadEnded{Planned: n, Sent: n, ReleaseErrorP99Us: 260_000}))
			}
			return s
		}},
		{"one answer in twenty does not tell its version", "detection", func(s *story) *story { s.edit = unattributed; return s }},
	} {
		s := row.tell(rolledBack())
		run := Judge(s.tell())
		if got := run.check(row.check); got.Status != CheckUnjudged || run.Verdict != Invalid {
			t.Errorf("%s: got %s, %+v", row.comment, run.Verdict, got)
		}
	}
	s := rolledBack()
	s.at(9, history.Host{Over: history.Duration(time.Second), CPUWait: new(1.0), Stolen: new(0.24)})
	if run := Judge(s.tell()); run.Verdict != Pass {
		t.Errorf("a machine that is only busy: %s, %s", run.Verdict, run.Because)
	}
	s = rolledBack()
	s.edit = unattributed
	if got := Judge(s.tell()).check("mttr"); got.Status != CheckPass {
		t.Errorf("the MTTR does not hang on attribution: %+v", got)
	}
}

func TestEscapes(t *testing.T) {
	// born gives a share of the candidate's answers from second 9 on to a new pod.
	born := func(share int, events ...history.Stamped[history.FaultInjected]) *story {
		s := faulty(14)
		for _, e := range events {
			s.events = append(s.events, history.NewEvent(e.At, e.Data))
		}
		s.edit = func(h *history.History) {
			seen := 0
			for i := range h.Requests {
				if r := &h.Requests[i]; r.Version == history.Candidate && r.Intended > sec(9) {
					if seen++; seen%share == 0 {
						r.Pod = "shop-v2-b"
					}
				}
			}
		}
		return s
	}
	for _, row := range []struct {
		comment string
		tell    *story
		escaped []string
		status  string
	}{
		{"the fault followed nobody, and nobody was born", faulty(14), []string{}, CheckPass},
		{"a pod born later answers half of the target's requests unfaulted", born(2), []string{"shop-v2-b"}, CheckUnjudged},
		{"the fault followed it at once", born(2, history.Stamped[history.FaultInjected]{At: sec(8.9), Data: history.FaultInjected{Fault: 0, Pod: "shop-v2-b"}}), []string{}, CheckPass},
		{"the fault followed it too late", born(2, history.Stamped[history.FaultInjected]{At: sec(11), Data: history.FaultInjected{Fault: 0, Pod: "shop-v2-b"}}), []string{"shop-v2-b"}, CheckUnjudged},
		{"one request of many is worth a remark only", born(300), []string{"shop-v2-b"}, CheckPass},
		{"a pod that was there before and left out was not meant", func() *story {
			s := born(2)
			edit := s.edit
			s.edit = func(h *history.History) {
				edit(h)
				for i := range h.Requests {
					if r := &h.Requests[i]; r.Version == history.Candidate && r.Intended < sec(8) && i%2 == 0 {
						r.Pod = "shop-v2-b"
					}
				}
			}
			return s
		}(), []string{}, CheckPass},
	} {
		row.tell.rate = 100
		run := Judge(row.tell.tell())
		if got := run.Faults[0].Escaped; !slices.Equal(got, row.escaped) || run.check("outcome").Status != row.status {
			t.Errorf("%s: escaped %v, outcome %+v", row.comment, got, run.check("outcome"))
		}
	}
}

func TestMTTRSegments(t *testing.T) {
	run := Judge(rolledBack().tell())
	onset, recovered := *run.Instants.OnsetMs, *run.Instants.RecoveredMs
	for _, row := range []struct {
		comment       string
		got           *float64
		atLeast, upTo float64
	}{
		{"applied is the event's", run.Instants.AppliedMs, 8000, 8000},
		{"proven is the measurement's", run.Instants.ProvenMs, 8100, 8100},
		{"onset is the first slow answer", run.Instants.OnsetMs, 8000, 8200},
		{"detected is the first failing reading", run.Instants.DetectedMs, 9000, 9000},
		{"decided is the decision", run.Instants.DecidedMs, 10000, 10000},
		{"actuated is the candidate's last arrival", run.Instants.ActuatedMs, 10200, 10400},
		{"recovered is the first arrival after the last bad one", run.Instants.RecoveredMs, 10200, 10500},
		{"the fault ended much later", run.Instants.FaultEndedMs, 16000, 16000},
		{"detect runs from the onset", run.MTTR.Segments.DetectMs, 9000 - onset, 9000 - onset},
		{"decide is two readings apart", run.MTTR.Segments.DecideMs, 1000, 1000},
		{"actuate", run.MTTR.Segments.ActuateMs, 200, 400},
		{"recover is the next arrival", run.MTTR.Segments.RecoverMs, 0, 150},
		{"the total", &run.MTTR.TotalMs, recovered - onset, recovered - onset},
		{"the lag is beside it", run.MTTR.LagMs, onset - 8000, onset - 8000},
	} {
		if row.got == nil || *row.got < row.atLeast-1e-6 || *row.got > row.upTo+1e-6 {
			t.Errorf("%s: got %v, want %g to %g", row.comment, row.got, row.atLeast, row.upTo)
		}
	}
	assertSound(t, run)
}

func TestClampedCuts(t *testing.T) {
	decision := func(first, at float64, from, to float64) Run {
		s := faulty(0).outage(from, to, refused).settles(12, 0)
		s.at(at, history.Decision{Action: "rollback", First: sec(first)})
		return Judge(s.tell())
	}
	for _, row := range []struct {
		comment string
		run     Run
		null    []bool // detect, decide, actuate, recover
		zero    []bool
	}{
		{"a decision before the onset takes no time", decision(8.5, 8.8, 9, 11), []bool{false, false, false, false}, []bool{true, true, false, true}},
		{"a decision after the recovery cuts nothing off: all of it was undetected", decision(11.5, 12, 8, 10), []bool{false, false, false, false}, []bool{false, true, true, true}},
		{"without a decision all the time is recovery", Judge(faulty(0).outage(8, 9, refused).tell()), []bool{true, true, true, false}, []bool{false, false, false, false}},
	} {
		s := row.run.MTTR.Segments
		for i, segment := range []*float64{s.DetectMs, s.DecideMs, s.ActuateMs, s.RecoverMs} {
			if (segment == nil) != row.null[i] || (segment != nil && (*segment == 0) != row.zero[i]) {
				t.Errorf("%s: segment %d of %+v is wrong", row.comment, i, row.run.MTTR)
			}
		}
		assertSound(t, row.run)
	}
	s := rolledBack() // a decision for want of data has no failing reading
	s.without(history.Decision{}).at(10, history.Decision{Action: "rollback", First: history.Never})
	if run := Judge(s.tell()); run.Instants.DetectedMs != nil || run.MTTR.Segments.DetectMs != nil || *run.MTTR.Segments.DecideMs < 1500 {
		t.Errorf("no detection: its time belongs to the decision, got %+v", run.MTTR)
	}
}

// assertSound checks what holds for every run: the summary can be written, and the
// segments add up to the total in whole microseconds.
func assertSound(t *testing.T, run Run) {
	t.Helper()
	if _, err := json.Marshal(run); err != nil {
		t.Errorf("the summary cannot be written: %v", err)
	}
	if run.MTTR == nil {
		return
	}
	sum, s := int64(0), run.MTTR.Segments
	for _, segment := range []*float64{s.DetectMs, s.DecideMs, s.ActuateMs, s.RecoverMs} {
		if segment == nil {
			continue
		}
		if *segment < 0 {
			t.Errorf("a segment is negative: %+v", s)
		}
		sum += int64(math.Round(*segment * 1000))
	}
	if total := int64(math.Round(run.MTTR.TotalMs * 1000)); sum != total {
		t.Errorf("the segments add up to %d µs, the total is %d µs", sum, total)
	}
}
