package faults

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/chaos-mesh/chaos-mesh/api/v1alpha1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
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
		// Fresh each time: what an answer leaves out would stay from the one before.
		obj, _, err := ref.spawn()
		if err != nil {
			return false, err
		}
		obj.SetName(ref.Name)
		obj.SetNamespace(ref.Namespace)
		if !asked {
			err = c.Delete(ctx, obj)
		}
		if err == nil {
			asked = true
			err = c.Get(ctx, ref.key(), obj)
		}
		if err != nil {
			last = err.Error() // the API server may be away for a while
			return isGone(err), nil
		}
		last = describe(obj.GetStatus())
		if time.Since(began) < patience {
			return false, nil
		}
		return false, letGo(ctx, c, obj, &last)
	})
	if err != nil {
		return fmt.Errorf("%s is not gone: %s: %w", ref, last, err)
	}
	return nil
}

// isGone is also true where the kind itself is gone, and all its objects with it.
func isGone(err error) bool { return apierrors.IsNotFound(err) || meta.IsNoMatchError(err) }

// letGo takes the finalizer off an object that nobody serves any more.
func letGo(ctx context.Context, c client.Client, obj chaosObject, last *string) error {
	if why := suffering(obj, time.Now()); why != "" {
		*last += ": " + why
		return nil
	}
	healed := obj.DeepCopyObject().(chaosObject)
	healed.SetFinalizers(slices.DeleteFunc(healed.GetFinalizers(), func(f string) bool { return f == RecordsFinalizer }))
	// Locked, so that a server that has come back in the meantime wins.
	patch := client.MergeFromWithOptions(obj, client.MergeFromWithOptimisticLock{})
	if err := c.Patch(ctx, healed, patch); err != nil && !isGone(err) && !apierrors.IsConflict(err) {
		return fmt.Errorf("remove its finalizer: %w", err)
	}
	return nil
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
		if slices.ContainsFunc(obj.GetStatus().Experiment.Records, isInjected) {
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
func kinds() []string {
	var kinds []string
	for _, key := range Supported() {
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
	for _, kind := range kinds() {
		list := v1alpha1.AllKinds()[kind].SpawnList()
		err := c.List(ctx, list, label)
		if isGone(err) {
			continue
		}
		if err != nil {
			return found, fmt.Errorf("look for objects of kind %s: %w", kind, err)
		}
		err = meta.EachListItem(list, func(item runtime.Object) error {
			obj := item.(client.Object)
			found = append(found, leftover{referTo(obj, kind), obj.GetFinalizers()})
			return nil
		})
		if err != nil {
			return found, fmt.Errorf("go through objects of kind %s: %w", kind, err)
		}
	}
	return found, nil
}
