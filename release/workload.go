package release

import (
	"cmp"
	"context"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/cutover-dev/cutover/history"
)

// workloadState is what a workload's controller says of it.
type workloadState struct {
	observed                                  bool // its newest form
	want, replicas, updated, ready, available int32
	given                                     error                                 // why the controller has given up; nil if it has not
	hash                                      func(context.Context) (string, error) // of the current template; "" if there is none yet
}

// named is the version's workload as a person would call it.
func (i *Installation) named(v history.Version) string {
	return fmt.Sprintf("%s %s/%s", i.App.kind(), i.Namespace, i.workload(v))
}

// manifest is the workload with the version's template.
func (i *Installation) manifest(v history.Version) (client.Object, error) {
	template, err := i.template(v)
	if err != nil {
		return nil, err
	}
	meta := metav1.ObjectMeta{Namespace: i.Namespace, Name: i.workload(v), Labels: i.labels(v)}
	selector := &metav1.LabelSelector{MatchLabels: i.only(v)}
	replicas := i.App.replicas(v)
	if v == history.Candidate && !i.Layout.InPlace && i.Layout.Entry == ByPods {
		replicas = 0 // its pods have traffic as soon as they are there: the router adds them
	}
	if i.App.kind() == KindStatefulSet {
		return &appsv1.StatefulSet{ObjectMeta: meta, Spec: appsv1.StatefulSetSpec{
			Replicas: &replicas, Selector: selector, Template: template, ServiceName: i.App.Service,
			UpdateStrategy: appsv1.StatefulSetUpdateStrategy{
				Type:          appsv1.RollingUpdateStatefulSetStrategyType,
				RollingUpdate: &appsv1.RollingUpdateStatefulSetStrategy{Partition: new(i.firstPartition(v))},
			},
		}}, nil
	}
	return &appsv1.Deployment{ObjectMeta: meta, Spec: appsv1.DeploymentSpec{
		Replicas: &replicas, Selector: selector, Template: template, Strategy: i.Spec.deploymentStrategy(),
		ProgressDeadlineSeconds: new(wholeSeconds(i.Spec.progressDeadline())),
	}}, nil
}

// templateOf is the template of a workload that manifest has made.
func templateOf(workload client.Object) corev1.PodTemplateSpec {
	if set, ok := workload.(*appsv1.StatefulSet); ok {
		return set.Spec.Template
	}
	return workload.(*appsv1.Deployment).Spec.Template
}

// firstPartition keeps a new candidate from all pods, and a baseline from none.
func (i *Installation) firstPartition(v history.Version) int32 {
	if v == history.Candidate {
		return i.App.replicas(v)
	}
	return 0
}

// Partition lets the pods of a StatefulSet from an ordinal up have its newest template.
func (i *Installation) Partition(ctx context.Context, ordinal int) error {
	return await(ctx, func(ctx context.Context) (string, error) {
		return "", i.set(ctx, history.Candidate, `{"spec":{"updateStrategy":{"rollingUpdate":{"partition":%d}}}}`, ordinal)
	})
}

// scale asks for a number of pods of a version.
func (i *Installation) scale(ctx context.Context, v history.Version, replicas int) error {
	return i.set(ctx, v, `{"spec":{"replicas":%d}}`, replicas)
}

// set merges one number into a version's workload.
func (i *Installation) set(ctx context.Context, v history.Version, patch string, number int) error {
	return i.Client.Patch(ctx, i.empty(v), client.RawPatch(types.MergePatchType, fmt.Appendf(nil, patch, number)), fieldOwner)
}

// empty is the version's workload with nothing but its name.
func (i *Installation) empty(v history.Version) client.Object {
	meta := metav1.ObjectMeta{Namespace: i.Namespace, Name: i.workload(v)}
	if i.App.kind() == KindStatefulSet {
		return &appsv1.StatefulSet{ObjectMeta: meta}
	}
	return &appsv1.Deployment{ObjectMeta: meta}
}

// look reads what the controller of the version's workload says.
func (i *Installation) look(ctx context.Context, v history.Version) (workloadState, error) {
	workload := i.empty(v)
	if err := i.Client.Get(ctx, client.ObjectKeyFromObject(workload), workload); err != nil {
		return workloadState{}, err
	}
	if set, ok := workload.(*appsv1.StatefulSet); ok {
		return stateOfStatefulSet(set), nil
	}
	return i.stateOfDeployment(workload.(*appsv1.Deployment)), nil
}

func (i *Installation) stateOfDeployment(d *appsv1.Deployment) workloadState {
	s := d.Status
	state := workloadState{
		observed: s.ObservedGeneration >= d.Generation, want: *d.Spec.Replicas,
		replicas: s.Replicas, updated: s.UpdatedReplicas, ready: s.ReadyReplicas, available: s.AvailableReplicas,
		hash: func(ctx context.Context) (string, error) { return i.replicaSetHash(ctx, d) },
	}
	since, gaveUp := gaveUp(d)
	if before, is := i.outdated.Load(d.Name); state.observed && gaveUp && (!is || before != since) {
		state.given = verdict{fmt.Errorf("no further pod became ready within its progress deadline, %ds", *d.Spec.ProgressDeadlineSeconds)}
	}
	return state
}

// gaveUp says since when the controller of a Deployment has given up.
func gaveUp(d *appsv1.Deployment) (since int64, has bool) {
	for _, c := range d.Status.Conditions {
		if c.Type == appsv1.DeploymentProgressing && c.Reason == "ProgressDeadlineExceeded" {
			return c.LastUpdateTime.UnixNano(), true
		}
	}
	return 0, false
}

// forgive has the version's workload begin anew: a Deployment's controller goes on
// saying that it has given up when it is given another template, until a pod of that is
// ready.
func (i *Installation) forgive(ctx context.Context, v history.Version) error {
	deployment, ok := i.empty(v).(*appsv1.Deployment)
	if !ok {
		return nil
	}
	if err := i.Client.Get(ctx, client.ObjectKeyFromObject(deployment), deployment); err != nil {
		return client.IgnoreNotFound(err)
	}
	if since, gaveUp := gaveUp(deployment); gaveUp {
		i.outdated.Store(deployment.Name, since)
	}
	return nil
}

func stateOfStatefulSet(set *appsv1.StatefulSet) workloadState {
	s := set.Status
	return workloadState{
		observed: s.ObservedGeneration >= set.Generation, want: *set.Spec.Replicas,
		replicas: s.Replicas, updated: s.UpdatedReplicas, ready: s.ReadyReplicas, available: s.AvailableReplicas,
		hash: func(context.Context) (string, error) { return s.UpdateRevision, nil },
	}
}

// revision ties a Deployment to the ReplicaSet of its current template.
const revision = "deployment.kubernetes.io/revision"

func (i *Installation) replicaSetHash(ctx context.Context, deployment *appsv1.Deployment) (string, error) {
	var sets appsv1.ReplicaSetList
	selector := client.MatchingLabels{DeploymentLabel: deployment.Name}
	if err := i.Client.List(ctx, &sets, client.InNamespace(i.Namespace), selector); err != nil {
		return "", err
	}
	for _, set := range sets.Items {
		if metav1.IsControlledBy(&set, deployment) && set.Annotations[revision] == deployment.Annotations[revision] {
			return set.Labels[appsv1.DefaultDeploymentUniqueLabelKey], nil
		}
	}
	return "", nil
}

// unstick removes the pods of the other version that are not ready from a StatefulSet
// that got its template back: its controller waits for them to be ready before it
// replaces them, which they never will be.
func (i *Installation) unstick(ctx context.Context, v history.Version) error {
	if i.App.kind() != KindStatefulSet || v != history.Baseline {
		return nil
	}
	pods, err := i.pods(ctx, history.Candidate)
	if err != nil {
		return err
	}
	for _, pod := range pods {
		if !IsReady(&pod) {
			if err := client.IgnoreNotFound(i.Client.Delete(ctx, &pod)); err != nil {
				return fmt.Errorf("cannot remove pod %s, which keeps the baseline from coming back: %w", pod.Name, err)
			}
		}
	}
	return nil
}

// deploymentStrategy is how a Deployment's controller gets from one template to the next.
func (s Spec) deploymentStrategy() appsv1.DeploymentStrategy {
	if s.Strategy == "recreate" {
		return appsv1.DeploymentStrategy{Type: appsv1.RecreateDeploymentStrategyType}
	}
	return appsv1.DeploymentStrategy{
		Type:          appsv1.RollingUpdateDeploymentStrategyType,
		RollingUpdate: &appsv1.RollingUpdateDeployment{MaxSurge: s.MaxSurge.orQuarter(), MaxUnavailable: s.MaxUnavailable.orQuarter()},
	}
}

func (a *Amount) orQuarter() *intstr.IntOrString {
	if a == nil {
		return new(intstr.FromString("25%"))
	}
	return &a.IntOrString
}

func (a *Amount) zero() bool { return a.String() == "0" || a.String() == "0%" }

const (
	rolloutPatience = history.Duration(time.Minute)      // a rolling update without progress is undone
	neverGiveUp     = history.Duration(10 * time.Minute) // Kubernetes' own: others have a patience of their own
)

func (s Spec) progressDeadline() history.Duration {
	if s.Strategy != "rolling" {
		return neverGiveUp
	}
	return cmp.Or(s.ProgressDeadline, rolloutPatience)
}
