package experiment

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/cutover-dev/cutover/faults"
	"github.com/cutover-dev/cutover/history"
)

// drillPort is where the drill's pod accepts connections, to be measured at.
const drillPort = 9099

// DrillCommand is the argument that makes this program the drill's pod.
const DrillCommand = "drill-pod"

// drill injects one fault of each kind of the scenario into a pod of its own and
// heals it by the emergency path: as `cutover clean` would after a crash, from what
// the ledger says. A fault whose undo was never seen to work is not let loose on a
// release. Nothing of it counts in any figure.
func (r *run) drill(ctx context.Context) error {
	rehearsed := map[string]bool{}
	for _, p := range r.faults.planned {
		name := p.fault.Name()
		if rehearsed[name] || faults.IsOwn(p.fault.Kind()) { // those leave nothing to undo in the cluster
			continue
		}
		rehearsed[name] = true
		if err := r.onDrillPod(ctx, p.index, func() error { return r.rehearse(ctx, p) }); err != nil {
			r.tell(history.Drill{Kind: name, Because: err.Error()})
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// drillLabel is on a drill's pod; its value is that pod's name.
const drillLabel = "cutover.dev/drill"

// onDrillPod starts the pod of one fault's drill for as long as do takes: what one
// fault did to its pod, such as to kill it, is nothing to the next.
func (r *run) onDrillPod(ctx context.Context, fault int, do func() error) error {
	pod := r.drillPod(fault)
	if err := r.startDrillPod(ctx, pod); err != nil {
		return err
	}
	err := do()
	return errors.Join(err, client.IgnoreNotFound(r.client.Delete(ctx, pod, client.GracePeriodSeconds(0))))
}

func drillName(fault int) string { return fmt.Sprintf("cutover-drill-%d", fault) }

func (r *run) drillPod(fault int) *corev1.Pod {
	name := drillName(fault)
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: r.namespace, Labels: map[string]string{drillLabel: name}},
		Spec: corev1.PodSpec{
			AutomountServiceAccountToken:  new(bool),
			TerminationGracePeriodSeconds: new(int64),
			Containers: []corev1.Container{{
				// As the app's is called, so that a fault of containers finds it.
				Name: r.scenario.App.Service, Image: r.Platform.Image, ImagePullPolicy: corev1.PullIfNotPresent, Args: []string{DrillCommand, fmt.Sprint(drillPort)},
				ReadinessProbe: &corev1.Probe{PeriodSeconds: 1, TimeoutSeconds: 5, ProbeHandler: corev1.ProbeHandler{
					TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromInt32(drillPort)}}},
			}},
		},
	}
}

func (r *run) startDrillPod(ctx context.Context, pod *corev1.Pod) error {
	if err := r.client.Create(ctx, pod); err != nil {
		return fmt.Errorf("start the drill's pod: %w", err)
	}
	err := wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, 30*time.Second, true, func(ctx context.Context) (bool, error) {
		if err := r.client.Get(ctx, client.ObjectKeyFromObject(pod), pod); err != nil {
			return false, err
		}
		for _, condition := range pod.Status.Conditions {
			if condition.Type == corev1.PodReady {
				return condition.Status == corev1.ConditionTrue, nil
			}
		}
		return false, nil
	})
	if err != nil {
		return fmt.Errorf("the drill's pod does not become ready (%s): %w", pod.Status.Phase, err)
	}
	return nil
}

// rehearse injects one fault into the drill's pod, heals it and looks for residue.
// Whether it is proven there says nothing about the release and is only recorded.
func (r *run) rehearse(ctx context.Context, p *pinned) error {
	ctx, cancel := context.WithTimeout(ctx, injectWithin)
	defer cancel()
	fault, err := faults.Parse(p.spec) // a fault is good for one injection
	if err != nil {
		return err
	}
	target, err := r.targetOf(p, metav1.LabelSelector{MatchLabels: map[string]string{drillLabel: drillName(p.index)}}, drillPort)
	if err != nil {
		return err
	}
	target.Object = fmt.Sprintf("cutover-%s-drill-%d", r.id, p.index)
	if _, err := fault.Inject(ctx, target); err != nil {
		return fmt.Errorf("inject: %w", err)
	}
	effect, err := fault.Prove(ctx)
	if err != nil {
		return fmt.Errorf("prove: %w", err)
	}
	began := r.clock.Now()
	if err := r.healByLedger(ctx); err != nil {
		return fmt.Errorf("undo by the emergency path: %w", err)
	}
	took := r.clock.Now().Sub(began)
	left, err := faults.Residue(ctx, r.client, r.id)
	if err != nil {
		return err
	}
	if len(left) > 0 {
		return errors.New("left behind: " + strings.Join(left, ", "))
	}
	r.tell(history.Drill{Kind: fault.Name(), Proven: effect.Proven, UndoMs: float64(took.Microseconds()) / 1000, OK: true, Because: effect.Because})
	return nil
}

// healByLedger undoes the pending chaos objects from their lines in the ledger,
// with a client of its own: what a clean-up in another process does.
func (r *run) healByLedger(ctx context.Context) error {
	fresh, err := NewClient(r.Cluster.REST())
	if err != nil {
		return err
	}
	undo := faults.Undoers(fresh)
	var failed []error
	for _, action := range r.ledger.Pending() {
		if how, ours := undo[action.Kind]; ours {
			failed = append(failed, how(ctx, action.Params))
		}
	}
	return errors.Join(failed...)
}
