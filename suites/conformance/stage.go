package conformance

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/cutover-dev/cutover/faults"
	"github.com/cutover-dev/cutover/history"
	"github.com/cutover-dev/cutover/safety"
)

// Stage is where a case is tried.
type Stage struct {
	Ground *Ground // not prepared yet
	By     faults.Service
	Ledger *safety.Ledger
	Seed   int64
	// Residue lists what faults left on nodes. It may be nil.
	Residue func(context.Context) ([]string, error)
	// End ends a fault that lasts; its undo if nil. Controls do worse.
	End func(context.Context, safety.Undo) error
}

const (
	// proveWithin bounds an injection and its proof, as in a run.
	proveWithin = 20 * time.Second
	// adoptWithin is how long a pod that is born under a fault may be without it.
	adoptWithin = 15 * time.Second
	// listenWithin is how long a process may take from its start until it listens.
	listenWithin = 3 * time.Second
	// endWithin bounds the end of a fault, whatever became of the trial.
	endWithin = 90 * time.Second
)

// Try tries one case. What keeps it from its end stands in the trial.
func (s *Stage) Try(ctx context.Context, c Case) Trial {
	a := &attempt{Stage: s, c: c, trial: Trial{Case: c, Driver: string(s.By.Driver)}, roles: map[string]Role{}, hit: map[string]bool{}, proven: map[string]bool{}}
	if err := a.run(ctx); err != nil {
		a.trial.Broken = err.Error()
	}
	for i, f := range a.trial.Figures {
		a.trial.Figures[i].Role = a.roles[f.Pod]
	}
	return a.trial
}

// attempt is one case that is being tried.
type attempt struct {
	*Stage
	c     Case
	trial Trial
	roles map[string]Role // of pods

	bystander corev1.Pod
	target    []corev1.Pod // before the fault
	born      []corev1.Pod // since

	undo     safety.Undo
	injected time.Time

	mu     sync.Mutex
	hit    map[string]bool // pods that an object says were hit
	proven map[string]bool // pods that a proof of the fault has named, after its first
}

func (a *attempt) run(ctx context.Context) error {
	fault, err := a.c.Parse()
	if err != nil {
		return err
	}
	if err := a.before(ctx); err != nil {
		return err
	}
	defer a.undoAnyway(ctx)
	if err := a.inject(ctx, fault); err != nil {
		return err
	}
	if err := a.during(ctx); err != nil {
		return err
	}
	if err := a.end(ctx, fault); err != nil {
		return err
	}
	return a.look(ctx)
}

// before measures all pods without the fault.
func (a *attempt) before(ctx context.Context) error {
	if err := a.Ground.Prepare(ctx, a.c.Pods); err != nil {
		return err
	}
	beside, err := a.Ground.Pods(ctx, Bystander)
	if err != nil {
		return err
	}
	if a.target, err = a.Ground.Pods(ctx, Target); err != nil {
		return err
	}
	a.bystander = beside[0]
	a.roles[a.bystander.Name] = Bystander
	a.measure(ctx, Before, a.target)
	return a.Ground.note(ctx, append([]corev1.Pod{a.bystander}, a.target...))
}

func (a *attempt) measure(ctx context.Context, phase Phase, pods []corev1.Pod) {
	all := append([]corev1.Pod{a.bystander}, pods...)
	a.trial.Figures = append(a.trial.Figures, a.Ground.Measure(ctx, phase, all, a.c.Quantities())...)
}

// inject injects the fault and asks it for its own proof.
func (a *attempt) inject(ctx context.Context, fault faults.Fault) error {
	bounded, cancel := context.WithTimeout(ctx, proveWithin)
	defer cancel()
	g := a.Ground
	undo, err := fault.Inject(bounded, faults.Target{
		Client: g.Client, By: a.By, Namespace: g.Namespace, RunID: g.RunID, Selector: g.Selector(), Port: port, Container: container,
		Dial: g.Dial, OnNodes: g.OnNodes, Ledger: a.Ledger, Seed: a.Seed, Emit: a.told,
	})
	a.undo, a.injected = undo, time.Now()
	if err != nil {
		return fmt.Errorf("inject: %w", err)
	}
	a.trial.Said.Injected = true
	for _, pod := range a.target {
		a.roles[pod.Name] = Spared
		if a.wasHit(pod.Name) {
			a.roles[pod.Name] = Target
		}
	}
	effect, err := fault.Prove(bounded)
	a.trial.Said.Proven, a.trial.Said.Because = effect.Proven, effect.Because
	if err != nil {
		a.trial.Said.Because = err.Error()
	}
	return nil
}

func (a *attempt) told(payload history.Payload) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch is := payload.(type) {
	case history.FaultInjected:
		a.hit[is.Pod] = true
	case history.FaultProven:
		for _, pod := range is.Pods {
			a.proven[pod] = true
		}
	}
}

func (a *attempt) wasHit(pod string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.hit[pod]
}

// wasAdopted is true once a pod that was born later is said to be under the fault.
// Only where each gets an object of its own is it proven on each, too; until then its
// containers may be those from before.
func (a *attempt) wasAdopted(pod string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.hit[pod] && (a.By.Driver != faults.ChaosMesh || a.proven[pod])
}

// during measures all pods under the fault, and one that is born under it.
func (a *attempt) during(ctx context.Context) error {
	if a.c.Setting.Birth {
		pod, err := a.Ground.Grow(ctx, a.target)
		if err != nil {
			return err
		}
		a.join(pod)
		// That it is never adopted is no error here: what is measured counts.
		_ = wait.PollUntilContextTimeout(ctx, pollEvery, adoptWithin, true, func(context.Context) (bool, error) {
			return a.wasAdopted(pod.Name), nil
		})
		a.awaitListening(ctx, pod)
	}
	a.measure(ctx, During, append(slices.Clone(a.target), a.born...))
	return ctx.Err()
}

// awaitListening gives a pod that has started the time to listen. One that the fault
// keeps from answering never will: what is measured then counts.
func (a *attempt) awaitListening(ctx context.Context, pod corev1.Pod) {
	_ = wait.PollUntilContextTimeout(ctx, pollEvery, listenWithin, true, func(ctx context.Context) (bool, error) {
		conn, err := a.Ground.Dial(ctx, address(pod))
		if err != nil {
			return false, nil // not yet
		}
		return true, conn.Close()
	})
}

func (a *attempt) join(pod corev1.Pod) {
	a.born = append(a.born, pod)
	a.roles[pod.Name] = Newborn
}

// end ends the fault and measures all pods that are there then.
func (a *attempt) end(ctx context.Context, fault faults.Fault) error {
	ended := a.injected
	switch {
	case a.c.Setting.ByItself:
		ended = a.injected.Add(fault.Lasting())
		if !pause(ctx, time.Until(ended)) {
			return ctx.Err()
		}
	case !fault.OneShot():
		if err := a.endNow(ctx); err != nil {
			return fmt.Errorf("undo: %w", err)
		}
		ended = time.Now()
	}
	pods := append(slices.Clone(a.target), a.born...)
	if a.c.Setting.Replaced {
		var err error
		if pods, err = a.replaced(ctx); err != nil {
			return err
		}
	}
	a.trial.Figures = append(a.trial.Figures, a.Ground.heal(ctx, ended, pods)...)
	a.measure(ctx, After, pods)
	a.trial.Figures = append(a.trial.Figures, a.inside(ctx, pods)...)
	return ctx.Err()
}

func (a *attempt) endNow(ctx context.Context) error {
	if a.End != nil {
		return a.End(ctx, a.undo)
	}
	return a.undo(ctx)
}

// replaced are the pods that were left, and the successors of those that were killed.
func (a *attempt) replaced(ctx context.Context) ([]corev1.Pod, error) {
	left := slices.DeleteFunc(slices.Clone(a.target), func(pod corev1.Pod) bool { return a.roles[pod.Name] == Target })
	successors, err := a.Ground.Successors(ctx, a.target, len(a.target)-len(left))
	if err != nil {
		return nil, err
	}
	for _, pod := range successors {
		a.join(pod)
	}
	return append(left, successors...), nil
}

// inside asks the pods what only they have seen: of how many echoes they got during
// the fault figures are made, and a queue discipline that was not there is residue.
func (a *attempt) inside(ctx context.Context, pods []corev1.Pod) []Figure {
	var figures []Figure
	for _, pod := range pods {
		before, now, err := a.Ground.lookAgain(ctx, pod, a.bystander)
		if err != nil {
			a.trial.Left = append(a.trial.Left, fmt.Sprintf("unknown: pod %s does not say what its network has: %v", pod.Name, err))
			continue
		}
		for _, qdisc := range now.Qdiscs {
			if !slices.Contains(before.Qdiscs, qdisc) {
				a.trial.Left = append(a.trial.Left, fmt.Sprintf("pod %s: queue discipline %s", pod.Name, qdisc))
			}
		}
		if slices.Contains(a.c.Quantities(), Arrived) {
			// The train after the fault is the last that came.
			got := now.Echoes - before.Echoes - echoPlan.Count
			figures = append(figures, phased(During, pod.Name, share(Arrived, min(max(0, got), echoPlan.Count), echoPlan.Count))...)
		}
	}
	return figures
}

// look looks for what is left once every object is to be gone.
func (a *attempt) look(ctx context.Context) error {
	if a.End == nil {
		if err := a.undo(ctx); err != nil {
			return fmt.Errorf("undo: %w", err)
		}
	}
	left, err := faults.Residue(ctx, a.Ground.Client, a.Ground.RunID)
	if err != nil {
		return err
	}
	a.trial.Left = append(a.trial.Left, left...)
	if a.Residue == nil {
		return nil
	}
	left, err = a.Residue(ctx)
	a.trial.Left = append(a.trial.Left, left...)
	return err
}

// undoAnyway leaves nothing on whatever became of the trial.
func (a *attempt) undoAnyway(ctx context.Context) {
	if a.undo == nil {
		return
	}
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), endWithin)
	defer cancel()
	if err := a.undo(bounded); err != nil && a.trial.Broken == "" {
		a.trial.Broken = "undo: " + err.Error()
	}
}

// note keeps what the pods see inside before the fault.
func (g *Ground) note(ctx context.Context, pods []corev1.Pod) error {
	for _, pod := range pods {
		seen, err := gauge{g.Dial}.look(ctx, address(pod))
		if err != nil {
			return fmt.Errorf("ask pod %s: %w", pod.Name, err)
		}
		n := g.noted[pod.UID]
		n.inside = seen
		g.noted[pod.UID] = n
	}
	return nil
}

// lookAgain is what the pod saw before and sees now. One that was born later had got
// no echoes, and is to have what the bystander has.
func (g *Ground) lookAgain(ctx context.Context, pod, bystander corev1.Pod) (before, now inside, err error) {
	n, noted := g.noted[pod.UID]
	if before = n.inside; !noted || before.Qdiscs == nil {
		before = inside{Qdiscs: g.noted[bystander.UID].inside.Qdiscs}
	}
	now, err = gauge{g.Dial}.look(ctx, address(pod))
	return before, now, err
}
