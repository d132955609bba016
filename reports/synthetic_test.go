package reports

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/cutover-dev/cutover/history"
	"github.com/cutover-dev/cutover/verdict"
)

// The histories that tests draw: made up, seeded, and shaped like real runs.

func ptr[T any](v T) *T { return &v }

func at(seconds float64) history.Micros { return history.Micros(seconds * 1e6) }
func ms(seconds float64) *float64       { return ptr(seconds * 1000) }

func plan() history.Plan {
	return history.Plan{
		Scenario: "canary-slow-candidate-rolls-back", Path: "scenarios/canary-slow.yaml", Labels: []string{"canary", "smoke"},
		Why:   "A candidate that turns slow at a quarter of the traffic must be rolled back within 15 s.",
		RunID: "r-7f3a", Started: "2026-03-01T12:00:00Z", Seed: 7, PlanHash: "sha256:4be1c0ffee", Provider: "embedded",
		Replay:   "cutover run scenarios/canary-slow.yaml --seed 7",
		Strategy: "canary", Steps: []string{"deploy-candidate", "weight-5", "weight-25", "weight-50", "weight-100"},
		Deadline: dur(3 * time.Minute), SLO: history.SLO{Latency: dur(500 * time.Millisecond), Availability: 0.999},
		GateEvery: dur(time.Second), GateFails: 2, GateLimits: "errors <= 1%, p99 <= 500ms", Rate: 200,
		Faults:  []history.PlannedFault{{Name: "NetworkChaos delay 600ms", Kind: "NetworkChaos", Step: "weight-25", When: "live", For: dur(20 * time.Second), Target: "candidate", Driver: "agent"}},
		Recover: history.Recover{Confirm: dur(10 * time.Second), Within: dur(time.Minute)},
		Expect: history.Expect{Outcome: "rolled-back", MTTR: ptr(dur(15 * time.Second)), Detection: ptr(dur(5 * time.Second)),
			Availability: ptr(history.Fraction(0.95))},
		Facts: map[string]string{"Kubernetes": "v1.37.2", "Kernel": "6.8.0", "CPUs": "2"},
	}
}

func dur(d time.Duration) history.Duration { return history.Duration(d) }

// traffic makes requests at rate per second for a stretch. behave says who answers a
// request and how.
func traffic(seed uint64, rate, from, to float64, behave func(r *rand.Rand, t float64, q *history.Request)) []history.Request {
	r := rand.New(rand.NewPCG(seed, 1))
	var requests []history.Request
	for t := from; t < to; t += r.ExpFloat64() / rate {
		q := history.Request{Seq: int64(len(requests)), Name: "GET /cart", Intended: at(t), Sent: at(t).After(80 * time.Microsecond),
			Status: 200, Expected: true, Attempts: 1, ID: fmt.Sprintf("r-7f3a-%d", len(requests)), Attributed: "header"}
		if r.IntN(4) == 0 {
			q.Name, q.Write, q.Status = "POST /orders", true, 201
		}
		behave(r, t, &q)
		requests = append(requests, q)
	}
	return requests
}

func answer(q *history.Request, v history.Version, latency float64) {
	q.Version, q.Done = v, q.Intended.After(time.Duration(latency*float64(time.Second)))
	q.Pod = "shop-" + string(v) + "-5d9f"
}

// healthy is how long a healthy answer takes: a few milliseconds with a tail.
func healthy(r *rand.Rand) float64 { return 0.002 + 0.002*r.ExpFloat64() }

func weightAt(t float64) float64 {
	switch {
	case t < 8.9:
		return 0
	case t < 14:
		return 0.05
	case t < 17.5:
		return 0.25
	}
	return 0
}

// rolledBack is the story of the reference: a slow candidate, two failing readings, a rollback.
func rolledBack(rate float64) (history.History, verdict.Run) {
	requests := traffic(7, rate, 1, 32, func(r *rand.Rand, t float64, q *history.Request) {
		if r.Float64() >= weightAt(t) {
			answer(q, history.Baseline, healthy(r))
			return
		}
		answer(q, history.Candidate, healthy(r)*1.3)
		if t < 15.1 {
			return
		}
		q.Done = q.Done.After(600*time.Millisecond + time.Duration(r.NormFloat64()*20)*time.Millisecond)
		if r.IntN(12) == 0 {
			q.Status, q.Expected, q.Body = 503, false, `{"error":"upstream <busy>"}`
		}
		if r.IntN(20) == 0 {
			q.Status, q.Expected, q.Version, q.Attributed, q.Pod = 0, false, history.Unattributed, "", ""
			q.Err = fmt.Sprintf("read tcp 10.0.0.1:%d->10.0.0.9:80: connection reset by peer", 30000+r.IntN(9999))
		}
	})
	h := history.History{Plan: plan(), Requests: requests, Events: rolledBackEvents()}
	return h, rolledBackRun(requests)
}

func rolledBackEvents() []history.Event {
	events := []history.Event{
		history.NewEvent(0, plan()),
		history.NewEvent(at(1), history.Phase{Name: "load"}),
		history.NewEvent(at(5.5), history.SteadyState{From: at(1), N: 1000, P99Us: 8000, Because: "limit 500 ms"}),
		history.NewEvent(at(5.9), history.Drill{Kind: "NetworkChaos", Proven: true, UndoMs: 400, OK: true}),
		history.NewEvent(at(6), history.ReleaseBegan{}),
		history.NewEvent(at(6), history.StepBegan{Name: "deploy-candidate"}),
		history.NewEvent(at(8.1), history.StepLive{Name: "deploy-candidate", Weight: -1}),
		history.NewEvent(at(8.4), history.ClusterEvent{Object: "Pod/shop-v2-abc", Reason: "Unhealthy", Message: "Readiness probe failed: connection refused", Warning: true}),
		history.NewEvent(at(8.5), history.ClusterEvent{Object: "Pod/shop-v2-abc", Reason: "Started", Message: "Started container shop"}),
		history.NewEvent(at(8.8), history.Routed{Gen: 1, Weight: 5}),
		history.NewEvent(at(8.9), history.StepLive{Name: "weight-5", Weight: 5}),
		history.NewEvent(at(13.9), history.Routed{Gen: 2, Weight: 25}),
		history.NewEvent(at(14), history.StepLive{Name: "weight-25", Weight: 25}),
		history.NewEvent(at(15.1), history.FaultApplied{}),
		history.NewEvent(at(15.18), history.FaultInjected{Pod: "shop-v2-abc"}),
		history.NewEvent(at(15.2), history.FaultProven{Proven: true, Pods: []string{"shop-v2-abc", "shop-v2-def"}, EffectMs: ptr(603.0), Because: "round trip 0.4 ms → 603 ms"}),
		history.NewEvent(at(16.2), history.Reading{Gate: "latency", Step: "weight-25", Status: "fail", N: 198, Bad: 50, Q: 0.99, LatUs: 611000, Streak: 1, Because: "p99 611ms > 500ms (n=198)"}),
		history.NewEvent(at(17.2), history.Reading{Gate: "latency", Step: "weight-25", Status: "fail", N: 203, Bad: 52, ErrRate: 0.02, Q: 0.99, LatUs: 612000, Streak: 2, Because: "p99 612ms > 500ms (n=203)"}),
		history.NewEvent(at(17.2), history.Decision{Step: "weight-25", Action: "rollback", Because: "2 failing readings in a row", First: at(16.2)}),
		history.NewEvent(at(17.25), history.StepBegan{Name: "rollback"}),
		history.NewEvent(at(17.3), history.Routed{Gen: 3, Weight: 0}),
		history.NewEvent(at(17.6), history.StepLive{Name: "rollback", Weight: 0}),
		history.NewEvent(at(19), history.ReleaseEnded{}),
		history.NewEvent(at(27.8), history.FaultEnded{By: "undo"}),
		history.NewEvent(at(32.1), history.LoadEnded{Planned: 6200, Sent: 6200, ReleaseErrorP99Us: 310}),
		history.NewEvent(at(32.4), history.Undone{Action: "delete NetworkChaos delay"}),
		history.NewEvent(at(32.6), history.Undone{Action: "delete namespace cutover-r-7f3a"}),
		history.NewEvent(at(33), history.Residue{}),
		history.NewEvent(at(33.1), history.RunEnded{}),
	}
	events = append(events, rolledBackPods()...)
	for t := 9.2; t < 16; t++ {
		status, because := "pass", "p99 9ms <= 500ms (n=200)"
		if t < 10 {
			status, because = "no-data", "8 of 50 requests"
		}
		events = append(events, history.NewEvent(at(t), history.Reading{Gate: "latency", Step: "weight-5", Status: status, N: 200, Q: 0.99, LatUs: 9000, Because: because}))
	}
	slices.SortStableFunc(events, func(a, b history.Event) int { return int(a.At - b.At) })
	return events
}

// podSeen tells of the next stage of a pod's life.
func podSeen(t float64, v history.Version, pod, phase string) history.Event {
	return history.NewEvent(at(t), history.PodSeen{Pod: pod, Version: v, Phase: phase})
}

// rolledBackPods are two of each version; one of the candidate's took a while.
func rolledBackPods() []history.Event {
	b, c := history.Baseline, history.Candidate
	return []history.Event{
		podSeen(0.4, b, "shop-v1-6gk2x", "starting"), podSeen(0.4, b, "shop-v1-t9w4z", "starting"),
		podSeen(0.9, b, "shop-v1-6gk2x", "ready"), podSeen(1, b, "shop-v1-t9w4z", "ready"),
		podSeen(6.2, c, "shop-v2-abc", "starting"), podSeen(6.2, c, "shop-v2-def", "starting"),
		podSeen(7.1, c, "shop-v2-abc", "ready"), podSeen(8, c, "shop-v2-def", "ready"),
		history.NewEvent(at(15.19), history.FaultInjected{Pod: "shop-v2-def"}),
		podSeen(17.7, c, "shop-v2-abc", "terminating"), podSeen(17.7, c, "shop-v2-def", "terminating"),
		podSeen(18.8, c, "shop-v2-abc", "gone"), podSeen(18.9, c, "shop-v2-def", "gone"),
	}
}

// podTrouble is a release in which the pods have all the trouble there is: one is
// killed, one restarts, one turns unready, and one that was born later escapes.
func podTrouble() (history.History, verdict.Run) {
	h, r := rolledBack(20)
	h.Plan.Faults = append(slices.Clone(h.Plan.Faults), history.PlannedFault{Name: "PodChaos pod-kill", Kind: "PodChaos", Step: "weight-5", When: "live", Target: "baseline", OneShot: true, Driver: "chaos-mesh"})
	b, c := history.Baseline, history.Candidate
	h.Events = append(h.Events,
		podSeen(0.4, b, "shop-v1-old7q", "ready"),
		history.NewEvent(at(9), history.FaultApplied{Fault: 1}),
		history.NewEvent(at(9.1), history.PodSeen{Pod: "shop-v1-old7q", Version: b, Phase: "gone", Killed: true, Reason: "deleted without its grace period"}),
		history.NewEvent(at(9.15), history.FaultInjected{Fault: 1, Pod: "shop-v1-old7q"}),
		podSeen(9.2, b, "shop-v1-new3f", "starting"), podSeen(10.4, b, "shop-v1-new3f", "ready"),
		podSeen(12, b, "shop-v1-t9w4z", "unready"), podSeen(14, b, "shop-v1-t9w4z", "ready"),
		podSeen(15.5, c, "shop-v2-late2", "starting"), podSeen(16.1, c, "shop-v2-late2", "ready"),
		podSeen(21, b, "shop-v1-6gk2x", "unready"),
		history.NewEvent(at(21.8), history.PodSeen{Pod: "shop-v1-6gk2x", Version: b, Phase: "unready", Restarts: 1, Reason: "OOMKilled, exit code 137"}),
		history.NewEvent(at(22.6), history.PodSeen{Pod: "shop-v1-6gk2x", Version: b, Phase: "ready", Restarts: 1, Reason: "OOMKilled, exit code 137"}),
		podSeen(17.8, c, "shop-v2-late2", "terminating"), podSeen(19, c, "shop-v2-late2", "gone"))
	slices.SortStableFunc(h.Events, func(a, b history.Event) int { return int(a.At - b.At) })
	r.Faults = append(slices.Clone(r.Faults), verdict.Fault{Name: "PodChaos pod-kill", Kind: "PodChaos", Step: "weight-5", Driver: "chaos-mesh", InjectedMs: ms(9), Proven: true, Pods: []string{"shop-v1-old7q"}, Escaped: []string{}})
	r.Faults[0].Escaped = []string{"shop-v2-late2"}
	return h, r
}

func rolledBackRun(requests []history.Request) verdict.Run {
	counts := tally(requests)
	return verdict.Run{
		Schema: verdict.Schema, Scenario: plan().Scenario, Seed: 7, PlanHash: plan().PlanHash, Provider: "embedded",
		Verdict: verdict.Pass, Because: fmt.Sprintf("Rolled back in 2.5 s (allowed 15 s); %d of %s requests were bad, %s; nothing was left behind.", counts.Bad, count(counts.Good+counts.Bad), ratio(counts.Bad, counts.Good+counts.Bad)), Outcome: ptr(verdict.RolledBack),
		MTTR: &verdict.MTTR{TotalMs: 2500, TotalMsCI: &verdict.Bounds{2455, 2590}, LagMs: ptr(100.0), RecoveredBy: "rollback",
			Segments: verdict.Segments{DetectMs: ptr(1000.0), DecideMs: ptr(1000.0), ActuateMs: ptr(400.0), RecoverMs: ptr(100.0)}},
		Instants: verdict.Instants{AppliedMs: ms(15.1), ProvenMs: ms(15.2), OnsetMs: ms(15.2), DetectedMs: ms(16.2), DecidedMs: ms(17.2),
			ActuatedMs: ms(17.6), RecoveredMs: ms(17.7), FaultEndedMs: ms(27.8), ReleaseMs: ms(6), EndMs: ms(27.7),
			OnsetMsCI: &verdict.Bounds{15_132, 15_200}, RecoveredMsCI: &verdict.Bounds{17_661, 17_704}},
		Incidents: []verdict.Incident{{OnsetMs: ms(15.2), OnsetMsCI: &verdict.Bounds{15_132, 15_200}, RecoveredMs: ms(17.7), RecoveredMsCI: &verdict.Bounds{17_661, 17_704}, Bad: int(counts.Bad), Cause: "fault:0"}},
		Requests:  counts, Availability: ptr(float64(counts.Good) / float64(max(counts.Good+counts.Bad, 1))),
		Steps: []verdict.Step{
			{Name: "deploy-candidate", BeginMs: ms(6), LiveMs: ms(8.1), EndMs: ms(8.7)}, {Name: "weight-5", BeginMs: ms(8.7), LiveMs: ms(8.9), EndMs: ms(13.8)},
			{Name: "weight-25", BeginMs: ms(13.8), LiveMs: ms(14), EndMs: ms(17.25)}, {Name: "rollback", BeginMs: ms(17.25), LiveMs: ms(17.6), EndMs: ms(19)}},
		Faults: []verdict.Fault{{Name: "NetworkChaos delay 600ms", Kind: "NetworkChaos", Step: "weight-25", Driver: "agent", InjectedMs: ms(15.1), HealedMs: ms(27.8),
			Proven: true, EffectMs: ptr(603.0), Because: "round trip 0.4 ms → 603 ms", Pods: []string{"shop-v2-abc", "shop-v2-def"}, Escaped: []string{}}},
		Gate: verdict.Gate{Readings: 9, Failures: 2, NoData: 1}, Residue: []string{},
		Checks: []verdict.Finding{
			{Name: "outcome", Status: "pass", Want: "rolled-back", Got: "rolled-back", Because: "the last 10 s of answers are all the baseline's"},
			{Name: "mttr", Status: "pass", Want: "<= 15s", Got: "2.5s", Because: "onset +15.200 s, recovered +17.700 s"},
			{Name: "detection", Status: "pass", Want: "<= 5s", Got: "1s", Because: "first failing reading at +16.200 s"},
			{Name: "availability", Status: "pass", Want: ">= 95%", Got: "97.9%", Because: "bad requests from release to confirmation"}},
		Replay: plan().Replay,
	}
}

func tally(requests []history.Request) verdict.Requests {
	t := verdict.Requests{Planned: int64(len(requests)), Sent: int64(len(requests)), ReleaseErrorP99Us: 310}
	for _, q := range requests {
		bad := q.Bad(500 * time.Millisecond)
		if bad {
			t.Bad++
		} else {
			t.Good++
		}
		switch q.Version {
		case history.Candidate:
			t.Candidate++
			if bad {
				t.CandidateBad++
			}
		case history.Unattributed:
			t.Unattributed++
		}
	}
	return t
}

// promoted is a release without faults, a gate or an incident.
func promoted() (history.History, verdict.Run) {
	p := plan()
	p.Scenario, p.Why, p.Faults, p.GateEvery, p.GateFails, p.GateLimits = "rolling-clean-promotes", "A healthy candidate goes out unnoticed.", nil, 0, 0, ""
	p.Expect = history.Expect{Outcome: "promoted"}
	requests := traffic(3, 20, 1, 20, func(r *rand.Rand, t float64, q *history.Request) {
		v := history.Baseline
		if r.Float64() < (t-6)/5 {
			v = history.Candidate
		}
		answer(q, v, healthy(r))
	})
	h := history.History{Plan: p, Requests: requests, Events: []history.Event{
		history.NewEvent(0, p), history.NewEvent(at(6), history.ReleaseBegan{}), history.NewEvent(at(11), history.ReleaseEnded{}),
		history.NewEvent(at(21), history.Residue{}), history.NewEvent(at(21), history.RunEnded{}),
	}}
	return h, verdict.Run{
		Schema: verdict.Schema, Scenario: p.Scenario, Seed: 7, Provider: "embedded", Verdict: verdict.Pass, Outcome: ptr(verdict.Promoted),
		Instants: verdict.Instants{ReleaseMs: ms(6), EndMs: ms(20)}, Requests: tally(requests), Availability: ptr(1.0),
		Steps:  []verdict.Step{{Name: "rollout", BeginMs: ms(6), LiveMs: ms(11), EndMs: ms(11)}},
		Checks: []verdict.Finding{{Name: "outcome", Status: "pass", Want: "promoted", Got: "promoted"}, {Name: "mttr", Status: "pass", Got: "no user-visible incident"}},
		Replay: p.Replay,
	}
}

// neverRecovered fails: nothing reacts, and the limits are broken.
func neverRecovered() (history.History, verdict.Run) {
	h, r := rolledBack(40)
	r.Verdict, r.Because, r.Outcome = verdict.Fail, "The check mttr failed: > 16.8s instead of <= 15s (it had not recovered when the record ended); stuck half-way, not recovered after 16.8 s (allowed 15 s); 30 of 1,262 requests were bad, 2.4 %; 2 left behind.", ptr(verdict.Stuck)
	r.MTTR = &verdict.MTTR{TotalMs: 16800, RecoveredBy: "", Censored: true, LagMs: ptr(100.0)}
	r.Instants.DetectedMs, r.Instants.DecidedMs, r.Instants.ActuatedMs, r.Instants.RecoveredMs, r.Instants.FaultEndedMs = nil, nil, nil, nil, nil
	r.Instants.RecoveredMsCI = nil
	r.Incidents = []verdict.Incident{{OnsetMs: ms(9), RecoveredMs: ms(9.6), Bad: 3, Cause: "step:weight-5"}, {OnsetMs: ms(15.2), Bad: 120, Cause: "fault:0"}}
	r.Checks[1] = verdict.Finding{Name: "mttr", Status: "fail", Want: "<= 15s", Got: "> 16.8s", Because: "never recovered"}
	r.Checks[2] = verdict.Finding{Name: "detection", Because: "no reading failed"}
	r.Residue = []string{"NetworkChaos cutover-r-7f3a/delay", "qdisc netem on node-1"}
	r.Findings = []string{"the procedure exited 0, but traffic is mixed"}
	return h, r
}

// skipped is a run that could not start.
func skipped() (history.History, verdict.Run) {
	p := plan()
	because := "the kernel has no sch_netem, which NetworkChaos needs"
	return history.History{Plan: p, Events: []history.Event{history.NewEvent(0, p), history.NewEvent(at(0.2), history.Skipped{Because: because}), history.NewEvent(at(0.3), history.RunEnded{})}},
		verdict.Run{Schema: verdict.Schema, Scenario: p.Scenario, Seed: 7, Verdict: verdict.Skipped, Because: because + ".", Replay: p.Replay}
}

// killed is a record that stops in the middle of the incident.
func killed() (history.History, verdict.Run) {
	h, r := rolledBack(20)
	h.Events = slices.DeleteFunc(h.Events, func(e history.Event) bool { return e.At > at(16.5) })
	h.Requests = slices.DeleteFunc(h.Requests, func(q history.Request) bool { return q.Intended > at(16.5) })
	for i := range h.Requests {
		if h.Requests[i].Done > at(16.5) {
			h.Requests[i].Done, h.Requests[i].Status, h.Requests[i].Expected = history.Never, 0, false
		}
	}
	return h, verdict.Run{Schema: verdict.Schema, Scenario: r.Scenario, Seed: 7, Provider: "embedded", Because: "The check outcome could not be judged: the record has no end; outcome unknown without a user-visible incident; 3 of 210 requests were bad, 1.4 %; nobody looked for what was left behind.",
		Steps:  []verdict.Step{r.Steps[0], r.Steps[1], {Name: "weight-25", BeginMs: ms(13.8), LiveMs: ms(14)}},
		Faults: []verdict.Fault{{Name: r.Faults[0].Name, InjectedMs: ms(15.1), Proven: true, EffectMs: ptr(603.0)}},
		Checks: []verdict.Finding{{Name: "outcome", Want: "rolled-back", Because: "the record has no end"}}, Replay: r.Replay}
}

// broken is a run whose harness failed.
func broken() (history.History, verdict.Run) {
	h, r := skipped()
	h.Events[1] = history.NewEvent(at(0.2), history.Broken{Because: "undo failed: namespace stuck in Terminating"})
	r.Verdict, r.Because = verdict.Error, "undo failed: namespace stuck in Terminating"
	return h, r
}

// control is a run that must not pass, and does not.
func control() (history.History, verdict.Run) {
	h, r := neverRecovered()
	h.Plan.Control = &history.Control{Verdict: "fail", Check: "mttr"}
	r.Control = &verdict.ControlResult{Want: verdict.Fail, Met: true}
	return h, r
}

// request is one of a procedure's to the API server, answered after took seconds.
func request(t, took float64, r history.APIRequest) history.Event {
	r.Writer, r.Began = "procedure", at(t)
	return history.NewEvent(at(t+took), r)
}

func printed(t float64, stream, line string) history.Event {
	return history.NewEvent(at(t), history.ProcedureOutput{Stream: stream, Line: line})
}

// byProcedure is a script that is killed after its second write, is told that the API
// server is unavailable when it runs again, and leaves its lock behind.
func byProcedure() (history.History, verdict.Run) {
	p := plan()
	p.Scenario, p.Why, p.Strategy, p.Steps, p.GateEvery, p.GateFails, p.GateLimits = "procedure-killed-half-way", "A release that is killed half-way must be finished by the next one.", "procedure", nil, 0, 0, ""
	p.Faults = []history.PlannedFault{
		{Name: "ProcedureChaos kill", Kind: "ProcedureChaos", Step: "write-2", When: "live", Target: "procedure", OneShot: true, Driver: "cutover"},
		{Name: "RequestChaos fail 503", Kind: "RequestChaos", When: "before get Service/shop", Target: "apiserver", OneShot: true, Driver: "cutover"},
	}
	p.Expect = history.Expect{Outcome: "promoted", Procedure: &history.ExpectProcedure{}}
	requests := traffic(5, 20, 1, 24, func(r *rand.Rand, t float64, q *history.Request) {
		switch {
		case t < 9:
			answer(q, history.Baseline, healthy(r))
		case t < 10:
			q.Done, q.Status, q.Expected = q.Intended.After(time.Millisecond), 502, false
		default:
			answer(q, history.Candidate, healthy(r))
		}
	})
	unchanged := history.APIRequest{Verb: "patch", Object: "Deployment/shop-green", Status: 200, Because: "it changed nothing"}
	events := []history.Event{
		history.NewEvent(0, p),
		request(2, 0.02, history.APIRequest{Verb: "create", Object: "Service/shop", Status: 201, Step: 1}), // its setup's
		printed(2.1, "stdout", "service/shop created"),
		history.NewEvent(at(6), history.ReleaseBegan{}),
		history.NewEvent(at(6.01), history.ProcedureBegan{Attempt: 1}),
		printed(6.1, "stdout", "blue is live, so green is next"),
		request(6.2, 0.004, history.APIRequest{Verb: "get", Object: "Deployment/shop-green", Status: 404}),
		request(6.3, 0.03, history.APIRequest{Verb: "create", Object: "Deployment/shop-green", Status: 201, Step: 1}),
		history.NewEvent(at(6.3), history.StepBegan{Name: "write-1", Title: "create Deployment/shop-green"}),
		history.NewEvent(at(6.33), history.StepLive{Name: "write-1", Title: "create Deployment/shop-green", Weight: -1}),
		request(9, 0.02, history.APIRequest{Verb: "patch", Object: "Service/shop", Status: 200, Step: 2}),
		history.NewEvent(at(9), history.StepBegan{Name: "write-2", Title: "patch Service/shop"}),
		history.NewEvent(at(9.02), history.StepLive{Name: "write-2", Title: "patch Service/shop", Weight: -1}),
		history.NewEvent(at(9.03), history.FaultApplied{Driver: "cutover"}),
		history.NewEvent(at(9.03), history.FaultProven{Proven: true, Because: "nothing of the procedure runs any more"}),
		history.NewEvent(at(9.04), history.ProcedureEnded{Attempt: 1, Exit: 137, Killed: true}),
		history.NewEvent(at(9.1), history.ProcedureBegan{Attempt: 2}),
		history.NewEvent(at(9.2), history.FaultApplied{Fault: 1, Driver: "cutover"}),
		request(9.2, 0.001, history.APIRequest{Verb: "get", Object: "Service/shop", Status: 503, Because: "it was refused before it was passed on", Injected: "answered with 503 in place of the API server"}),
		printed(9.25, "stderr", "Error from server (ServiceUnavailable): injected by cutover <again>"),
		request(9.4, 0.02, unchanged),
		request(10, 0.04, history.APIRequest{Verb: "create", Object: "Pod/shop-blue-2", Subresource: "eviction", Status: 429, Because: "it was refused"}),
		request(11, 0.05, history.APIRequest{Verb: "create", Object: "Pod/shop-blue-2", Subresource: "eviction", Status: 429, Because: "it was refused"}),
		request(12, 0.04, history.APIRequest{Verb: "create", Object: "Pod/shop-blue-2", Subresource: "eviction", Status: 201, Step: 3}),
		history.NewEvent(at(12), history.StepBegan{Name: "write-3", Title: "create Pod/shop-blue-2 eviction"}),
		history.NewEvent(at(12.04), history.StepLive{Name: "write-3", Title: "create Pod/shop-blue-2 eviction", Weight: -1}),
		history.NewEvent(at(14), history.ProcedureEnded{Attempt: 2}),
		history.NewEvent(at(15), history.ReleaseEnded{}),
		history.NewEvent(at(20), history.EndState{Compared: true, Differences: []string{"ConfigMap/lock is left over", "Deployment/shop-blue is missing"}}),
		history.NewEvent(at(24.5), history.Residue{}), history.NewEvent(at(25), history.RunEnded{}),
	}
	for n := range 2 * lastLines {
		events = append(events, printed(12.1+float64(n)/100, "stdout", fmt.Sprintf("waiting for green, look %d", n+1)))
	}
	slices.SortStableFunc(events, func(a, b history.Event) int { return int(a.At - b.At) })
	counts := tally(requests)
	return history.History{Plan: p, Requests: requests, Events: events}, verdict.Run{
		Schema: verdict.Schema, Scenario: p.Scenario, Seed: 7, Provider: "embedded", Verdict: verdict.Pass, Outcome: ptr(verdict.Promoted),
		Because:  fmt.Sprintf("Promoted; %d of %s requests were bad.", counts.Bad, count(counts.Good+counts.Bad)),
		Instants: verdict.Instants{ReleaseMs: ms(6), EndMs: ms(24)}, Requests: counts, Availability: ptr(float64(counts.Good) / float64(counts.Good+counts.Bad)),
		Steps: []verdict.Step{{Name: "write-1", Title: "create Deployment/shop-green", BeginMs: ms(6.3), LiveMs: ms(6.33)},
			{Name: "write-2", Title: "patch Service/shop", BeginMs: ms(9), LiveMs: ms(9.02)}, {Name: "write-3", Title: "create Pod/shop-blue-2 eviction", BeginMs: ms(12), LiveMs: ms(12.04)}},
		Faults: []verdict.Fault{{Name: "ProcedureChaos kill", Kind: "ProcedureChaos", Step: "write-2", InjectedMs: ms(9.03), Proven: true, Because: "nothing of the procedure runs any more"},
			{Name: "RequestChaos fail 503", Kind: "RequestChaos", InjectedMs: ms(9.2), Proven: true, Because: "the request is answered with 503 in place of the API server"}},
		Checks: []verdict.Finding{{Name: "outcome", Status: "pass", Want: "promoted", Got: "promoted"},
			{Name: "procedure", Status: "pass", Want: "exit 0", Got: "exit 0", Because: "that is how attempt 2 ended, after it had been killed"}},
		Findings: []string{"after its kill the procedure left another end state than undisturbed: ConfigMap/lock is left over"},
		Residue:  []string{}, Replay: p.Replay,
	}
}

// compared is what a record says of comparing answers: one field is wrong in some of the
// candidate's, one of another kind of request in all, and much is noise.
func compared() history.Diff {
	return history.Diff{
		Chosen: 1705, Compared: 1600, Large: 12, Fields: 41,
		Dropped:  map[string]int64{"the candidate had no ready pod": 97, "32 were being compared already": 6, "the candidate did not answer": 2},
		Requests: map[string]int64{"GET /cart": 1200, "GET /items/<id>": 400, "GET /rare": 0},
		Odd: []history.OddField{
			{Request: "GET /cart", Field: "body.at", Candidate: 5, Baseline: 9, AllDiffer: 1186, Sample: &history.OddSample{ID: "r-7f3a-9", Baseline: "1767225601", Candidate: "1767225602"}},
			{Request: "GET /cart", Field: "body.id", AllDiffer: 1200},
			{Request: "GET /cart", Field: "body.items[0].price", Candidate: 14, Sample: &history.OddSample{ID: "r-7f3a-311", Baseline: "1.50", Candidate: "1.5"}},
			{Request: "GET /cart", Field: "body.stock", Candidate: 120, Baseline: 231, Sample: &history.OddSample{ID: "r-7f3a-12", Baseline: "true", Candidate: "false"}},
			{Request: "GET /items/<id>", Field: "header.Set-Cookie", Candidate: 400, Sample: &history.OddSample{ID: "r-7f3a-2", Baseline: "(not shown)", Candidate: "(missing)"}},
			{Request: "GET /items/<id>", Field: "status", Candidate: 3, Sample: &history.OddSample{ID: "r-7f3a-77", Baseline: "200", Candidate: "503"}},
		},
	}
}

// answersDiffer is a promoted candidate that does not answer as the baseline does.
func answersDiffer() (history.History, verdict.Run) {
	h, r := promoted()
	h.Plan.Scenario, h.Plan.Why, h.Plan.Expect = "canary-answers-alike", "A candidate answers as the baseline does.", history.Expect{Outcome: "promoted", Diff: "none"}
	h.Events = slices.Insert(slices.Clone(h.Events), len(h.Events)-2, history.NewEvent(at(20.5), compared()))
	r.Scenario, r.Verdict, r.Diff = h.Plan.Scenario, verdict.Fail, ptr(verdict.JudgeDiff(compared()))
	r.Because = "The check diff failed: body.items[0].price, header.Set-Cookie instead of none."
	r.Checks = append(slices.Clone(r.Checks), verdict.Finding{Name: "diff", Status: "fail", Want: "none", Got: "body.items[0].price, header.Set-Cookie",
		Because: "header.Set-Cookie of GET /items/<id>: of three answers the candidate's was the odd one 400 times, the baseline's 0 times"})
	r.Findings = []string{"the versions answer differently: body.items[0].price, header.Set-Cookie"}
	return h, r
}

// stories are all of them by name.
func stories() map[string]func() (history.History, verdict.Run) {
	return map[string]func() (history.History, verdict.Run){
		"rolled-back":     func() (history.History, verdict.Run) { return rolledBack(20) },
		"promoted":        promoted,
		"never-recovered": neverRecovered,
		"skipped":         skipped,
		"killed":          killed,
		"broken":          broken,
		"control":         control,
		"pod-trouble":     podTrouble,
		"procedure":       byProcedure,
		"differences":     answersDiffer,
		"empty":           func() (history.History, verdict.Run) { return history.History{}, verdict.Run{} },
	}
}
