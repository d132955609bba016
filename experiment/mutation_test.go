package experiment

import (
	"strings"
	"testing"

	"github.com/cutover-dev/cutover/gates/mutants"
	"github.com/cutover-dev/cutover/history"
	"github.com/cutover-dev/cutover/release"
	"github.com/cutover-dev/cutover/scenarios"
	"github.com/cutover-dev/cutover/verdict"
)

func scenarioOf(t *testing.T, path string) scenarios.Scenario {
	t.Helper()
	s, err := scenarios.Load("../scenarios/" + path)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestOnlyScenariosThatPromoteAreTested(t *testing.T) {
	for _, row := range []struct{ path, want string }{
		// Its candidate is bad already.
		{"canary-errors-roll-back.yaml", "name a scenario that expects it to be promoted"},
		// It must not pass itself.
		{"control-unsteady-baseline.yaml", "name a scenario that expects it to be promoted"},
	} {
		if _, err := TestGate(t.Context(), scenarioOf(t, row.path), Options{}, nil, nil); err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: %v", row.path, err)
		}
	}
	procedure := scenarioOf(t, "gate-mutants.yaml")
	procedure.Procedure = &release.Procedure{}
	if _, err := TestGate(t.Context(), procedure, Options{}, nil, nil); err == nil || !strings.Contains(err.Error(), "deploys the candidate itself") {
		t.Errorf("of a procedure: %v", err)
	}
	gateless := scenarioOf(t, "gate-mutants.yaml")
	gateless.Gate = nil
	if _, err := TestGate(t.Context(), gateless, Options{}, nil, nil); err == nil || !strings.Contains(err.Error(), "no gate") {
		t.Errorf("without a gate: %v", err)
	}
}

func TestMutantStandsInFrontOfTheCandidate(t *testing.T) {
	s := scenarioOf(t, "gate-mutants.yaml")
	s.App.Ports["debug"] = 18080
	m := mutants.All()[0]
	mutated := mutate(s, m, Options{Platform: Platform{Image: "cutover:1"}, Seed: 7})
	front := mutated.App.Candidate.Front
	if front == nil || front.Image != "cutover:1" || front.Port != 18081 || mutated.App.ServingPort(history.Candidate) != 18081 {
		t.Fatalf("front %+v", front)
	}
	if mutated.App.Baseline.Front != nil || s.App.Candidate.Front != nil || mutated.App.ServingPort(history.Baseline) != 8080 {
		t.Error("the baseline, or the scenario itself, was changed")
	}
	if want := "mutant-proxy unchanged --port 18081 --app 127.0.0.1:8080 --rate 33.333 --hold 4s --slow 2s --seed 7"; strings.Join(front.Args, " ") != want {
		t.Errorf("%q, want %q", strings.Join(front.Args, " "), want)
	}
	if mutated.Expect.Outcome != "promoted" || mutate(s, mutants.All()[5], Options{}).Expect.Outcome != "rolled-back" {
		t.Error("harmless ones are to be promoted, bad ones rolled back")
	}
}

func TestTrialsAreCounted(t *testing.T) {
	at := func(us history.Micros, p history.Payload) history.Event { return history.NewEvent(us, p) }
	record := history.History{Events: []history.Event{
		at(1_000_000, history.StepLive{Name: "deploy-candidate", Weight: -1}),
		at(2_000_000, history.StepLive{Name: "weight-20", Weight: 20}),
		at(3_000_000, history.Decision{Step: "weight-20", Action: "proceed"}),
		at(6_500_000, history.Decision{Step: "weight-100", Action: "rollback", Because: "errors"}),
	}}
	run := func(o verdict.Outcome, v verdict.Verdict, check string) verdict.Run {
		return verdict.Run{Outcome: &o, Verdict: v, Checks: []verdict.Finding{{Name: "outcome", Status: check}}}
	}
	bad, good := mutants.Mutant{Name: "errors-1"}, mutants.Mutant{Name: "unchanged", Harmless: true}
	var g GateTest
	for _, row := range []struct {
		mutant mutants.Mutant
		run    verdict.Run
		want   [5]int // bad, killed, harmless, false alarms, unjudged
	}{
		// Caught, and not.
		{bad, run(verdict.RolledBack, verdict.Pass, verdict.CheckPass), [5]int{1, 1, 0, 0, 0}},
		{bad, run(verdict.Promoted, verdict.Fail, verdict.CheckFail), [5]int{2, 1, 0, 0, 0}},
		// Neither here nor there is not caught.
		{bad, run(verdict.Stuck, verdict.Fail, verdict.CheckFail), [5]int{3, 1, 0, 0, 0}},
		// Let through, and not.
		{good, run(verdict.Promoted, verdict.Pass, verdict.CheckPass), [5]int{3, 1, 1, 0, 0}},
		{good, run(verdict.RolledBack, verdict.Fail, verdict.CheckFail), [5]int{3, 1, 2, 1, 0}},
		// Nobody can tell: a load that was late, a harness that broke, no release.
		{bad, run(verdict.RolledBack, verdict.Invalid, verdict.CheckUnjudged), [5]int{3, 1, 2, 1, 1}},
		{bad, run(verdict.RolledBack, verdict.Error, verdict.CheckPass), [5]int{3, 1, 2, 1, 2}},
		{good, verdict.Run{}, [5]int{3, 1, 2, 1, 3}},
	} {
		trial := trialOf(row.mutant, row.run, record)
		g.add(trial)
		if got := [5]int{g.Bad, g.Killed, g.Harmless, g.FalseAlarms, g.Unjudged}; got != row.want {
			t.Errorf("after %+v: %v, want %v", trial, got, row.want)
		}
	}
	first := g.Trials[0]
	if first.CatchMs == nil || *first.CatchMs != 4500 || first.Step != "weight-100" || first.Because != "errors" {
		t.Errorf("%+v", first)
	}
}
