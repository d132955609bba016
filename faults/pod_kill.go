package faults

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/chaos-mesh/chaos-mesh/api/v1alpha1"
	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/cutover-dev/cutover/safety"
)

var _ = register(v1alpha1.KindPodChaos, string(v1alpha1.PodKillAction), parsePodKill)

// podKill deletes pods, at once unless the spec grants a grace period.
type podKill struct {
	spec v1alpha1.PodChaosSpec

	injection *injection
	victims   map[string]corev1.Pod // the target's pods as they were, by name
	gone      map[string]bool       // those that the API has no more, or whose containers ended
}

var _ Fault = (*podKill)(nil)

func parsePodKill(spec Spec) (Fault, error) {
	f := &podKill{}
	if err := decode(spec.Chaos.Spec, &f.spec, "action", "gracePeriod", "mode", "value", "duration"); err != nil {
		return nil, err
	}
	if spec.For != 0 || f.spec.Duration != nil {
		return nil, errors.New("pod-kill happens at once and does not last: remove for and chaos.spec.duration")
	}
	if f.spec.GracePeriod < 0 {
		return nil, fmt.Errorf("chaos.spec.gracePeriod: %d is negative: write seconds, 0 or more", f.spec.GracePeriod)
	}
	if f.spec.Mode == "" {
		f.spec.Mode = v1alpha1.OneMode
	}
	if err := checkMode(f.spec.Mode); err != nil {
		return nil, err
	}
	return f, accept(context.Background(), &v1alpha1.PodChaos{Spec: *f.spec.DeepCopy()})
}

func (f *podKill) Name() string           { return "PodChaos pod-kill" }
func (f *podKill) Kind() string           { return v1alpha1.KindPodChaos }
func (f *podKill) OneShot() bool          { return true }
func (f *podKill) Lasting() time.Duration { return 0 }

// Inject implements Fault. The pods that can be hit are noted down first: once
// killed, nobody can ask them for their address.
func (f *podKill) Inject(ctx context.Context, t Target) (safety.Undo, error) {
	if f.injection != nil {
		return nothing, errInjectedTwice
	}
	pods, err := t.pods(ctx)
	if err != nil {
		return nothing, err
	}
	f.victims, f.gone = map[string]corev1.Pod{}, map[string]bool{}
	for _, pod := range pods {
		f.victims[pod.Name] = pod
	}
	obj := &v1alpha1.PodChaos{Spec: *f.spec.DeepCopy()}
	address(obj, &obj.Spec.Selector, t)
	if err := accept(ctx, obj); err != nil {
		return nothing, err
	}
	var undo safety.Undo
	f.injection, undo, err = inject(ctx, t, obj, f.Kind(), 0)
	return undo, err
}

// Prove implements Fault: it waits, while ctx lasts, until the containers of the
// killed pods have exited.
func (f *podKill) Prove(ctx context.Context) (Effect, error) {
	if f.injection == nil {
		return Effect{Because: "nothing was injected"}, nil
	}
	names, err := f.injection.hit(ctx)
	if err != nil {
		return Effect{Because: err.Error()}, err
	}
	if len(names) == 0 {
		return Effect{Because: "no pod was killed"}, nil
	}
	for _, name := range names {
		if _, noted := f.victims[name]; !noted {
			return Effect{Because: "pod " + name + " was killed but not seen before, so its end cannot be measured"}, nil
		}
	}
	doubt := f.doubt(ctx, names)
	for doubt != "" && pause(ctx, pollEvery) {
		if last := f.doubt(ctx, names); last == "" || ctx.Err() == nil {
			doubt = last
		}
	}
	if doubt != "" {
		return Effect{Because: doubt}, nil
	}
	return Effect{Proven: true, Pods: names, Because: fmt.Sprintf("%d pods are gone and answer no more", len(names))}, nil
}

// doubt is "" once every victim has exited.
func (f *podKill) doubt(ctx context.Context, names []string) string {
	for _, name := range names {
		if err := f.exited(ctx, f.victims[name]); err != nil {
			return fmt.Sprintf("pod %s: %v", name, err)
		}
	}
	return ""
}

// exited is nil if the pod is gone from the API, or its containers have ended, and
// its address is dead. The API alone does not prove it: a pod that is deleted by
// force is gone there before its container has even been signalled.
func (f *podKill) exited(ctx context.Context, victim corev1.Pod) error {
	t := f.injection.target
	if !f.gone[victim.Name] {
		var now corev1.Pod
		err := t.Client.Get(ctx, client.ObjectKeyFromObject(&victim), &now)
		if err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("look at it: %w", err)
		}
		if err == nil && now.UID == victim.UID && !terminated(now) {
			return errors.New("its containers are still running")
		}
		f.gone[victim.Name] = true
	}
	conn, err := t.Dial(ctx, t.addr(victim))
	switch {
	case err == nil:
		conn.Close()
		return f.readdressed(ctx, victim)
	case errors.Is(err, unix.ECONNREFUSED), errors.Is(err, unix.EHOSTUNREACH), errors.Is(err, unix.ENETUNREACH):
		return nil
	}
	return fmt.Errorf("its address is silent, which proves nothing: %w", err)
}

// terminated is true if no container of the pod runs any more.
func terminated(pod corev1.Pod) bool {
	for _, status := range pod.Status.ContainerStatuses {
		if status.State.Terminated == nil {
			return false
		}
	}
	return len(pod.Status.ContainerStatuses) > 0
}

// readdressed is nil if what answers at the victim's address is another pod, which
// gets the address only after the victim's sandbox is gone.
func (f *podKill) readdressed(ctx context.Context, victim corev1.Pod) error {
	var list corev1.PodList
	if err := f.injection.target.Client.List(ctx, &list); err != nil {
		return fmt.Errorf("it still answers, and whether another pod has its address is unknown: %w", err)
	}
	for _, pod := range list.Items {
		if pod.UID != victim.UID && pod.Status.PodIP == victim.Status.PodIP && !pod.Spec.HostNetwork {
			return nil
		}
	}
	return errors.New("it still answers")
}
