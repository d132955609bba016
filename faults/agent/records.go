package agent

import (
	"slices"
	"strings"
	"time"

	"github.com/chaos-mesh/chaos-mesh/api/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// maxEvents of a record are kept, the latest.
const maxEvents = 20

// recordID is Chaos Mesh's id of a pod.
func recordID(namespace, pod string) string { return namespace + "/" + pod }

func podName(record *v1alpha1.Record) string {
	_, name, _ := strings.Cut(record.Id, "/")
	return name
}

// addRecord notes a pod as chosen and not hit yet, unless it is noted already.
func addRecord(status *v1alpha1.ChaosStatus, namespace, pod string) {
	id := recordID(namespace, pod)
	if !slices.ContainsFunc(status.Experiment.Records, func(r *v1alpha1.Record) bool { return r.Id == id }) {
		status.Experiment.Records = append(status.Experiment.Records,
			&v1alpha1.Record{Id: id, SelectorKey: ".", Phase: v1alpha1.NotInjected})
	}
}

// injected notes that a pod is under the fault, once.
func injected(record *v1alpha1.Record, now time.Time) {
	if record.Phase == v1alpha1.Injected {
		return
	}
	record.Phase = v1alpha1.Injected
	record.InjectedCount++
	note(record, v1alpha1.TypeSucceeded, v1alpha1.Apply, "", now)
}

// failed notes why a pod is not under the fault. The same reason is noted once.
func failed(record *v1alpha1.Record, why error, now time.Time) {
	record.Phase = v1alpha1.NotInjected
	if n := len(record.Events); n > 0 && record.Events[n-1].Message == why.Error() {
		return
	}
	note(record, v1alpha1.TypeFailed, v1alpha1.Apply, why.Error(), now)
}

// recovered notes that a pod is well again.
func recovered(record *v1alpha1.Record, now time.Time) {
	if record.Phase != v1alpha1.Injected {
		return
	}
	record.Phase = v1alpha1.NotInjected
	record.RecoveredCount++
	note(record, v1alpha1.TypeSucceeded, v1alpha1.Recover, "", now)
}

func note(record *v1alpha1.Record, kind v1alpha1.RecordEventType, operation v1alpha1.RecordEventOperation, message string, now time.Time) {
	record.Events = append(record.Events, *v1alpha1.NewRecordEvent(kind, operation, message, metav1.NewTime(now)))
	if extra := len(record.Events) - maxEvents; extra > 0 {
		record.Events = record.Events[extra:]
	}
}

// conclude sets the conditions from the records, as Chaos Mesh does: with no
// records everything is injected and recovered at once.
func conclude(status *v1alpha1.ChaosStatus, paused bool) {
	all := func(phase v1alpha1.Phase) bool {
		return !slices.ContainsFunc(status.Experiment.Records, func(r *v1alpha1.Record) bool { return r.Phase != phase })
	}
	some := len(status.Experiment.Records) > 0
	why := ""
	if !some {
		why = "no pod with an address matches the selector"
	}
	status.Conditions = []v1alpha1.ChaosCondition{
		condition(v1alpha1.ConditionSelected, some, why),
		condition(v1alpha1.ConditionAllInjected, all(v1alpha1.Injected), ""),
		condition(v1alpha1.ConditionAllRecovered, all(v1alpha1.NotInjected), ""),
		condition(v1alpha1.ConditionPaused, paused, ""),
	}
}

func condition(kind v1alpha1.ChaosConditionType, holds bool, reason string) v1alpha1.ChaosCondition {
	status := corev1.ConditionFalse
	if holds {
		status = corev1.ConditionTrue
	}
	return v1alpha1.ChaosCondition{Type: kind, Status: status, Reason: reason}
}
