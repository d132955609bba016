package reports

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cutover-dev/cutover/verdict"
)

// set is six pairs of runs: each with an incident, one of them censored, beside a sham
// run without.
func set() (verdict.Set, []IndexEntry) {
	var runs []verdict.Repeat
	var entries []IndexEntry
	add := func(pair int, sham bool, story string, edit func(*verdict.Run)) {
		h, r := stories()[story]()
		edit(&r)
		record := fmt.Sprintf("%02d", len(runs)+1)
		if sham {
			record += "-sham"
		}
		runs = append(runs, verdict.Repeat{Record: record, Pair: pair, Sham: sham, Run: r})
		entries = append(entries, IndexEntry{Plan: h.Plan, Run: r, Link: record + "/report.html"})
	}
	for pair := range 6 {
		add(pair+1, false, "rolled-back", func(r *verdict.Run) {
			m := *r.MTTR
			m.TotalMs += 100 * float64(pair)
			m.Censored = pair == 5
			r.MTTR, r.Requests.Bad = &m, r.Requests.Bad+int64(pair)
		})
		add(pair+1, true, "promoted", func(r *verdict.Run) { r.MTTR = nil })
	}
	return verdict.JudgeSet(verdict.SetPlan{Scenario: "checkout", Seed: 7, Repeats: 6, Sham: true, Replay: "cutover run checkout.yaml --repeat 6 --sham --seed 7"}, runs), entries
}

func TestSet(t *testing.T) {
	s, entries := set()
	golden(t, "set.html", drawn(t, SetPage(s, entries)))
	golden(t, "set.json", drawn(t, SetJSON(s)))
	golden(t, "set.txt", drawn(t, SetClosing(s)))
}

// TestSetSaysWhatItCannotTell: nothing is drawn as 0 that is not known.
func TestSetSaysWhatItCannotTell(t *testing.T) {
	s := verdict.JudgeSet(verdict.SetPlan{Scenario: "checkout", Repeats: 2, Sham: true}, nil)
	out := string(drawn(t, SetClosing(s)))
	for _, want := range []string{"INVALID", "2 repeats of the set did not run", "of half of the incidents (p50)  –         –         –        0"} {
		if !strings.Contains(out, want) {
			t.Errorf("it does not say %q:\n%s", want, out)
		}
	}
	if page := string(drawn(t, SetPage(s, nil))); !strings.Contains(page, "No runs.") {
		t.Error("the page of a set without runs does not say so")
	}
}
