package reports

import (
	"slices"
	"strings"
	"testing"

	"github.com/cutover-dev/cutover/verdict"
)

func TestCompare(t *testing.T) {
	back, on := verdict.RolledBack, verdict.Promoted
	run := func(scenario string, v verdict.Verdict, outcome *verdict.Outcome) verdict.Run {
		return verdict.Run{Scenario: scenario, Verdict: v, Outcome: outcome}
	}
	slow := run("slow", verdict.Pass, &back)
	slow.MTTR = &verdict.MTTR{TotalMs: 2500}
	control := run("control", verdict.Invalid, nil)
	control.Control = &verdict.ControlResult{Want: verdict.Invalid, Met: true}
	columns := []Column{
		{"embedded", []verdict.Run{slow, run("good", verdict.Pass, &on), run("loss", verdict.Skipped, nil), control, run("only", verdict.Pass, &on)}},
		{"kind", []verdict.Run{run("slow", verdict.Fail, &back), run("slow", verdict.Pass, &back), run("good", verdict.Pass, &back), run("loss", verdict.Fail, &back), control}},
	}
	var text strings.Builder
	if err := Compare(columns)(&text); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"| slow | pass | Rolled back | 2.5 s | pass | Rolled back | – | yes |",          // the last run of several counts
		"| good | pass | Promoted | – | pass | Rolled back | – | NO |",                  // the same verdict is not the same outcome
		"| loss | skipped | – | – | fail | Rolled back | – | – |",                       // where it could not be run it tells nothing
		"| control | invalid, as it must | – | – | invalid, as it must | – | – | yes |", // no release, twice
		"| only | pass | Promoted | – | not run | – | – | – |",
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the table lacks %q:\n%s", want, text.String())
		}
	}
	if got := Differences(columns); !slices.Equal(got, []string{"good"}) {
		t.Errorf("differences: %v", got)
	}
}
