package release

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/cutover-dev/cutover/history"
)

// hopeless are the reasons for which a container waits that do not go away by
// themselves within a release.
var hopeless = []string{
	"ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName",
	"CreateContainerConfigError", "CrashLoopBackOff",
}

// AwaitReady waits until the version is rolled out to its last replica and its
// Service has that many ready endpoints. It gives up early on pods that cannot
// start, and says what the pods and their events say.
func (i *Installation) AwaitReady(ctx context.Context, v history.Version) error {
	return i.awaitPods(ctx, v, "not ready", func(ctx context.Context) (string, error) { return i.missing(ctx, v) })
}

// AwaitPods waits until n pods of the version are ready, and gives up like
// [Installation.AwaitReady].
func (i *Installation) AwaitPods(ctx context.Context, v history.Version, n int) error {
	return i.awaitPods(ctx, v, fmt.Sprintf("not ready in %d pods", n), func(ctx context.Context) (string, error) {
		state, err := i.look(ctx, v)
		if err != nil || state.given != nil {
			return "", cmp.Or(err, state.given)
		}
		pods, err := i.pods(ctx, v)
		if err != nil {
			return "", err
		}
		ready := 0
		for _, pod := range pods {
			if pod.DeletionTimestamp == nil && IsReady(&pod) {
				ready++
			}
		}
		if ready < n {
			return fmt.Sprintf("%d of %d pods are ready", ready, n), nil
		}
		return "", nil
	})
}

func (i *Installation) awaitPods(ctx context.Context, v history.Version, what string, look func(context.Context) (string, error)) error {
	err := await(ctx, func(ctx context.Context) (string, error) {
		missing, err := look(ctx)
		if err != nil || missing == "" {
			return "", err
		}
		pods, err := i.pods(ctx, v)
		if err != nil {
			return "", err
		}
		return missing, stuck(pods)
	})
	if err == nil {
		return nil
	}
	return fmt.Errorf("the %s (%s) is %s: %w%s", v, i.named(v), what, err, i.complaints(ctx, v))
}

// missing says what keeps the version from being ready; "" if nothing does.
func (i *Installation) missing(ctx context.Context, v history.Version) (string, error) {
	state, err := i.look(ctx, v)
	switch {
	case err != nil:
		return "", err
	case state.given != nil:
		return "", state.given
	case !state.observed:
		return "its newest form was not observed by its controller", nil
	case state.replicas != state.want || state.updated != state.want || state.ready != state.want || state.available != state.want:
		return fmt.Sprintf("%d of %d pods are ready", min(state.ready, state.updated), state.want), nil
	}
	ready, err := i.endpoints(ctx, v)
	if err != nil || ready == int(state.want) {
		return "", err
	}
	return fmt.Sprintf("Service %s has %d of %d ready endpoints", i.front(v), ready, state.want), nil
}

func (i *Installation) endpoints(ctx context.Context, v history.Version) (ready int, err error) {
	return i.endpointsOf(ctx, i.front(v))
}

func (i *Installation) endpointsOf(ctx context.Context, service string) (ready int, err error) {
	var slices discoveryv1.EndpointSliceList
	selector := client.MatchingLabels{discoveryv1.LabelServiceName: service}
	if err := i.Client.List(ctx, &slices, client.InNamespace(i.Namespace), selector); err != nil {
		return 0, err
	}
	addresses := map[string]bool{} // an endpoint can stand in two slices while it moves
	for _, slice := range slices.Items {
		for _, endpoint := range slice.Endpoints {
			if endpoint.Conditions.Ready != nil && *endpoint.Conditions.Ready && len(endpoint.Addresses) > 0 {
				addresses[endpoint.Addresses[0]] = true
			}
		}
	}
	return len(addresses), nil
}

// stuck returns a verdict if a pod waits for something that will not happen.
func stuck(pods []corev1.Pod) error {
	for _, pod := range pods {
		for _, status := range pod.Status.ContainerStatuses {
			if waiting := status.State.Waiting; waiting != nil && isHopeless(*waiting) {
				return verdict{fmt.Errorf("pod %s cannot start: %s: %s", pod.Name, waiting.Reason, remedy(status))}
			}
		}
	}
	return nil
}

// wrongImage is what a node says of an image that no second attempt makes right. Other
// containers that cannot be created may be, when the node is less busy.
var wrongImage = []string{"no command specified", "unable to find user", "no users found", "no matching entries in passwd file", "lstat etc: file does not exist"}

func isHopeless(waiting corev1.ContainerStateWaiting) bool {
	says := func(words string) bool { return strings.Contains(waiting.Message, words) }
	return slices.Contains(hopeless, waiting.Reason) || slices.ContainsFunc(wrongImage, says)
}

// remedy is one line: where lines are cut, the first one has to be enough.
func remedy(status corev1.ContainerStatus) string {
	switch status.State.Waiting.Reason {
	case "CreateContainerError":
		return "what its image says of its command or its user cannot be followed; give app.command, or make the image say a user by number"
	case "CrashLoopBackOff":
		return keepsEnding(status.LastTerminationState.Terminated)
	case "CreateContainerConfigError":
		return "its configuration refers to something that does not exist"
	default:
		return "its image is not on the node and cannot be pulled; load it, or correct the reference"
	}
}
