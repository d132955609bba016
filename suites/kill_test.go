package suites_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/cutover-dev/cutover/verdict"
)

// The kill test: in each round a run is started, and somebody is killed at an
// instant drawn over the whole life of such a run. Nothing may be left after the
// bound, by itself where docs/safety.md says so, else after `cutover clean`.
// `make kill-test` asks for it.
var _ = Describe("kill test", Ordered, ContinueOnFailure, Label("kill"), func() {
	rounds := killRounds()
	if rounds == 0 {
		return // not asked for: it takes half a minute a round
	}
	test := &killTest{ground: killGroundOf(sortOfCluster()), seed: GinkgoRandomSeed(), lives: map[string]time.Duration{}, starts: map[string]time.Duration{}}

	BeforeAll(func() {
		DeferCleanup(func(ctx SpecContext) { test.takeDown(ctx) }, NodeTimeout(time.Minute))
	})

	AfterEach(func() {
		if report := CurrentSpecReport(); report.Failed() && test.row != nil {
			test.row.Why = report.Failure.Message
		}
	})

	AfterAll(func() { test.write() })

	It("finds what is planted", func(ctx SpecContext) { test.findPlanted(ctx) }, SpecTimeout(2*time.Minute*test.ground.slower()))

	It("lets a run in which nobody is killed pass", func(ctx SpecContext) {
		// The first run on a detached cluster installs what the others find there.
		for _, mode := range []string{owned, detached, detached} {
			test.calibrate(ctx, mode)
		}
	}, SpecTimeout(8*time.Minute*test.ground.slower()))

	victims := test.ground.victims()
	for n := range rounds {
		// Each victim in turn, and after all of them the other mode.
		who := victims[n%len(victims)]
		mode := who.modes[n/len(victims)%len(who.modes)]
		It(fmt.Sprintf("round %d: %s, %s cluster", n+1, who.name, mode), func(ctx SpecContext) {
			test.round(ctx, n+1, who, mode)
		}, SpecTimeout(5*time.Minute*test.ground.slower()))
	}
})

// Modes of a round's cluster.
const (
	owned    = "owned"    // the run's own
	detached = "detached" // started before, and shared with other rounds while it is well
)

// Bounds, each from the event that it counts from until nothing is left.
const (
	// The run notices within 0.1 s that its cluster died. Requests on their way end
	// with load.timeout, 3 s, and the record is written and judged.
	lostWithin = 20 * time.Second
	// A clean-up deletes pods and a namespace, for which Kubernetes needs some
	// seconds, and waits up to 5 s for an agent before it looks after it.
	cleanWithin = 30 * time.Second
	// A run that has ended has confirmed that nothing is left: what remains is the time
	// to look, at every process of the machine.
	confirmedWithin = 10 * time.Second
	// What was killed is started again within 1 s, and the kubelet looks at
	// containers every second and at the runtime every five.
	usableWithin = 30 * time.Second
	// Waiting for one that was killed prolongs a run: an injection may take 20 s, an
	// undo by the node's own expiry as long as the fault, and a pod as long as the
	// kubelet's next look at a runtime that was away.
	prolonged = 90 * time.Second
)

// Of the fault in testdata/killed.yaml.
const (
	faultLasts  = 6 * time.Second
	faultGrace  = 2 * time.Second
	faultHealed = 100 * time.Millisecond // a round trip below this is one without the fault
)

// killRounds is how many rounds the environment asks for; none without it.
func killRounds() int {
	rounds, err := strconv.Atoi(os.Getenv("CUTOVER_KILLS"))
	if err != nil {
		return 0
	}
	return rounds
}

type killTest struct {
	ground killGround
	seed   int64
	lives  map[string]time.Duration // of an undisturbed run, by mode
	starts map[string]time.Duration // of that, until its cluster was ready
	rows   []*killRow
	row    *killRow // of the round that goes on
}

// calibrate measures the whole life of a run in which nobody is killed.
func (t *killTest) calibrate(ctx SpecContext, mode string) {
	GinkgoHelper()
	run := t.start(ctx, mode)
	run.awaitEnd(ctx, 2*time.Minute*t.ground.slower())
	run.judgeUndisturbed()
	t.learn(run, mode)
	GinkgoWriter.Printf("an undisturbed run on a cluster of mode %s lives %.1f s\n", mode, run.lasted.Seconds())
	Expect(t.leftOf(ctx, run)).To(BeEmpty())
}

// learn takes down how long an undisturbed run has lived.
func (t *killTest) learn(run *killedRun, mode string) {
	t.lives[mode], t.starts[mode] = run.lasted, run.told(" ready in ").Sub(run.began)
}

// round performs one round. A failure in it ends it, not the test.
func (t *killTest) round(ctx SpecContext, n int, who victim, mode string) {
	victim := who.name
	Expect(t.lives).To(HaveKey(mode), "how long such a run lives is not known")
	t.row = &killRow{N: n, Victim: victim, Mode: mode}
	t.rows = append(t.rows, t.row)
	chance := rand.New(rand.NewPCG(uint64(t.seed), uint64(n)))
	run, killed := t.start(ctx, mode), false
	for range 5 {
		life := t.lives[mode]
		if who.early {
			life = t.starts[mode]
		}
		instant := time.Duration(chance.Float64() * float64(life))
		if killed = run.killAt(ctx, victim, instant); killed {
			break
		}
		// It was faster than the calibration: what was drawn is beyond its end.
		run.awaitEnd(ctx, prolonged)
		run.judgeUndisturbed()
		t.learn(run, mode)
		run = t.start(ctx, mode)
	}
	Expect(killed).To(BeTrue(), "five runs ended before anybody could be killed")
	t.row.Cluster, t.row.InstantS = run.cluster, run.killed.Sub(run.began).Seconds()
	if victim == victimCLI {
		run.awaitEnd(ctx, confirmedWithin)
		t.row.Phase = run.phaseAt(run.killed)
		t.afterCLI(ctx, run, mode)
	} else {
		run.awaitEnd(ctx, t.lives[mode]+prolonged)
		t.row.Phase = run.phaseAt(run.killed)
		t.afterOthers(ctx, run, victim, mode)
	}
	if mode == detached && t.ground.alive(ctx, run.cluster) {
		t.awaitUsable(ctx, run.cluster, victim)
	}
	t.row.OK = true
}

// afterCLI holds what follows the death of the CLI against docs/safety.md.
func (t *killTest) afterCLI(ctx SpecContext, run *killedRun, mode string) {
	GinkgoHelper()
	promised := t.ground.fate(victimCLI, mode, run.seen)
	switch {
	case mode == detached:
		t.row.bound(faultLasts + faultGrace + cleanWithin)
		t.awaitFaultsOver(ctx, run)
	case promised.alone != nothing:
		t.row.bound(promised.within + cleanWithin)
		t.awaitNothing(ctx, run.killed, promised.within, func() []string { return t.ground.left(ctx, run.cluster, run.seen, promised.alone) })
	default: // nobody is there to sweep
		t.row.bound(cleanWithin)
	}
	t.clean(ctx, run)
	t.row.took(run.killed)
	run.judgeRecord(ctx)
}

// clean has a clean-up remove what is left.
func (t *killTest) clean(ctx SpecContext, run *killedRun) {
	GinkgoHelper()
	began := time.Now()
	cutover(ctx, "clean")
	t.awaitNothing(ctx, began, cleanWithin, func() []string { return t.leftOf(ctx, run) })
}

// afterOthers holds the end of a run that lost somebody against docs/safety.md.
func (t *killTest) afterOthers(ctx SpecContext, run *killedRun, victim, mode string) {
	GinkgoHelper()
	t.row.Exit, t.row.Verdict = &run.exit, run.verdict()
	promised := t.ground.fate(victim, mode, run.seen)
	run.judgeEnd(promised.breaks)
	since := run.ended
	if promised.fromKill {
		since = run.killed
	}
	if promised.alone == everything {
		t.row.bound(promised.within)
		t.awaitNothing(ctx, since, promised.within, func() []string { return t.leftOf(ctx, run) })
	} else {
		t.row.bound(promised.within + cleanWithin)
		t.awaitNothing(ctx, since, promised.within, func() []string { return t.ground.left(ctx, run.cluster, run.seen, promised.alone) })
		t.clean(ctx, run)
	}
	t.row.took(since)
	Expect(cutover(ctx, "clean")).NotTo(ContainSubstring(cmp.Or(run.cluster, "no cluster")), "something was left for a clean-up")
}

// leftOf lists everything that is left of a run.
func (t *killTest) leftOf(ctx SpecContext, run *killedRun) []string {
	return append(run.strays(), t.left(ctx, run.cluster, run.seen)...)
}

// awaitNothing waits until nothing is left, for as long as the bound from began.
func (t *killTest) awaitNothing(ctx SpecContext, began time.Time, bound time.Duration, look func() []string) {
	GinkgoHelper()
	deadline := began.Add(bound)
	for {
		t.row.Left = look()
		if len(t.row.Left) == 0 {
			return
		}
		if time.Now().After(deadline) || ctx.Err() != nil {
			Fail(fmt.Sprintf("left after %.0f s: %s", bound.Seconds(), strings.Join(t.row.Left, "; ")))
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// judgeUndisturbed accepts what a machine too busy to judge a release ends with: how
// the release does is not the question here.
func (r *killedRun) judgeUndisturbed() {
	GinkgoHelper()
	Expect(r.exit).To(BeElementOf(verdict.ExitPass, verdict.ExitInvalid), "nobody was killed:\n%s", r.output())
}

// judgeEnd holds the exit code against the verdict, and both against the truth.
func (r *killedRun) judgeEnd(clusterDied bool) {
	GinkgoHelper()
	Expect(r.output()).NotTo(ContainSubstring("\ngoroutine "), "it crashed")
	said := verdict.Verdict(r.verdict())
	if said == "" {
		Expect(r.exit).To(Equal(verdict.ExitError), "there is no verdict:\n%s", r.output())
		Expect(r.output()).To(ContainSubstring("\ncutover: "), "no reason is given")
	} else {
		Expect(r.exit).To(Equal(verdict.ExitCode(verdict.Run{Verdict: said})), "exit code and verdict differ:\n%s", r.output())
	}
	if !clusterDied {
		Expect(r.exit).NotTo(Equal(verdict.ExitError), "the harness broke:\n%s", r.output())
	}
}

// judgeRecord judges what a killed CLI had written.
func (r *killedRun) judgeRecord(ctx SpecContext) {
	GinkgoHelper()
	code, text := exitOf(ctx, "report", r.record)
	Expect(text).NotTo(ContainSubstring("goroutine "), "it crashed")
	events, err := os.ReadFile(filepath.Join(r.record, "events.ndjson"))
	if err == nil && strings.Contains(string(events), "\n") {
		Expect(code).To(BeZero(), text)
		Expect(text).To(ContainSubstring("verdict"))
		return
	}
	Expect(code).To(Equal(verdict.ExitUsage), "there is nothing to judge:\n%s", text)
}
