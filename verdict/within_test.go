package verdict

import (
	"math/rand/v2"
	"testing"

	"github.com/cutover-dev/cutover/history"
)

// spaced is a record of arrivals every 10 ms from second 1 on, of which those marked x are
// bad, with 100 good ones before it and 200 after.
func spaced(pattern string, change func(*history.History)) history.History {
	h := history.History{Plan: calm().plan}
	h.Plan.Recover.Confirm = history.Duration(1e9)
	add := func(bad bool) {
		at := sec(float64(len(h.Requests)) / 100)
		h.Requests = append(h.Requests, history.Request{Seq: int64(len(h.Requests)), Intended: at, Sent: at, Done: at + 5000, Status: 200, Expected: !bad})
	}
	for range 100 {
		add(false)
	}
	for _, c := range pattern {
		add(c == 'x')
	}
	for range 200 {
		add(false)
	}
	h.Events = []history.Event{history.NewEvent(0, h.Plan), history.NewEvent(0, history.ReleaseBegan{})}
	if change != nil {
		change(&h)
	}
	return h
}

// TestIntervals goes from arrivals to instants: after the one before, not after the one itself.
func TestIntervals(t *testing.T) {
	const xs = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" // 40, 1.00 to 1.39 s
	lateBy := func(index int, by history.Micros) func(*history.History) {
		return func(h *history.History) { h.Requests[index].Sent += by }
	}
	late := func(index int) func(*history.History) { return lateBy(index, 4000) }
	for _, row := range []struct {
		comment          string
		history          history.History
		onset, recovered Bounds
	}{
		{"where all fail, the instants are between two arrivals", spaced(xs, nil), Bounds{990, 1000}, Bounds{1390, 1400}},
		{"the arrival that shows the onset set out late", spaced(xs, late(100)), Bounds{990, 1004}, Bounds{1390, 1400}},
		{"it waited so long for a connection that it was bad before it had one", spaced(xs, lateBy(100, 3e6)), Bounds{990, 1500}, Bounds{1390, 1400}},
		{"it never had one", spaced(xs, func(h *history.History) { h.Requests[100].Sent = history.Never }), Bounds{990, 1000}, Bounds{1390, 1400}},
		{"and the one that shows the recovery", spaced(xs, late(140)), Bounds{990, 1000}, Bounds{1390, 1404}},
		{"the one before was late: it was good, but could have been earlier", spaced(xs, late(99)), Bounds{990, 1000}, Bounds{1390, 1400}},
		{"a few bad ones may be most of a few more", spaced("xxxxx", nil), Bounds{980, 1000}, Bounds{1040, 1060}},
		{"what the load generator slept through is between two arrivals, too", spaced(xs, func(h *history.History) {
			h.Events = append(h.Events, history.NewEvent(sec(1), history.Stall{From: sec(0.9), To: sec(1.1)}))
		}), Bounds{890, 1100}, Bounds{1390, 1400}},
		{"an incident that users had when they were first counted", spaced(xs, func(h *history.History) {
			h.Requests = h.Requests[100:]
			h.Events[1].At = sec(0.993)
		}), Bounds{993, 1000}, Bounds{1390, 1400}},
		{"relapses lie between the two", spaced(xs+"...................."+xs, nil), Bounds{990, 1000}, Bounds{1990, 2000}},
	} {
		run := Judge(row.history)
		if len(run.Incidents) != 1 || run.Incidents[0].OnsetMsCI == nil || run.Incidents[0].RecoveredMsCI == nil {
			t.Errorf("%s: got %+v", row.comment, run.Incidents)
			continue
		}
		if onset, recovered := *run.Incidents[0].OnsetMsCI, *run.Incidents[0].RecoveredMsCI; onset != row.onset || recovered != row.recovered {
			t.Errorf("%s: onset %v, recovered %v, want %v and %v", row.comment, onset, recovered, row.onset, row.recovered)
		}
		if run.Instants.OnsetMsCI == nil || *run.Instants.OnsetMsCI != row.onset || run.MTTR.TotalMsCI == nil {
			t.Errorf("%s: the instants are %+v, the MTTR %+v", row.comment, run.Instants, run.MTTR)
		}
	}
}

// Two incidents have the recovery of one and the onset of the other between them, and
// nothing of the one says anything of the other.
func TestIntervalsOfNeighbours(t *testing.T) {
	s := busy(60).outage(15, 17, refused).some(0.5, 25, 27, refused)
	run := Judge(s.tell())
	if len(run.Incidents) != 2 {
		t.Fatalf("got %+v", run.Incidents)
	}
	one, other := run.Incidents[0], run.Incidents[1]
	if one.RecoveredMsCI[0] < 16_900 || one.RecoveredMsCI[1] > 17_100 || other.OnsetMsCI[0] < 24_900 || other.OnsetMsCI[1] > 25_100 {
		t.Errorf("recovered within %v, and bad again within %v", *one.RecoveredMsCI, *other.OnsetMsCI)
	}
	s.outage(50, 99, refused)
	run = Judge(s.tell())
	if last := run.Incidents[len(run.Incidents)-1]; last.OnsetMsCI == nil || last.RecoveredMsCI != nil || run.MTTR.TotalMsCI != nil {
		t.Errorf("what did not happen has an interval: %+v of %+v", last, run.MTTR)
	}
}

// The true instants are within their intervals at least as often as is said. Requests come
// at random; the negative control is the likeliest instant as an interval of a millisecond.
func TestCoverageOfIntervals(t *testing.T) {
	const runs = 150
	for _, row := range []struct {
		comment string
		tell    func() *story
	}{
		{"all fail", func() *story { return busy(27).outage(10, 12, refused) }},
		{"half of them fail", func() *story { return busy(27).some(0.5, 10, 12, refused) }},
		{"one in five fails", func() *story { return busy(27).some(0.2, 10, 12, refused) }},
		{"all are slow", func() *story {
			return busy(27).outage(10, 12, answer{history.Baseline, 600e6, 200})
		}},
		{"on and off", func() *story {
			return busy(27).outage(10, 10.5, refused).outage(10.9, 11.2, refused).outage(11.7, 12, refused)
		}},
	} {
		instants, lengths, narrow := 0, 0, 0
		for seed := range uint64(runs) {
			s := row.tell().between(0, 99, func(a answer, r *rand.Rand) answer {
				if r.Float64() < 0.0005 {
					return refused
				}
				return a
			})
			s.seed = seed
			run := Judge(s.tell())
			if run.MTTR == nil || run.MTTR.TotalMsCI == nil {
				t.Fatalf("%s: got %+v", row.comment, run.MTTR)
			}
			for _, one := range []struct {
				truth float64
				said  Bounds
				count *int
			}{
				{10_000, *run.Instants.OnsetMsCI, &instants},
				{12_000, *run.Instants.RecoveredMsCI, &instants},
				{2_000, *run.MTTR.TotalMsCI, &lengths},
				{10_000, Bounds{*run.Instants.OnsetMs - 0.5, *run.Instants.OnsetMs + 0.5}, &narrow},
			} {
				if one.said[0] < one.truth && one.truth <= one.said[1] {
					*one.count++
				}
			}
		}
		t.Logf("%s: held %d of %d instants, %d of %d lengths", row.comment, instants, 2*runs, lengths, runs)
		if instants < 2*runs*93/100 || lengths < runs*93/100 {
			t.Errorf("%s: the intervals hold only %d of %d instants, %d of %d lengths", row.comment, instants, 2*runs, lengths, runs)
		}
		if narrow > runs*80/100 {
			t.Errorf("%s: an interval of a millisecond holds %d of %d: this test cannot fail", row.comment, narrow, runs)
		}
	}
}
