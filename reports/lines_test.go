package reports

import (
	"strings"
	"testing"

	"github.com/cutover-dev/cutover/history"
)

func TestLines(t *testing.T) {
	plan := history.Plan{Scenario: "slow", Why: "It must.", RunID: "r1", Seed: 7, GateFails: 2,
		Faults: []history.PlannedFault{{Name: "NetworkChaos delay 600ms", Target: "candidate"}}}
	for _, row := range []struct {
		name   string
		events []history.Payload
		want   string // the last line; "" if the last event has none
	}{
		// What a release depends on says where it is.
		{"dependency", []history.Payload{history.Dependency{Name: "db", Image: "postgres:17", Address: "172.18.0.9", TookMs: 1234}}, "dependency +1.0 s db ready at 172.18.0.9 in 1.2 s (postgres:17)"},
		// A step says how much of the traffic it moved.
		{"step", []history.Payload{history.StepLive{Name: "weight-25", Weight: 25}}, "step       +1.0 s weight-25 live: 25 % on the candidate"},
		{"copies", []history.Payload{history.StepLive{Name: "mirror-10", Mirror: 10}}, "step       +1.0 s mirror-10 live: 10 % of the requests copied to the candidate"},
		{"what came of them", []history.Payload{history.Mirrored{Gen: 2, Answered: 200, Failed: 7}}, "mirror     +1.0 s 200 copied requests were answered, 7 of them with 5xx"},
		// A fault is named by what it does and to whom.
		{"fault", []history.Payload{history.FaultApplied{Fault: 0}}, "fault      +1.0 s NetworkChaos delay 600ms on candidate taken by the API"},
		{"fault, with who does it", []history.Payload{history.FaultApplied{Fault: 0, Driver: "chaos-mesh"}}, "fault      +1.0 s NetworkChaos delay 600ms on candidate taken by the API, for Chaos Mesh"},
		// One that was not proven says so.
		{"unproven", []history.Payload{history.FaultProven{Fault: 0, Because: "nothing was seen"}}, "fault      +1.0 s NetworkChaos delay 600ms on candidate: NOT proven on 0 pods (nothing was seen)"},
		// A reading that passes is no news.
		{"pass", []history.Payload{history.Reading{Status: "pass"}}, ""},
		// One that fails is.
		{"a person is asked", []history.Payload{history.ApprovalAsked{Gate: "approval", Step: "promote", Ask: "look at the board", Timeout: history.Duration(60e9), How: "cutover approve 1a2b3c4d"}},
			"approval   +1.0 s promote, look at the board waits up to 1m0s for a person: cutover approve 1a2b3c4d [--reject] [--because TEXT]"},
		{"fail", []history.Payload{history.Reading{Status: "fail", Because: "p99 611ms > 500ms", Streak: 1}}, "gate       +1.0 s fail: p99 611ms > 500ms (1 of 2)"},
		// A long reason is cut at its first line.
		{"long", []history.Payload{history.StepEnded{Name: "deploy-candidate", Err: "not ready\n  pod a waits"}}, "step       +1.0 s deploy-candidate FAILED: not ready"},
		// Nothing was left and every undo was confirmed.
		{"clean", []history.Payload{history.Undone{Action: "namespace"}, history.Residue{}}, "clean      +1.0 s every undo confirmed, 0 leftovers"},
		// An undo failed: whatever the search found, this is not clean.
		{"unclean", []history.Payload{history.Undone{Action: "namespace", Err: "refused"}, history.Residue{}}, "clean      +1.0 s not confirmed: see above; `cutover clean` tries again"},
		// What broke before has nothing to do with what was left.
		{"clean all the same", []history.Payload{history.Broken{Because: "the baseline does not start"}, history.Residue{}}, "clean      +1.0 s every undo confirmed, 0 leftovers"},
		// Something was left.
		{"residue", []history.Payload{history.Residue{Items: []string{"namespace/x"}}}, "clean      +1.0 s LEFT BEHIND: namespace/x"},
	} {
		t.Run(row.name, func(t *testing.T) {
			var out strings.Builder
			tell := Lines(&out)
			tell(history.NewEvent(0, plan))
			before := out.Len()
			for _, payload := range row.events {
				before = out.Len()
				tell(history.NewEvent(1_000_000, payload))
			}
			if got := strings.TrimSuffix(out.String()[before:], "\n"); got != row.want {
				t.Errorf("got  %q\nwant %q", got, row.want)
			}
		})
	}
}

// A record that begins in the middle, as that of a killed run may, is told all the same.
func TestLinesWithoutAPlan(t *testing.T) {
	var out strings.Builder
	Lines(&out)(history.NewEvent(0, history.FaultApplied{Fault: 3}))
	if !strings.Contains(out.String(), "fault 3") {
		t.Errorf("got %q", out.String())
	}
}
