package experiment

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/cutover-dev/cutover/gates/mutants"
	"github.com/cutover-dev/cutover/history"
	"github.com/cutover-dev/cutover/release"
	"github.com/cutover-dev/cutover/scenarios"
	"github.com/cutover-dev/cutover/verdict"
)

// MutantCommand is the argument that makes this program the proxy of a mutant.
const MutantCommand = "mutant-proxy"

// Trial is one mutant, released under the gate that is tested.
type Trial struct {
	Mutant   string `json:"mutant"`
	What     string `json:"what"`
	Harmless bool   `json:"harmless"`
	// Outcome of the release; "" if nobody can tell, and then nothing is counted.
	Outcome verdict.Outcome `json:"outcome"`
	// CatchMs is the time from the mutant's first traffic to the decision to go back;
	// null if there was none.
	CatchMs  *float64 `json:"catchMs"`
	Step     string   `json:"step,omitempty"` // at which it was caught
	Bad      int64    `json:"bad"`            // requests that were bad for users, as the load can tell
	Requests int64    `json:"requests"`       // over the same stretch
	Because  string   `json:"because"`        // of the decision, or of there being no outcome
	Record   string   `json:"record"`         // folder
}

// Right reports whether the gate did with the mutant what it is there for.
func (t Trial) Right() bool {
	if t.Harmless {
		return t.Outcome == verdict.Promoted
	}
	return t.Outcome == verdict.RolledBack
}

// Judged reports whether anything can be said.
func (t Trial) Judged() bool { return t.Outcome != "" }

// GateTest is what a gate made of all mutants.
type GateTest struct {
	Scenario    string  `json:"scenario"`
	Gate        string  `json:"gate"`
	Bad         int     `json:"bad"`    // mutants that are, and were judged
	Killed      int     `json:"killed"` // of those
	Harmless    int     `json:"harmless"`
	FalseAlarms int     `json:"falseAlarms"` // of the harmless
	Unjudged    int     `json:"unjudged"`
	Trials      []Trial `json:"trials"`
}

// add counts a trial.
func (g *GateTest) add(t Trial) {
	g.Trials = append(g.Trials, t)
	switch {
	case !t.Judged():
		g.Unjudged++
	case t.Harmless:
		g.Harmless++
		if !t.Right() {
			g.FalseAlarms++
		}
	default:
		g.Bad++
		if t.Right() {
			g.Killed++
		}
	}
}

// TestGate releases each mutant of the scenario's candidate, one after the other, with
// the scenario's own strategy, gate and load. The scenario must be one that promotes.
// Records lie in folders below o.Out. The error says that a record could not be made.
func TestGate(ctx context.Context, scenario scenarios.Scenario, o Options, chosen []mutants.Mutant, tell func(Trial)) (GateTest, error) {
	result := GateTest{Scenario: scenario.Metadata.Name, Trials: []Trial{}}
	if scenario.Procedure != nil {
		return result, fmt.Errorf("%s releases by a procedure, which deploys the candidate itself: no mutant can be put in front of it; name a scenario with a strategy", scenario.Path)
	}
	if scenario.App.H2C {
		return result, fmt.Errorf("%s has load.protocol: %s, and a mutant speaks HTTP/1.1: name a scenario with that", scenario.Path, scenario.Load.Protocol)
	}
	if scenario.Gate == nil {
		return result, fmt.Errorf("%s has no gate that could be tested", scenario.Path)
	}
	if scenario.Expect.Outcome != string(verdict.Promoted) || scenario.Control != nil {
		return result, fmt.Errorf("%s expects outcome %q: mutants are made of a candidate that is good, so name a scenario that expects it to be promoted", scenario.Path, scenario.Expect.Outcome)
	}
	for _, m := range chosen {
		mutated := mutate(scenario, m, o)
		under := o
		under.Out = filepath.Join(o.Out, m.Name)
		run, err := Run(ctx, mutated, under)
		if err != nil {
			return result, err
		}
		if ctx.Err() != nil {
			return result, context.Cause(ctx)
		}
		h, err := history.Read(under.Out)
		if err != nil {
			return result, err
		}
		if p, planned := history.First[history.Plan](h.Events); planned {
			result.Gate = p.Data.GateLimits
		}
		trial := trialOf(m, run, h)
		trial.Record = under.Out
		result.add(trial)
		tell(trial)
	}
	return result, nil
}

// mutate is the scenario with the mutant in front of its candidate.
func mutate(scenario scenarios.Scenario, m mutants.Mutant, o Options) scenarios.Scenario {
	s := scenario
	s.Metadata.Name = fmt.Sprintf("%.40s-%s", s.Metadata.Name, m.Name)
	s.Why = fmt.Sprintf("The gate of %s is tested with a candidate that is bad: %s.", scenario.Metadata.Name, m.What)
	s.Expect = history.Expect{Outcome: string(verdict.RolledBack)}
	if m.Harmless {
		s.Why = fmt.Sprintf("The gate of %s is tested with a candidate that is harmless: %s.", scenario.Metadata.Name, m.What)
		s.Expect.Outcome = string(verdict.Promoted)
	}
	s.Faults = nil
	replicas := s.App.Replicas
	if s.App.Candidate.Replicas > 0 {
		replicas = s.App.Candidate.Replicas
	}
	port := freePort(s.App)
	s.App.Candidate.Front = &release.Front{
		Image: o.Platform.Image, Port: port, Memory: m.Memory,
		Args: []string{MutantCommand, m.Name, "--port", strconv.Itoa(port), "--app", "127.0.0.1:" + strconv.Itoa(s.App.Ports["http"]),
			"--rate", strconv.FormatFloat(s.Load.LowestRate()/float64(replicas), 'f', 3, 64), "--hold", s.Release.Hold.String(),
			"--slow", (2 * max(s.Load.SLO.Latency.D(), slowest(s))).String(), "--seed", strconv.FormatInt(o.Seed, 10)},
	}
	return s
}

// slowest is the longest answer that the gate's limits allow.
func slowest(s scenarios.Scenario) time.Duration {
	var longest time.Duration
	for _, limit := range s.Gate.Latency {
		longest = max(longest, limit.D())
	}
	return longest
}

// freePort is one that the app does not have.
func freePort(app release.App) int {
	port := 18080
	for taken := slices.Collect(maps.Values(app.Ports)); slices.Contains(taken, port); {
		port++
	}
	return port
}

// trialOf reads from the record what became of the mutant.
func trialOf(m mutants.Mutant, run verdict.Run, h history.History) Trial {
	t := Trial{Mutant: m.Name, What: m.What, Harmless: m.Harmless, Bad: run.Requests.Bad, Requests: run.Requests.Bad + run.Requests.Good}
	// What could not be judged, as for a load that was late, says nothing of the gate.
	at := slices.IndexFunc(run.Checks, func(f verdict.Finding) bool { return f.Name == "outcome" })
	if run.Outcome == nil || run.Verdict == verdict.Error || at < 0 || run.Checks[at].Status == verdict.CheckUnjudged {
		t.Because = run.Because
		return t
	}
	t.Outcome = *run.Outcome
	first := history.Never
	for _, e := range history.All[history.StepLive](h.Events) {
		if (e.Data.Weight > 0 || e.Data.Mirror > 0) && !first.Happened() {
			first = e.At
		}
	}
	for _, e := range history.All[history.Decision](h.Events) {
		if e.Data.Action != release.StepRollback {
			continue
		}
		t.Step, t.Because = e.Data.Step, e.Data.Because
		if first.Happened() {
			ms := float64(e.At.Sub(first).Microseconds()) / 1000
			t.CatchMs = &ms
		}
		break
	}
	return t
}
