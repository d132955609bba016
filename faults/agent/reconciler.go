package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/chaos-mesh/chaos-mesh/api/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/cutover-dev/cutover/faults"
)

// retryAfter is how soon what failed or is under way is looked at again.
const retryAfter = 100 * time.Millisecond

// victimsAnnotation remembers the UIDs of a one-shot fault's pods, by name: a
// StatefulSet gives the next pod the name of the one that was killed.
const victimsAnnotation = "cutover.dev/victims"

// reconciler brings the pods of one node, and the object's status, to what a chaos
// object asks for. Every node has one; each writes only what it did itself, and
// writes again from a fresh copy if another was faster.
type reconciler struct {
	kind   kind
	client client.Client // reads from the cache
	live   client.Reader // reads from the API
	node   string
	now    func() time.Time

	mu     sync.Mutex
	active map[types.NamespacedName]types.UID // objects that this node may be under
}

// Reconcile implements reconcile.Reconciler.
func (r *reconciler) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	obj := r.kind.object()
	if err := r.client.Get(ctx, request.NamespacedName, obj); apierrors.IsNotFound(err) {
		return ctrl.Result{}, r.forget(ctx, request.NamespacedName)
	} else if err != nil {
		return ctrl.Result{}, fmt.Errorf("look at the object: %w", err)
	}
	ours, err := r.inRun(ctx, obj.GetNamespace())
	if err != nil || !ours {
		return ctrl.Result{}, err
	}
	if what := r.kind.refuse(obj); what != "" {
		return ctrl.Result{}, r.refuse(ctx, obj, what)
	}
	expires := r.expires(obj)
	if obj.IsDeleted() || obj.IsPaused() || !obj.IsOneShot() && !r.now().Before(expires) {
		return ctrl.Result{}, r.stop(ctx, obj)
	}
	return r.run(ctx, obj, expires)
}

// inRun is true for namespaces of runs. The agent touches nothing elsewhere.
func (r *reconciler) inRun(ctx context.Context, name string) (bool, error) {
	var namespace corev1.Namespace
	if err := r.client.Get(ctx, types.NamespacedName{Name: name}, &namespace); err != nil {
		return false, fmt.Errorf("look at the object's namespace: %w", err)
	}
	_, labelled := namespace.Labels[faults.RunLabel]
	return labelled, nil
}

// expires is when a lasting fault ends: as promised on the object, or else counted
// from now if the object is fresh. Its own creation time is cut to whole seconds.
func (r *reconciler) expires(obj chaosObject) time.Time {
	if promised, err := time.Parse(time.RFC3339Nano, obj.GetAnnotations()[faults.ExpiresAnnotation]); err == nil {
		return promised
	}
	chaos, lasts := obj.(*v1alpha1.NetworkChaos)
	if !lasts {
		return time.Time{}
	}
	duration, err := chaos.Spec.GetDuration()
	if err != nil || duration == nil {
		return time.Time{}
	}
	began, now := obj.GetCreationTimestamp().Time, r.now()
	if now.Sub(began) < 2*time.Second {
		began = now
	}
	return began.Add(*duration)
}

// forget heals what an object left that went away without waiting for us.
func (r *reconciler) forget(ctx context.Context, name types.NamespacedName) error {
	r.mu.Lock()
	uid, was := r.active[name]
	r.mu.Unlock()
	if !was {
		return nil
	}
	if err := r.kind.heal(ctx, uid); err != nil {
		return fmt.Errorf("heal what a vanished object left: %w", err)
	}
	r.mu.Lock()
	delete(r.active, name)
	r.mu.Unlock()
	return nil
}

// refuse says on the object that it is not served, and has nothing else to do with it.
func (r *reconciler) refuse(ctx context.Context, obj chaosObject, what string) error {
	_, err := r.modify(ctx, obj, func(obj chaosObject) error {
		obj.GetStatus().Conditions = []v1alpha1.ChaosCondition{
			condition(v1alpha1.ConditionSelected, false, faults.NotServed+": "+what),
			condition(v1alpha1.ConditionAllInjected, false, ""),
		}
		return nil
	})
	return err
}

// stop heals this node and says so; the last one to heal lets the object go.
func (r *reconciler) stop(ctx context.Context, obj chaosObject) error {
	if err := r.kind.heal(ctx, obj.GetUID()); err != nil {
		return fmt.Errorf("heal: %w", err)
	}
	name := client.ObjectKeyFromObject(obj)
	r.mu.Lock()
	delete(r.active, name)
	r.mu.Unlock()
	_, err := r.modify(ctx, obj, func(obj chaosObject) error {
		status := obj.GetStatus()
		status.Experiment.DesiredPhase = v1alpha1.StoppedPhase
		for _, record := range status.Experiment.Records {
			mine, err := r.mayAnswerFor(ctx, obj, record)
			if err != nil {
				return err
			}
			if mine {
				recovered(record, r.now())
			}
		}
		conclude(status, obj.IsPaused())
		if obj.IsDeleted() && !slices.ContainsFunc(status.Experiment.Records, isInjected) {
			controllerutil.RemoveFinalizer(obj, faults.RecordsFinalizer)
		}
		return nil
	})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

func isInjected(record *v1alpha1.Record) bool { return record.Phase == v1alpha1.Injected }

// mayAnswerFor a pod of this node, or of no node any more: a pod that is gone
// suffers from nothing.
func (r *reconciler) mayAnswerFor(ctx context.Context, obj chaosObject, record *v1alpha1.Record) (bool, error) {
	pod, err := r.pod(ctx, obj.GetNamespace(), podName(record))
	if err != nil {
		return false, err
	}
	return pod == nil || pod.Spec.NodeName == r.node, nil
}

// pod finds a pod; nil if there is none, by the API's own word: the cache may not
// know yet what another node's agent has seen.
func (r *reconciler) pod(ctx context.Context, namespace, name string) (*corev1.Pod, error) {
	key := types.NamespacedName{Namespace: namespace, Name: name}
	pod := &corev1.Pod{}
	err := r.client.Get(ctx, key, pod)
	if apierrors.IsNotFound(err) {
		err = r.live.Get(ctx, key, pod)
	}
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look at pod %s: %w", key, err)
	}
	return pod, nil
}

// run chooses pods, hits those of this node and writes down what came of it.
func (r *reconciler) run(ctx context.Context, obj chaosObject, expires time.Time) (reconcile.Result, error) {
	r.mu.Lock()
	r.active[client.ObjectKeyFromObject(obj)] = obj.GetUID()
	r.mu.Unlock()
	obj, err := r.modify(ctx, obj, func(obj chaosObject) error { return r.admit(ctx, obj, expires) })
	if errors.Is(err, errChanged) {
		return ctrl.Result{RequeueAfter: retryAfter}, nil
	}
	if err != nil {
		return ctrl.Result{}, err
	}
	outcomes, err := r.hit(ctx, obj, expires)
	if err != nil {
		return ctrl.Result{}, err
	}
	_, err = r.modify(ctx, obj, func(obj chaosObject) error {
		for _, record := range obj.GetStatus().Experiment.Records {
			outcome, mine := outcomes[record.Id]
			switch {
			case !mine || errors.Is(outcome, errPending):
			case outcome != nil:
				failed(record, outcome, r.now())
			default:
				injected(record, r.now())
			}
		}
		conclude(obj.GetStatus(), false)
		return nil
	})
	if err != nil {
		return ctrl.Result{}, err
	}
	return ctrl.Result{RequeueAfter: r.lookAgain(obj, outcomes, expires)}, nil
}

func (r *reconciler) lookAgain(obj chaosObject, outcomes map[string]error, expires time.Time) time.Duration {
	for _, outcome := range outcomes {
		if outcome != nil {
			return retryAfter
		}
	}
	if obj.IsOneShot() {
		return 0
	}
	return max(time.Millisecond, expires.Sub(r.now()))
}

var errChanged = errors.New("the object is being deleted or was paused in the meantime")

// admit writes down what is going to be done before anything is: which pods, until
// when, and that nobody may forget the object before they are healed.
func (r *reconciler) admit(ctx context.Context, obj chaosObject, expires time.Time) error {
	if obj.IsDeleted() || obj.IsPaused() {
		return errChanged
	}
	status := obj.GetStatus()
	status.Experiment.DesiredPhase = v1alpha1.RunningPhase
	living, err := r.living(ctx, obj)
	if err != nil {
		return err
	}
	if obj.IsOneShot() {
		if len(status.Experiment.Records) > 0 {
			return nil // its targets are frozen
		}
		return r.enrol(obj, living, nil)
	}
	controllerutil.AddFinalizer(obj, faults.RecordsFinalizer)
	annotate(obj, faults.ExpiresAnnotation, expires.UTC().Format(time.RFC3339Nano))
	if err := r.dropGone(ctx, obj); err != nil {
		return err
	}
	before := map[string]bool{}
	for _, record := range status.Experiment.Records {
		before[podName(record)] = true
	}
	return r.enrol(obj, living, before)
}

// dropGone forgets pods that went away before they were hit: nothing will ever be
// injected into them. Those that were hit stay on record.
func (r *reconciler) dropGone(ctx context.Context, obj chaosObject) error {
	var kept []*v1alpha1.Record
	for _, record := range obj.GetStatus().Experiment.Records {
		if record.InjectedCount == 0 {
			pod, err := r.pod(ctx, obj.GetNamespace(), podName(record))
			if err != nil {
				return err
			}
			if pod == nil {
				continue
			}
		}
		kept = append(kept, record)
	}
	obj.GetStatus().Experiment.Records = kept
	return nil
}

// living lists the pods that match, on all nodes, as soon as they have an address.
func (r *reconciler) living(ctx context.Context, obj chaosObject) ([]corev1.Pod, error) {
	selector, err := selectorOf(r.kind.selector(obj).Selector)
	if err != nil {
		return nil, err
	}
	var list corev1.PodList
	err = r.client.List(ctx, &list, client.InNamespace(obj.GetNamespace()), client.MatchingLabelsSelector{Selector: selector})
	if err != nil {
		return nil, fmt.Errorf("list pods: %w", err)
	}
	return slices.DeleteFunc(list.Items, func(pod corev1.Pod) bool {
		ended := pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
		return ended || pod.Status.PodIP == "" || pod.DeletionTimestamp != nil
	}), nil
}

// enrol adds records for the pods that are chosen.
func (r *reconciler) enrol(obj chaosObject, living []corev1.Pod, before map[string]bool) error {
	chosen, err := faults.Choose(string(obj.GetUID()), r.kind.selector(obj), living, before)
	if err != nil {
		return err
	}
	uids := map[string]types.UID{}
	for _, pod := range living {
		if slices.Contains(chosen, pod.Name) {
			addRecord(obj.GetStatus(), obj.GetNamespace(), pod.Name)
			uids[pod.Name] = pod.UID
		}
	}
	conclude(obj.GetStatus(), false)
	if !obj.IsOneShot() || len(uids) == 0 {
		return nil
	}
	victims, err := json.Marshal(uids)
	if err != nil {
		return fmt.Errorf("note the victims: %w", err)
	}
	annotate(obj, victimsAnnotation, string(victims))
	return nil
}

func annotate(obj client.Object, key, value string) {
	annotations := obj.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[key] = value
	obj.SetAnnotations(annotations)
}

// hit injects into the chosen pods of this node and returns what came of each.
func (r *reconciler) hit(ctx context.Context, obj chaosObject, expires time.Time) (map[string]error, error) {
	var victims map[string]types.UID
	if text := obj.GetAnnotations()[victimsAnnotation]; text != "" {
		if err := json.Unmarshal([]byte(text), &victims); err != nil {
			return nil, fmt.Errorf("annotation %s: %w", victimsAnnotation, err)
		}
	}
	outcomes := map[string]error{}
	for _, record := range obj.GetStatus().Experiment.Records {
		if obj.IsOneShot() && isInjected(record) {
			continue
		}
		pod, err := r.pod(ctx, obj.GetNamespace(), podName(record))
		if err != nil {
			return nil, err
		}
		namesake := obj.IsOneShot() && pod != nil && pod.UID != victims[pod.Name]
		switch {
		case pod == nil || namesake:
			if obj.IsOneShot() {
				outcomes[record.Id] = nil // killed, and this is its last trace
			}
		case pod.Spec.NodeName != r.node, pod.DeletionTimestamp != nil && !obj.IsOneShot():
		default:
			outcomes[record.Id] = r.kind.inject(ctx, obj, pod, expires)
		}
	}
	return outcomes, nil
}

// modify changes the object in the API and returns it as it is then. If another
// writer was faster, the change is made again on what that one wrote.
func (r *reconciler) modify(ctx context.Context, obj chaosObject, change func(chaosObject) error) (chaosObject, error) {
	for {
		changed := obj.DeepCopyObject().(chaosObject)
		if err := change(changed); err != nil {
			return obj, err
		}
		if equality.Semantic.DeepEqual(obj, changed) {
			return obj, nil
		}
		err := r.client.Update(ctx, changed)
		if err == nil {
			return changed, nil
		}
		if !apierrors.IsConflict(err) {
			return obj, fmt.Errorf("write the object's status: %w", err)
		}
		fresh := r.kind.object()
		if err := r.live.Get(ctx, client.ObjectKeyFromObject(obj), fresh); err != nil {
			return obj, fmt.Errorf("read the object again after a conflict: %w", err)
		}
		obj = fresh
	}
}
