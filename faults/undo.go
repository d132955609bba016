package faults

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/cutover-dev/cutover/safety"
)

// chaosAction is the kind of the ledger's actions that create a chaos object.
const chaosAction = "chaos-object"

const (
	// undoWithin bounds an undo whose caller set no bound.
	undoWithin = time.Minute
	// patience is how long whoever serves the object has to let go of it before we
	// ask whether it is still alive.
	patience = 5 * time.Second
	// pollEvery is how often a condition of the API is looked at.
	pollEvery = 50 * time.Millisecond
)

// Undoers undo the actions of this package.
func Undoers(c client.Client) safety.Undoers {
	return safety.Undoers{chaosAction: func(ctx context.Context, params json.RawMessage) error {
		var ref reference
		if err := json.Unmarshal(params, &ref); err != nil {
			return fmt.Errorf("the ledger's params of a chaos object: %w", err)
		}
		return remove(ctx, c, ref)
	}}
}

// remove deletes a chaos object and returns when it is gone. Its finalizer stays
// until all pods are healed; if nobody serves the object any more, it is removed
// here, but only once [suffering] says that nothing is left to heal.
func remove(ctx context.Context, c client.Client, ref reference) error {
	if _, bounded := ctx.Deadline(); !bounded {
		limited, cancel := context.WithTimeout(ctx, undoWithin)
		defer cancel()
		ctx = limited
	}
	began, last := time.Now(), "nothing was tried"
	asked := false
	err := wait.PollUntilContextCancel(ctx, pollEvery, true, func(ctx context.Context) (bool, error) {
		var err error
		if !asked {
			err = c.Delete(ctx, ref.bare())
		}
		if isGone(err) {
			return true, nil
		}
		if err != nil {
			last = err.Error() // the API server may be away for a while
			return false, nil
		}
		asked = true
		untyped, obj, err := ref.get(ctx, c)
		if isGone(err) {
			return true, nil
		}
		if err != nil {
			last = err.Error()
			return false, nil
		}
		last = describe(obj.GetStatus())
		if time.Since(began) < patience {
			return false, nil
		}
		return false, letGo(ctx, c, untyped, obj, &last)
	})
	if err != nil {
		return fmt.Errorf("%s is not gone: %s: %w", ref, last, err)
	}
	return nil
}

// isGone is also true where the kind itself is gone, and all its objects with it.
func isGone(err error) bool { return apierrors.IsNotFound(err) || meta.IsNoMatchError(err) }

// letGo takes the finalizer off an object that nobody serves any more.
func letGo(ctx context.Context, c client.Client, untyped *unstructured.Unstructured, obj chaosObject, last *string) error {
	why, err := stillSuffering(ctx, c, obj, time.Now())
	if err != nil {
		return err
	}
	if why != "" {
		*last += ": " + why
		return nil
	}
	healed := untyped.DeepCopy()
	healed.SetFinalizers(slices.DeleteFunc(healed.GetFinalizers(), func(f string) bool { return f == RecordsFinalizer }))
	// Locked, so that a server that has come back in the meantime wins.
	patch := client.MergeFromWithOptions(untyped, client.MergeFromWithOptimisticLock{})
	if err := c.Patch(ctx, healed, patch); err != nil && !isGone(err) && !apierrors.IsConflict(err) {
		return fmt.Errorf("remove its finalizer: %w", err)
	}
	return nil
}

// stillSuffering is [suffering], but for pods that are gone: they suffer from
// nothing, whatever an object says that nobody serves.
func stillSuffering(ctx context.Context, c client.Client, obj chaosObject, now time.Time) (string, error) {
	why := suffering(obj, now)
	if why == "" {
		return "", nil
	}
	for _, record := range obj.GetStatus().Experiment.Records {
		var pod corev1.Pod
		err := c.Get(ctx, client.ObjectKey{Namespace: obj.GetNamespace(), Name: hitOf(record).pod}, &pod)
		if err == nil {
			return why, nil
		}
		if !apierrors.IsNotFound(err) {
			return "", fmt.Errorf("look whether pod %s is gone: %w", hitOf(record).pod, err)
		}
	}
	return "", nil
}

// suffering is "" if the fault of an object is surely over although nobody says
// so, and else why pods may still suffer. A finalizer guards the data plane: to remove it while a pod may still suffer
// would hide the damage. A one-shot fault is over by nature. A lasting one is over
// when the node has ended it by itself, which it promises for a certain time, by
// [ExpiresAnnotation], before it begins. Chaos Mesh makes no such promise: there,
// its own word that no pod is under the fault has to do.
func suffering(obj chaosObject, now time.Time) string {
	if obj.IsOneShot() || isOver(obj.GetStatus()) {
		return ""
	}
	promise := obj.GetAnnotations()[ExpiresAnnotation]
	if promise == "" {
		if slices.ContainsFunc(obj.GetStatus().Experiment.Records, mayBeInjected) {
			return fmt.Sprintf("pods are under the fault and whoever injected it does not answer: see to its controller, "+
				"or, if those pods are gone, annotate the object with %s=forced", cleanAnnotation)
		}
		return ""
	}
	expires, err := time.Parse(time.RFC3339Nano, promise)
	if err != nil {
		return fmt.Sprintf("annotation %s: %v", ExpiresAnnotation, err)
	}
	if left := expires.Add(time.Second).Sub(now); left > 0 {
		return fmt.Sprintf("the node agent does not answer, but the node ends the fault by itself in %s: undo again then", left.Round(time.Second))
	}
	return ""
}

// cleanAnnotation is Chaos Mesh's annotation that makes its controller let go.
const cleanAnnotation = "chaos-mesh.chaos-mesh.org/cleanFinalizer"

// kinds are those that can leave objects behind.
func kinds() []string { return kindsOf(Supported()) }

// kindsOf sorted keys of faults, each once.
func kindsOf(keys []string) []string {
	var kinds []string
	for _, key := range keys {
		kind, _, _ := strings.Cut(key, " ")
		kinds = append(kinds, kind)
	}
	return slices.Compact(kinds)
}

// Residue lists the chaos objects of a run that are still there; of all runs if
// runID is empty.
func Residue(ctx context.Context, c client.Client, runID string) ([]string, error) {
	var found []string
	left, err := leftovers(ctx, c, runID)
	for _, obj := range left {
		found = append(found, fmt.Sprintf("%s (finalizers %v)", obj.ref, obj.finalizers))
	}
	return found, err
}

// Sweep undoes every chaos object of a run; of all runs if runID is empty. It is
// the net under the ledger: it goes by label.
func Sweep(ctx context.Context, c client.Client, runID string) error {
	left, err := leftovers(ctx, c, runID)
	failures := []error{err}
	for _, obj := range left {
		failures = append(failures, remove(ctx, c, obj.ref))
	}
	return errors.Join(failures...)
}

type leftover struct {
	ref        reference
	finalizers []string
}

func leftovers(ctx context.Context, c client.Client, runID string) ([]leftover, error) {
	label := client.ListOption(client.HasLabels{RunLabel})
	if runID != "" {
		label = client.MatchingLabels{RunLabel: runID}
	}
	var found []leftover
	err := eachObject(ctx, c, func(ref reference, obj *unstructured.Unstructured) {
		found = append(found, leftover{ref, obj.GetFinalizers()})
	}, label)
	return found, err
}

// Living lists the chaos objects of all runs that are there, by their UIDs.
func Living(ctx context.Context, c client.Client) ([]types.UID, error) {
	var living []types.UID
	err := eachObject(ctx, c, func(_ reference, obj *unstructured.Unstructured) { living = append(living, obj.GetUID()) })
	return living, err
}

// eachObject visits the chaos objects of every kind and group.
func eachObject(ctx context.Context, c client.Client, visit func(reference, *unstructured.Unstructured), options ...client.ListOption) error {
	for _, group := range groups {
		for _, kind := range kinds() {
			of := reference{Group: group, Kind: kind}
			list := of.listOf()
			err := c.List(ctx, list, options...)
			if isGone(err) {
				continue
			}
			if err != nil {
				return fmt.Errorf("look for objects of kind %s.%s: %w", kind, group, err)
			}
			for n := range list.Items {
				obj := &list.Items[n]
				visit(reference{group, kind, obj.GetNamespace(), obj.GetName()}, obj)
			}
		}
	}
	return nil
}
