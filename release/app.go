package release

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
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
	Spec      Spec
	Layout    Layout // [Spec.Layout]
	// Images gives, for each image as the scenario names it, the reference that
	// the cluster's nodes can run.
	Images map[string]string
	// Pods learns the template hash of each version that is deployed.
	Pods *Pods

	third atomic.Bool // the third version has arrived
	// outdated is when a Deployment's controller had given up, by the Deployment's name,
	// on a template that is none of its any more.
	outdated sync.Map
}

// Deploy asks for a version and returns once its template hash is known; its pods are
// then still starting. In place it is the workload's template that changes. The
// Services of both versions come with either, so that a route to a version not
// deployed yet leads to no endpoint rather than to a name that does not exist.
func (i *Installation) Deploy(ctx context.Context, v history.Version) error {
	workload, err := i.manifest(v)
	if err != nil {
		return err
	}
	for _, service := range i.services() {
		if err := apply(ctx, i.Client, service); err != nil {
			return err
		}
	}
	if err := i.forgive(ctx, v); err != nil {
		return err
	}
	if err := apply(ctx, i.Client, workload); err != nil {
		return err
	}
	if err := i.learn(ctx, v); err != nil {
		return err
	}
	return i.unstick(ctx, v)
}

// learn waits for the revision that carries the workload's current template.
func (i *Installation) learn(ctx context.Context, v history.Version) error {
	err := await(ctx, func(ctx context.Context) (string, error) {
		state, err := i.look(ctx, v)
		if err != nil {
			return "", err
		}
		if !state.observed {
			return "its newest form was not observed by its controller", nil
		}
		hash, err := state.hash(ctx)
		if err != nil || hash == "" {
			return "it has no revision", err
		}
		if !i.Pods.Learn(hash, v) {
			return "its revision is still that of the other version", nil // recreated: nothing new before all the old is gone
		}
		return "", nil
	})
	if err != nil {
		return fmt.Errorf("cannot tell the pods of %s from others: %w: is the controller manager running?", i.named(v), err)
	}
	return nil
}

// Supersede deploys the third version in place of the candidate.
func (i *Installation) Supersede(ctx context.Context) error {
	i.third.Store(true)
	workload, err := i.manifest(history.Candidate)
	if err != nil {
		return err
	}
	// Whoever does so knows of no shares and partitions: they stay as they are.
	template := map[string]any{"spec": map[string]any{"template": templateOf(workload)}}
	patch, err := json.Marshal(template)
	if err != nil {
		return err
	}
	err = await(ctx, func(ctx context.Context) (string, error) {
		return "", i.Client.Patch(ctx, i.empty(history.Candidate), client.RawPatch(types.StrategicMergePatchType, patch), fieldOwner)
	})
	if err != nil {
		return fmt.Errorf("the third version cannot be deployed: %w", err)
	}
	return i.learn(ctx, history.Candidate)
}

// Arrivals is 1 once the third version has taken the candidate's place, and 0 before.
func (i *Installation) Arrivals() int {
	if i.third.Load() {
		return 1
	}
	return 0
}

// Replicas is how many pods a version has when it serves alone.
func (i *Installation) Replicas(v history.Version) int { return int(i.App.replicas(v)) }

// Retire scales a version to nothing and waits until its pods are gone, drained.
// A version that was never deployed is retired already.
func (i *Installation) Retire(ctx context.Context, v history.Version) error {
	err := await(ctx, func(ctx context.Context) (string, error) {
		return "", client.IgnoreNotFound(i.scale(ctx, v, 0))
	})
	if err == nil {
		err = i.AwaitGone(ctx, v)
	}
	if err != nil {
		return fmt.Errorf("cannot retire the %s: %w", v, err)
	}
	return nil
}

// AwaitGone waits until no pod of a version is left.
func (i *Installation) AwaitGone(ctx context.Context, v history.Version) error {
	return await(ctx, func(ctx context.Context) (string, error) {
		pods, err := i.pods(ctx, v)
		if err != nil || len(pods) == 0 {
			return "", err
		}
		return fmt.Sprintf("pod %s and %d more of the %s are still there", pods[0].Name, len(pods)-1, v), nil
	})
}

// pods lists the pods of a version.
func (i *Installation) pods(ctx context.Context, v history.Version) ([]corev1.Pod, error) {
	var pods corev1.PodList
	selector := client.MatchingLabels(i.only(v))
	if err := i.Client.List(ctx, &pods, client.InNamespace(i.Namespace), selector); err != nil || !i.Layout.InPlace {
		return pods.Items, err
	}
	return slices.DeleteFunc(pods.Items, func(pod corev1.Pod) bool { return i.Pods.versionOf(&pod) != v }), nil
}
