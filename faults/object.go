package faults

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/chaos-mesh/chaos-mesh/api/v1alpha1"
	corev1 "k8s.io/api/core/v1"
)

// Names on chaos objects that harness and node agent agree on.
const (
	// RunLabel carries the run's id, on chaos objects and on the run's namespace.
	// The node agent touches nothing outside namespaces that have it.
	RunLabel = "cutover.dev/run"
	// SeedAnnotation carries the seed of the fault's own chance, such as jitter.
	SeedAnnotation = "cutover.dev/seed"
	// ExpiresAnnotation is set by the node agent before it does any damage: by that
	// time (RFC 3339) the node ends the fault alone, whoever is dead by then.
	ExpiresAnnotation = "cutover.dev/expires"
	// RecordsFinalizer is Chaos Mesh's: it stays until all pods are recovered.
	RecordsFinalizer = "chaos-mesh/records"
	// NotServed begins the reason of a Selected condition that is false because the
	// node agent does not do what the object asks for, and never will.
	NotServed = "not supported by the cutover agent"
)

// chaosObject is what all of Chaos Mesh's experiments have in common.
type chaosObject interface {
	v1alpha1.InnerObjectWithSelector
	Validate() ([]string, error)
}

// accept fills in the object as Chaos Mesh's webhooks would and lets them judge it.
// Where those do not run nobody else does.
func accept(ctx context.Context, obj chaosObject) error {
	if err := obj.Default(ctx, obj); err != nil {
		return fmt.Errorf("chaos.spec: %w", err)
	}
	if _, err := obj.Validate(); err != nil {
		return fmt.Errorf("chaos.spec: %w", err)
	}
	return nil
}

// address gives the object its name and labels, and its selector the target's pods:
// those of the names, if it is given any, or else all that its mode lets be chosen.
func address(obj chaosObject, name string, names []string, t Target) {
	obj.SetName(name)
	obj.SetNamespace(t.Namespace)
	obj.SetLabels(map[string]string{RunLabel: t.RunID})
	obj.SetAnnotations(map[string]string{SeedAnnotation: strconv.FormatInt(t.Seed, 10)})
	pods := podSelector(obj)
	if len(names) > 0 {
		pods.Mode, pods.Value = v1alpha1.AllMode, ""
		pods.Selector.Pods = map[string][]string{t.Namespace: names}
		return
	}
	pods.Selector.Namespaces = []string{t.Namespace}
	pods.Selector.LabelSelectors = t.Selector.MatchLabels
	pods.Selector.ExpressionSelectors = t.Selector.MatchExpressions
}

// podSelector is the part of the object's spec that says which pods.
func podSelector(obj chaosObject) *v1alpha1.PodSelector {
	switch obj := obj.(type) {
	case *v1alpha1.NetworkChaos:
		return &obj.Spec.PodSelector
	case *v1alpha1.PodChaos:
		return &obj.Spec.PodSelector
	case *v1alpha1.StressChaos:
		return &obj.Spec.PodSelector
	}
	panic(fmt.Sprintf("faults: a %T has no pods that we know of", obj))
}

// inEffect is true when all chosen pods, and one at least, are under the fault:
// with nothing chosen Chaos Mesh reports AllInjected too.
func inEffect(status *v1alpha1.ChaosStatus) bool {
	return is(status, v1alpha1.ConditionSelected) && is(status, v1alpha1.ConditionAllInjected) &&
		slices.ContainsFunc(status.Experiment.Records, isInjected)
}

func isInjected(record *v1alpha1.Record) bool { return record.Phase == v1alpha1.Injected }

// mayBeInjected is also true in between, while Chaos Mesh waits for its node's word.
func mayBeInjected(record *v1alpha1.Record) bool { return record.Phase != v1alpha1.NotInjected }

// wasHit is also true of a record that has recovered since.
func wasHit(record *v1alpha1.Record) bool { return isInjected(record) || record.InjectedCount > 0 }

// isOver is true when a lasting fault has been ended on all its pods.
func isOver(status *v1alpha1.ChaosStatus) bool {
	return status.Experiment.DesiredPhase == v1alpha1.StoppedPhase && is(status, v1alpha1.ConditionAllRecovered)
}

func is(status *v1alpha1.ChaosStatus, condition v1alpha1.ChaosConditionType) bool {
	for _, c := range status.Conditions {
		if c.Type == condition {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// describe says how far an object has come, for errors.
func describe(status *v1alpha1.ChaosStatus) string {
	text := "no status yet: neither Chaos Mesh nor the cutover agent has looked at it"
	for i, c := range status.Conditions {
		if i == 0 {
			text = ""
		}
		text += fmt.Sprintf("%s=%s ", c.Type, c.Status)
		if c.Reason != "" {
			text += "(" + c.Reason + ") "
		}
	}
	for _, record := range status.Experiment.Records {
		text += fmt.Sprintf("[%s %s", record.Id, record.Phase)
		if n := len(record.Events); n > 0 && record.Events[n-1].Message != "" {
			text += ": " + record.Events[n-1].Message
		}
		text += "] "
	}
	return text
}
