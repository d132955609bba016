package verdict

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/cutover-dev/cutover/history"
)

// busy is calm at 200 requests a second with incidents joined within 5 s.
func busy(until float64) *story {
	s := calm()
	s.rate, s.until = 200, until
	return s
}

// some gives the share of the requests due in [from, to) the answer.
func (s *story) some(share, from, to float64, with answer) *story {
	return s.between(from, to, func(before answer, r *rand.Rand) answer {
		if r.Float64() < share {
			return with
		}
		return before
	})
}

// burst makes n arrivals in a row bad, from second t on.
func (s *story) burst(t float64, n int) *story {
	return s.between(t, s.until, func(before answer, _ *rand.Rand) answer {
		if n--; n >= 0 {
			return refused
		}
		return before
	})
}

func TestIncidents(t *testing.T) {
	type want struct {
		onset, recovered float64 // seconds; recovered -1 if it never did
		tolerance        float64
		relapses         int
	}
	for _, row := range []struct {
		comment string
		tell    *story
		want    []want
	}{
		{"nothing bad is no incident", busy(30), nil},
		{"a lone bad request at 99.9 % is none", busy(30).burst(15, 1), nil},
		{"two in a row are none", busy(30).burst(15, 2), nil},
		{"errors within the SLO are none", busy(60).some(0.0008, 5, 60, refused), nil},
		{"five in a row are a blip of some 25 ms", busy(30).burst(15, 5), []want{{15, 15.025, 0.03, 0}}},
		{"an outage is found to the arrival", busy(30).outage(15, 17, refused), []want{{15, 17, 0.03, 0}}},
		{"half of the requests failing is found to a few arrivals", busy(30).some(0.5, 15, 17, refused), []want{{15, 17, 0.1, 0}}},
		{"a canary at one twentieth that fails always is one incident", busy(40).some(0.05, 15, 25, refused), []want{{15, 25, 0.6, 0}}},
		{"a stray error before an outage does not begin it", busy(30).burst(12, 1).outage(15, 17, refused), []want{{15, 17, 0.03, 0}}},
		{"a stray error after an outage does not prolong it", busy(30).outage(15, 17, refused).burst(20, 1), []want{{15, 17, 0.03, 0}}},
		{"a tail of errors is part of the incident", busy(40).outage(15, 16, refused).some(0.1, 16, 20, refused), []want{{15, 20, 0.4, 0}}},
		{"errors too thin for a change point still keep the SLO from holding", busy(40).outage(15, 16, refused).
			burst(17, 1).burst(18, 1).burst(19, 1).burst(20, 1).burst(20.5, 1), []want{{15, 20.5, 0.03, 0}}},
		{"an outage that comes back within the confirmation is a relapse", busy(30).outage(10, 11, refused).outage(14, 15, refused), []want{{10, 15, 0.03, 1}}},
		{"one that comes back later is another", busy(40).outage(10, 11, refused).outage(17, 18, refused), []want{{10, 11, 0.03, 0}, {17, 18, 0.03, 0}}},
		{"flapping counts each relapse", busy(30).outage(10, 11, refused).outage(12, 13, refused).outage(14, 15, refused), []want{{10, 15, 0.03, 2}}},
		{"an outage that lasts never recovers", busy(30).outage(15, 99, refused), []want{{15, -1, 0.03, 0}}},
		{"the record ends before the recovery is confirmed", busy(30).outage(15, 27, refused), []want{{15, -1, 0.03, 0}}},
		{"an SLO that is missed all the time never recovers", busy(30).some(0.02, 5, 99, refused), []want{{5, -1, 0.6, 0}}},
		{"a stall of the load generator is nobody's incident", func() *story {
			s := busy(30).outage(15, 15.2, refused)
			s.at(15.3, history.Stall{From: sec(15), To: sec(15.2)})
			return s
		}(), nil},
		{"a stall that is short beside the SLO hides nothing", func() *story {
			s := busy(30).outage(15, 15.04, refused)
			s.rate = 400
			s.at(15.3, history.Stall{From: sec(15), To: sec(15.04)})
			return s
		}(), []want{{15, 15.04, 0.03, 0}}},
		{"an SLO of 100 % is violated by each bad answer, not between two", func() *story {
			s := busy(40).burst(10, 1).burst(20, 1)
			s.plan.SLO.Availability = 1
			return s
		}(), []want{{10, 10, 0.05, 0}, {20, 20, 0.05, 0}}},
	} {
		e := examine(row.tell.tell())
		if len(e.incidents) != len(row.want) {
			t.Errorf("%s: got %d incidents, want %d", row.comment, len(e.incidents), len(row.want))
			continue
		}
		for i, got := range e.incidents {
			want := row.want[i]
			off := func(m history.Micros, s float64) bool {
				return m.Sub(sec(s)).Abs() > time.Duration(want.tolerance*float64(time.Second))
			}
			never := want.recovered < 0
			if off(got.onset, want.onset) || got.relapses != want.relapses ||
				got.recovered.Happened() == never || (!never && off(got.recovered, want.recovered)) {
				t.Errorf("%s: got %d to %d with %d relapses, want %+v", row.comment, got.onset, got.recovered, got.relapses, want)
			}
		}
	}
}

// Background errors at exactly the rate that the SLO allows must not be called an
// incident.
func TestBackgroundIsNoIncident(t *testing.T) {
	found := 0
	for seed := range uint64(50) {
		s := busy(60).some(0.001, 5, 99, refused)
		s.seed = seed
		found += len(examine(s.tell()).incidents)
	}
	if found > 1 {
		t.Errorf("%d incidents in 50 runs within the SLO", found)
	}
}

func TestCause(t *testing.T) {
	oneShot := func() *story {
		s := faulty(0)
		s.plan.Faults[0].OneShot = true
		return s
	}
	for _, row := range []struct {
		comment string
		tell    *story
		want    string
	}{
		{"while the fault was on", faulty(14).outage(9, 10, refused), "fault:0"},
		{"requests under way when it came", faulty(14).outage(7.8, 10, refused), "fault:0"},
		{"well before the fault, at the step", faulty(14).outage(6.5, 7.2, refused), "step:weight-50"},
		{"well after the fault, at the step", faulty(9).outage(11, 12, refused), "step:weight-50"},
		{"soon after a one-shot", oneShot().outage(11, 12, refused), "fault:0"},
		{"long after a one-shot", oneShot().outage(14, 15, refused), "step:weight-50"},
		{"the fault's end was never seen", faulty(0).outage(14, 15, refused), "fault:0"},
		{"before any step", calm().without(history.StepBegan{}).outage(9, 10, refused), "unknown"},
	} {
		incidents := Judge(row.tell.tell()).Incidents
		if len(incidents) != 1 || incidents[0].Cause != row.want {
			t.Errorf("%s: got %+v, want %s", row.comment, incidents, row.want)
		}
	}
}

// The MTTR is about the longest incident after the first fault.
func TestLongestAfterTheFault(t *testing.T) {
	s := faulty(0)
	s.until = 50
	s.outage(5, 7, refused).outage(13, 14, refused).outage(20, 21.5, refused).outage(30, 30.5, refused)
	run := Judge(s.tell())
	if len(run.Incidents) != 4 || run.MTTR == nil || run.MTTR.TotalMs < 1300 || run.MTTR.TotalMs > 1700 {
		t.Errorf("got %+v of %+v", run.MTTR, run.Incidents)
	}
	s.outage(49, 99, refused)
	if run := Judge(s.tell()); !run.MTTR.Censored || run.Instants.RecoveredMs != nil {
		t.Errorf("one that never recovered is the longest: got %+v", run.MTTR)
	}
}

// An incident that the fault fell into is the release's to recover from: to leave it
// out would call the worst of runs one without an incident.
func TestAFaultWithinAnIncidentCounts(t *testing.T) {
	for _, row := range []struct {
		comment string
		tell    *story
		total   float64 // seconds; 0 for no MTTR
	}{
		{"bad before the fault and through it", faulty(0).outage(6, 12, refused), 6},
		{"a blip before the fault that its outage is a relapse of", faulty(0).outage(6, 6.5, refused).outage(8.2, 12, refused), 6},
		{"over before the fault", faulty(0).outage(4, 5, refused), 0},
	} {
		row.tell.until = 40
		run := Judge(row.tell.tell())
		switch {
		case row.total == 0 && run.MTTR != nil:
			t.Errorf("%s: got %+v, want no MTTR", row.comment, run.MTTR)
		case row.total > 0 && (run.MTTR == nil || run.MTTR.TotalMs < row.total*1000-200 || run.MTTR.TotalMs > row.total*1000+200):
			t.Errorf("%s: got %+v, want %g s", row.comment, run.MTTR, row.total)
		}
	}
}

func TestOutcome(t *testing.T) {
	both := func(share float64, with answer) *story {
		return calm().settles(12, 0.5).some(share, 15, 99, with)
	}
	none := Outcome("")
	for _, row := range []struct {
		comment string
		tell    *story
		want    Outcome
	}{
		{"all on the candidate", calm(), Promoted},
		{"all on the baseline after the candidate had some", calm().settles(12, 0), RolledBack},
		{"all on the baseline and the candidate never had any", calm().settles(0, 0), Stuck},
		{"the same, but a rollback was decided", func() *story {
			s := calm().settles(0, 0)
			s.at(7, history.Decision{Action: "rollback", First: history.Never})
			return s
		}(), RolledBack},
		{"half and half", both(0, refused), Stuck},
		{"half and half, and the unanswered count against the candidate", both(0.3, timedOut), Stuck},
		{"the candidate has it all and fails", calm().some(0.3, 15, 99, answer{history.Candidate, time.Millisecond, 500}), Failed},
		{"the candidate has it all and a third is never answered", calm().some(0.3, 15, 99, timedOut), Failed},
		{"the baseline has it all and a third is refused", calm().settles(12, 0).some(0.3, 15, 99, refused), Failed},
		{"nobody answers anything", calm().outage(12, 99, timedOut), Failed},
		{"everything is answered by nobody knows whom", calm().outage(12, 99, answer{history.Unattributed, time.Millisecond, 200}), none},
		{"the release never began", calm().without(history.ReleaseBegan{}), none},
		{"traffic still moved until the release returned", func() *story {
			s := calm().settles(18.4, 1).between(12, 18.4, func(answer, *rand.Rand) answer { return fromBaseline })
			s.at(18.5, history.ReleaseEnded{})
			return s
		}(), Promoted},
	} {
		if got := outcomeOf(Judge(row.tell.tell())); got != row.want {
			t.Errorf("%s: got %q, want %q", row.comment, got, row.want)
		}
	}
}
