package main

import (
	"strings"
	"testing"

	"github.com/cutover-dev/cutover/scenarios"
	"github.com/cutover-dev/cutover/verdict"
)

func TestWhatACorpusFound(t *testing.T) {
	flawed := scenarios.Scenario{Metadata: scenarios.Metadata{Subject: "rolling update", Flaw: "C1: no preStop"}}
	sound := scenarios.Scenario{Metadata: scenarios.Metadata{Subject: "rolling update"}}
	failed := []verdict.Finding{{Name: "outcome", Status: verdict.CheckPass}, {Name: "mttr", Status: verdict.CheckFail}, {Name: "availability", Status: verdict.CheckFail}}
	for _, row := range []struct {
		comment  string
		scenario scenarios.Scenario
		run      verdict.Run
		want     corpusRow
	}{
		{"a flaw in its check and at its step", flawed,
			verdict.Run{Scenario: "no-pre-stop", Verdict: verdict.Fail, Step: "update", Checks: failed, Requests: verdict.Requests{Bad: 7}, Control: &verdict.ControlResult{Met: true}},
			corpusRow{"rolling update", "C1: no preStop", true, "mttr", "update", 7, verdict.Fail, "no-pre-stop"}},
		{"a flaw, but for another reason", flawed, verdict.Run{Verdict: verdict.Fail, Checks: failed, Control: &verdict.ControlResult{}},
			corpusRow{"rolling update", "C1: no preStop", false, "mttr", "", 0, verdict.Fail, ""}},
		{"a flaw that went unnoticed", flawed, verdict.Run{Verdict: verdict.Pass, Control: &verdict.ControlResult{}},
			corpusRow{"rolling update", "C1: no preStop", false, "", "", 0, verdict.Pass, ""}},
		{"none, and none found", sound, verdict.Run{Verdict: verdict.Pass}, corpusRow{"rolling update", "", false, "", "", 0, verdict.Pass, ""}},
		{"a false alarm", sound, verdict.Run{Verdict: verdict.Fail, Checks: failed}, corpusRow{"rolling update", "", true, "mttr", "", 0, verdict.Fail, ""}},
		{"nothing to be said", sound, verdict.Run{Verdict: verdict.Invalid}, corpusRow{"rolling update", "", false, "", "", 0, verdict.Invalid, ""}},
	} {
		if got := rowOf(row.scenario, row.run); got != row.want {
			t.Errorf("%s:\n got %+v\nwant %+v", row.comment, got, row.want)
		}
	}
}

func TestACorpusIsPrinted(t *testing.T) {
	rows := []corpusRow{{"rolling update", "C1: no preStop", true, "availability", "update", 7, verdict.Fail, "no-pre-stop"}, {Subject: "rolling update", Verdict: verdict.Pass, Scenario: "sound"}}
	for _, row := range []struct {
		asJSON bool
		want   []string
	}{
		{false, []string{"SUBJECT", "C1: no preStop  true   availability  update  7", "no-pre-stop", "–"}},
		{true, []string{`"flaw": "C1: no preStop"`, `"badRequests": 7`, `"check": ""`}},
	} {
		var out strings.Builder
		if err := printCorpus(&out, rows, row.asJSON); err != nil {
			t.Fatal(err)
		}
		for _, want := range row.want {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%q is not in\n%s", want, &out)
			}
		}
	}
}
