package reports

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cutover-dev/cutover/history"
	"github.com/cutover-dev/cutover/verdict"
)

// columnOf is what stands in one column of a table.
func columnOf(t table, n int) (texts []string) {
	for _, row := range t.Rows {
		texts = append(texts, row[n].Text)
	}
	return texts
}

func TestBuiltInStrategiesHaveNoProcedure(t *testing.T) {
	for name, story := range stories() {
		if has := strings.Contains(string(drawn(t, HTML(story()))), `id="procedure"`); has != (name == "procedure") {
			t.Errorf("%s: a section of a procedure: %v", name, has)
		}
	}
}

func TestProcedureSection(t *testing.T) {
	h, r := byProcedure()
	rec := record{h: h, r: r}
	s, _ := procedureSection(rec)
	attempts, _, writes, troubled := s.Tables[0], s.Tables[1], s.Tables[2], s.Tables[3]
	bad := int(r.Requests.Bad)
	for _, c := range []struct {
		comment   string
		got, want []string
	}{
		{"who ended each attempt", columnOf(attempts, 5), []string{"by signal 9, after ProcedureChaos kill (write-2, live, once)", "by itself"}},
		// The setup's write is no part of the release.
		{"steps, and what was none", columnOf(writes, 0), []string{"write-1", "write-2", none, none, none, "write-3"}},
		{"bad requests belong to the write that they came after", columnOf(writes, 1), []string{"0", count(bad), none, none, none, "0"}},
		{"what changed nothing says so", columnOf(writes, 5)[2:3], []string{"it changed nothing"}},
		// That the Deployment is not there yet is no failure.
		{"requests that failed", columnOf(troubled, 0), []string{"get Service/shop", "create Pod/shop-blue-2 eviction"}},
		{"alike ones are counted", columnOf(troubled, 2), []string{"1", "2"}},
		{"what a fault did to them", columnOf(troubled, 5)[:1], []string{"answered with 503 in place of the API server"}},
	} {
		if !slices.Equal(c.got, c.want) {
			t.Errorf("%s: %q, want %q", c.comment, c.got, c.want)
		}
	}
	if n := strings.Count(s.Output.Text, "\n"); n != lastLines || !strings.Contains(s.Output.Text, "look 80\n") || strings.Contains(s.Output.Text, "look 40\n") {
		t.Errorf("%d lines of output:\n%s", n, s.Output.Text)
	}
}

func TestWhatAProcedureSaidAndLeft(t *testing.T) {
	for _, c := range []struct {
		comment string
		exit    int
		outcome verdict.Outcome
		left    *history.EndState
		marks   []string
	}{
		{"well, and all is well", 0, verdict.Promoted, &history.EndState{Compared: true}, []string{"pass", "pass"}},
		{"ill, and undone", 1, verdict.RolledBack, nil, []string{"pass"}},
		{"well, and nobody has the candidate", 0, verdict.RolledBack, nil, []string{"fail"}},
		{"ill, and all have it", 1, verdict.Promoted, &history.EndState{Compared: true, Differences: []string{"a"}}, []string{"fail", "fail"}},
		{"nobody could compare", 0, verdict.Promoted, &history.EndState{Because: "no answer"}, []string{"pass", "unjudged"}},
	} {
		events := []history.Event{history.NewEvent(at(1), history.ProcedureEnded{Attempt: 1, Exit: c.exit})}
		if c.left != nil {
			events = append(events, history.NewEvent(at(2), *c.left))
		}
		var marks []string
		for _, row := range leavingTable(record{h: history.History{Events: events}, r: verdict.Run{Outcome: &c.outcome}}).Rows {
			marks = append(marks, row[1].Mark)
		}
		if !slices.Equal(marks, c.marks) {
			t.Errorf("%s: %v, want %v", c.comment, marks, c.marks)
		}
	}
}

// A bad request belongs to the write that was the latest when it went bad. What the
// verdict does not count, the section does not either.
func TestBadRequestsOfAWrite(t *testing.T) {
	failed := func(t float64) history.Request { return history.Request{Intended: at(t), Done: at(t), Status: 502} }
	slow := func(t float64) history.Request {
		return history.Request{Intended: at(t), Done: at(t + 4), Status: 200, Expected: true}
	}
	rec := record{
		h: history.History{
			Plan: history.Plan{SLO: history.SLO{Latency: dur(500 * time.Millisecond)}},
			Requests: []history.Request{
				failed(0.5),            // before the release
				failed(1.4), slow(1.2), // before the first write
				slow(1.3), failed(2), // under way, or sent, when the first was the latest
				{Intended: at(2), Done: history.Never}, // never answered, and bad before the second
				failed(3),                              // while the load itself stalled
				failed(4),                              // after the second
				failed(6),                              // after the end
			},
			Events: []history.Event{history.NewEvent(at(3.1), history.Stall{From: at(2.9), To: at(3.1)})},
		},
		r: verdict.Run{Instants: verdict.Instants{ReleaseMs: ms(1), EndMs: ms(5)}},
	}
	written := func(step int, t float64) history.Stamped[history.APIRequest] {
		return history.Stamped[history.APIRequest]{At: at(t + 0.1), Data: history.APIRequest{Step: step, Began: at(t)}}
	}
	bad, before := badDuring(rec, []history.Stamped[history.APIRequest]{written(1, 1.75), written(0, 2.5), written(2, 3.5)})
	if !slices.Equal(bad, []int{3, 0, 1}) || before != 2 {
		t.Errorf("bad requests: %d, and %d before; want [3 0 1] and 2", bad, before)
	}
}
