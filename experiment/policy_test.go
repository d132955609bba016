package experiment

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cutover-dev/cutover/gates"
	"github.com/cutover-dev/cutover/history"
	"github.com/cutover-dev/cutover/release"
)

// scripted is a gate that gives the readings of a script, the last one for ever.
type scripted struct {
	script []string
	asked  int
}

func (s *scripted) Name() string   { return "scripted" }
func (s *scripted) Limits() string { return "scripted" }
func (s *scripted) Collects()      {}

func (s *scripted) Read(_ context.Context, _ history.Live, span gates.Span) history.Reading {
	status := s.script[min(s.asked, len(s.script)-1)]
	s.asked++
	return history.Reading{Gate: "scripted", From: span.From, To: span.To, Status: status, Because: status}
}

// tape is a Sink and a Live that only knows the time.
type tape struct {
	clock history.Clock

	mu     sync.Mutex
	events []history.Event
}

func (t *tape) Event(e history.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.events = append(t.events, e)
}
func (t *tape) Request(history.Request) {}
func (t *tape) Now() history.Micros     { return t.clock.Now() }
func (t *tape) Window(from, to history.Micros) history.Window {
	return history.Window{From: from, To: to}
}
func (t *tape) Serving(int64) <-chan struct{} { return nil }
func (t *tape) last() (history.Decision, bool) {
	decisions := history.All[history.Decision](t.events)
	if len(decisions) == 0 {
		return history.Decision{}, false
	}
	return decisions[len(decisions)-1].Data, true
}

func TestPolicy(t *testing.T) {
	const pass, fail, none = gates.Pass, gates.Fail, gates.NoData
	for _, row := range []struct {
		name   string
		script []string
		noData string
		want   release.Decision
		after  time.Duration // from the beginning of the step
		first  history.Micros
	}{
		// A step that passes is left when its hold is over, not before.
		{"passes", []string{pass}, "rollback", release.Proceed, 4 * time.Second, history.Never},
		// One failing reading is not enough where two are asked for.
		{"fails once", []string{pass, fail, pass}, "rollback", release.Proceed, 4 * time.Second, history.Never},
		// Two in a row are; the streak begins at the first of them.
		{"fails twice", []string{pass, fail, fail}, "rollback", release.Rollback, 3 * time.Second, 2_000_000},
		// A pass in between begins a new streak.
		{"fails, passes, fails twice", []string{fail, pass, fail, fail}, "rollback", release.Rollback, 4 * time.Second, 3_000_000},
		// The hold is over and the latest reading fails: the step is not left.
		{"fails at the end", []string{pass, pass, pass, fail, pass}, "rollback", release.Proceed, 5 * time.Second, history.Never},
		// Without data the reading is extended ten times, then it rolls back.
		{"no data rolls back", []string{none}, "rollback", release.Rollback, 10 * time.Second, history.Never},
		// The same with the policy to hold: nothing happens until there is data.
		{"no data holds", []string{none, none, none, none, none, none, none, none, none, none, none, pass}, "hold", release.Proceed, 12 * time.Second, history.Never},
		// And with the policy to proceed, which is the user's own risk.
		{"no data proceeds", []string{none}, "proceed", release.Proceed, 10 * time.Second, history.Never},
		// Data that comes late is data.
		{"late data", []string{none, none, pass}, "rollback", release.Proceed, 4 * time.Second, history.Never},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				record := &tape{clock: history.NewClock()}
				p := &policy{gates: []gates.Gate{&scripted{script: row.script}}, live: record, sink: record,
					spec: gates.Spec{Every: history.Duration(time.Second), Min: 1, Fails: 2, NoData: row.noData}}
				got, err := p.watch(t.Context(), "weight-25", 0, 4*time.Second, func() bool { return true })
				if err != nil || got != row.want {
					t.Fatalf("got %s, %v; want %s", got, err, row.want)
				}
				if took := record.Now().Sub(0); took != row.after {
					t.Errorf("decided after %v, want %v", took, row.after)
				}
				decision, recorded := record.last()
				if !recorded || decision.First != row.first {
					t.Errorf("recorded %+v, want the streak to begin at %d", decision, row.first)
				}
			})
		})
	}
}

// Where the candidate gets nothing but copies, what counts users' requests is not asked:
// it would never have data. What asks somebody else is.
func TestPolicyAtCopies(t *testing.T) {
	counts := &scripted{script: []string{gates.NoData}}
	asks := &asking{name: "asks", scripted: scripted{script: []string{gates.Fail}}}
	p := &policy{gates: []gates.Gate{counts, asks}}
	for _, row := range []struct {
		step release.Step
		want []gates.Gate
	}{
		// as in a canary
		{release.Step{Name: "switch", Weight: 100}, []gates.Gate{counts, asks}},
		// users meet the baseline alone
		{release.Step{Name: "mirror-10", Mirror: 10}, []gates.Gate{asks}},
	} {
		if got := p.at(row.step).gates; !slices.Equal(got, row.want) {
			t.Errorf("%s: asks %v, want %v", row.step.Name, got, row.want)
		}
	}
	if none := (*policy)(nil); none.at(release.Step{Mirror: 10}) != nil {
		t.Error("a policy came out of none")
	}
}

// A step is not left while an injection is under way: the fault would act on the next one.
func TestPolicyWaitsForInjections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		record := &tape{clock: history.NewClock()}
		var p *policy // no gate
		settled := func() bool { return record.Now().Sub(0) >= 7*time.Second }
		if got, err := p.watch(t.Context(), "weight-5", 0, time.Second, settled); err != nil || got != release.Proceed {
			t.Fatalf("got %s, %v", got, err)
		}
		if took := record.Now().Sub(0); took < 7*time.Second || took > 8*time.Second {
			t.Errorf("left after %v, before the injection was made", took)
		}
	})
}

// A cancelled run does not wait for its step.
func TestPolicyEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var p *policy
		if _, err := p.watch(ctx, "weight-5", 0, time.Hour, func() bool { return true }); err == nil {
			t.Error("no error, though the context ended")
		}
	})
}

// asking is a gate that asks somebody else: it does not collect.
type asking struct {
	name string
	scripted
}

func (a *asking) Name() string { return a.name }

// Collects hides that of scripted.
func (a *asking) Collects(struct{}) {}

func (a *asking) Read(ctx context.Context, live history.Live, span gates.Span) history.Reading {
	r := a.scripted.Read(ctx, live, span)
	r.Gate = a.name
	return r
}

func TestPolicyOfSeveralGates(t *testing.T) {
	const pass, fail, none, waiting, silent = gates.Pass, gates.Fail, gates.NoData, gates.Waiting, gates.Silent
	for _, row := range []struct {
		name         string
		first, other []string
		noData       string
		want         release.Decision
		after        time.Duration
		because      string // of the decision
	}{
		// Both pass.
		{"both pass", []string{pass}, []string{pass}, "rollback", release.Proceed, 4 * time.Second, "latest reading passes"},
		// One fails twice in a row while the other passes.
		{"one fails", []string{pass}, []string{fail}, "rollback", release.Rollback, 2 * time.Second, "weight-25: b: fail"},
		// The other's passes in between do not break the streak of one that answers seldom.
		{"fails seldom", []string{pass}, []string{waiting, fail, waiting, fail}, "rollback", release.Rollback, 4 * time.Second, "b: fail"},
		// Two that fail one after the other are two failing readings.
		{"fail by turns", []string{fail, pass}, []string{pass, fail}, "rollback", release.Rollback, 2 * time.Second, "b: fail"},
		// One without data is no data, whatever the other says.
		{"one without data", []string{pass}, []string{none}, "rollback", release.Rollback, 10 * time.Second, "b: no-data"},
		{"one without data holds", []string{pass}, []string{none, none, none, none, none, none, none, none, none, none, none, pass}, "hold", release.Proceed, 12 * time.Second, ""},
		// A failure is more than no data.
		{"one fails, one without data", []string{none}, []string{none, none, none, none, none, none, none, none, fail, fail}, "proceed", release.Rollback, 10 * time.Second, "b: fail"},
		// A step is not left while an answer is awaited, and that is not without data.
		{"one waits", []string{pass}, append(slices.Repeat([]string{waiting}, 19), pass), "rollback", release.Proceed, 20 * time.Second, ""},
		// What passed before does not stand for a source that is gone.
		{"loses its source", []string{pass}, []string{pass, none, none, none, none, pass}, "rollback", release.Proceed, 6 * time.Second, ""},
		// One that is not asked here leaves the step to the others.
		{"one is silent", []string{pass}, []string{silent}, "rollback", release.Proceed, 4 * time.Second, ""},
		// A word that nobody knows is no pass.
		{"speaks in tongues", []string{pass}, []string{"ok"}, "rollback", release.Rollback, 10 * time.Second, "b: ok"},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				record := &tape{clock: history.NewClock()}
				p := &policy{gates: []gates.Gate{&scripted{script: row.first}, &asking{name: "b", scripted: scripted{script: row.other}}}, live: record, sink: record,
					spec: gates.Spec{Every: history.Duration(time.Second), Min: 1, Fails: 2, NoData: row.noData}}
				got, err := p.watch(t.Context(), "weight-25", 0, 4*time.Second, func() bool { return true })
				if err != nil || got != row.want {
					t.Fatalf("got %s, %v; want %s", got, err, row.want)
				}
				if took := record.Now().Sub(0); took != row.after {
					t.Errorf("decided after %v, want %v", took, row.after)
				}
				if decision, _ := record.last(); !strings.Contains(decision.Because, row.because) {
					t.Errorf("because %q, want %q", decision.Because, row.because)
				}
				for _, r := range history.All[history.Reading](record.events) {
					if !slices.Contains([]string{pass, fail, none}, r.Data.Status) || r.Data.Step != "weight-25" {
						t.Errorf("reading %+v is in the record", r.Data)
					}
				}
			})
		})
	}
}
