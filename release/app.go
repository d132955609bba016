package release

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/cutover-dev/cutover/history"
)

// Installation is an app's two versions in one namespace of a cluster. All its
// methods may be repeated.
type Installation struct {
	Client    client.Client // uncached: waiting for what a cache has not heard of yet would be waiting twice
	Namespace string
	Run       string // the run's id
	App       App
	// Images gives, for each image as the scenario names it, the reference that
	// the cluster's nodes can run.
	Images map[string]string
	// Pods learns the template hash of each version that is deployed.
	Pods *Pods
}

// Deploy brings up a version and returns once its template hash is known; its
// pods are then still starting. The Services of both versions come with either,
// so that a route to a version not deployed yet leads to no endpoint rather than
// to a name that does not exist.
func (i *Installation) Deploy(ctx context.Context, v history.Version) error {
	deployment, err := i.deployment(v)
	if err != nil {
		return err
	}
	for _, service := range i.services() {
		if err := apply(ctx, i.Client, service); err != nil {
			return err
		}
	}
	if err := apply(ctx, i.Client, deployment); err != nil {
		return err
	}
	return i.learn(ctx, v)
}

// learn waits for the ReplicaSet that carries the Deployment's current template.
func (i *Installation) learn(ctx context.Context, v history.Version) error {
	err := await(ctx, func(ctx context.Context) (string, error) {
		deployment, err := i.get(ctx, v)
		if err != nil {
			return "", err
		}
		if deployment.Status.ObservedGeneration < deployment.Generation {
			return "its newest form was not observed by the Deployment controller", nil
		}
		hash, err := i.templateHash(ctx, deployment)
		if err != nil || hash == "" {
			return "it has no ReplicaSet", err
		}
		i.Pods.Learn(hash, v)
		return "", nil
	})
	if err != nil {
		return fmt.Errorf("cannot tell the pods of Deployment %s from others: %w: is the controller manager running?", i.App.Workload(v), err)
	}
	return nil
}

// revision ties a Deployment to the ReplicaSet of its current template.
const revision = "deployment.kubernetes.io/revision"

func (i *Installation) templateHash(ctx context.Context, deployment *appsv1.Deployment) (string, error) {
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

// Retire scales a version to nothing and waits until its pods are gone, drained.
// A version that was never deployed is retired already.
func (i *Installation) Retire(ctx context.Context, v history.Version) error {
	err := await(ctx, func(ctx context.Context) (string, error) {
		deployment := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: i.Namespace, Name: i.App.Workload(v)}}
		none := client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"replicas":0}}`))
		return "", client.IgnoreNotFound(i.Client.Patch(ctx, deployment, none, fieldOwner))
	})
	if err == nil {
		err = i.awaitGone(ctx, v)
	}
	if err != nil {
		return fmt.Errorf("cannot retire the %s: %w", v, err)
	}
	return nil
}

// Delete removes both versions and their Services, and waits until the pods are
// gone.
func (i *Installation) Delete(ctx context.Context) error {
	var objects []client.Object
	for _, v := range []history.Version{history.Baseline, history.Candidate} {
		objects = append(objects, &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: i.Namespace, Name: i.App.Workload(v)}})
	}
	for _, service := range i.services() {
		objects = append(objects, service)
	}
	for _, object := range objects {
		err := await(ctx, func(ctx context.Context) (string, error) {
			return "", client.IgnoreNotFound(i.Client.Delete(ctx, object, client.PropagationPolicy(metav1.DeletePropagationBackground)))
		})
		if err != nil {
			return fmt.Errorf("cannot delete %s/%s: %w", i.Namespace, object.GetName(), err)
		}
	}
	for _, v := range []history.Version{history.Baseline, history.Candidate} {
		if err := i.awaitGone(ctx, v); err != nil {
			return err
		}
	}
	return nil
}

func (i *Installation) awaitGone(ctx context.Context, v history.Version) error {
	return await(ctx, func(ctx context.Context) (string, error) {
		pods, err := i.pods(ctx, v)
		if err != nil || len(pods) == 0 {
			return "", err
		}
		return fmt.Sprintf("pod %s and %d more of the %s are still there", pods[0].Name, len(pods)-1, v), nil
	})
}

func (i *Installation) get(ctx context.Context, v history.Version) (*appsv1.Deployment, error) {
	deployment := &appsv1.Deployment{}
	key := client.ObjectKey{Namespace: i.Namespace, Name: i.App.Workload(v)}
	return deployment, i.Client.Get(ctx, key, deployment)
}

func (i *Installation) pods(ctx context.Context, v history.Version) ([]corev1.Pod, error) {
	var pods corev1.PodList
	selector := client.MatchingLabels{DeploymentLabel: i.App.Workload(v)}
	err := i.Client.List(ctx, &pods, client.InNamespace(i.Namespace), selector)
	return pods.Items, err
}
