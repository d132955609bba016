package conformance

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/cutover-dev/cutover/faults"
)

// Ground is a namespace with the pods of one trial, and how they are reached.
type Ground struct {
	Client    client.WithWatch
	Namespace string
	RunID     string
	Image     string // of the cutover program
	Dial      faults.Dialer
	OnNodes   faults.NodeRunner

	noted map[types.UID]note
}

// note is what a pod was like in the phase before the fault.
type note struct {
	restarts int
	inside   inside
}

const (
	port      = 9099
	container = "app"
	roleLabel = "cutover.dev/conformance"
	// startWithin bounds the start of pods.
	startWithin = time.Minute
	pollEvery   = 50 * time.Millisecond
)

// Prepare makes the namespace, so many pods of the target and the bystander, and
// returns when all of them answer.
func (g *Ground) Prepare(ctx context.Context, pods int) error {
	g.noted = map[types.UID]note{}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: g.Namespace, Labels: map[string]string{faults.RunLabel: g.RunID}}}
	if err := g.Client.Create(ctx, namespace); err != nil {
		return fmt.Errorf("make namespace %s: %w", g.Namespace, err)
	}
	for role, count := range map[Role]int{Target: pods, Bystander: 1} {
		if err := g.Client.Create(ctx, g.deployment(role, count)); err != nil {
			return fmt.Errorf("deploy the %s: %w", role, err)
		}
	}
	for role, count := range map[Role]int{Target: pods, Bystander: 1} {
		started, err := g.await(ctx, role, count)
		if err != nil {
			return err
		}
		for _, pod := range started {
			if err := g.awaitAnswer(ctx, pod); err != nil {
				return err
			}
		}
	}
	return nil
}

// Remove has the namespace deleted, with all that is in it. It does not wait for that.
func (g *Ground) Remove(ctx context.Context) error {
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: g.Namespace}}
	return client.IgnoreNotFound(g.Client.Delete(ctx, namespace))
}

func (g *Ground) deployment(role Role, count int) *appsv1.Deployment {
	labels := map[string]string{roleLabel: string(role)}
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: string(role), Namespace: g.Namespace},
		Spec: appsv1.DeploymentSpec{
			Replicas: new(int32(count)), //nolint:gosec // three at most
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec: corev1.PodSpec{
					AutomountServiceAccountToken:  new(bool),
					TerminationGracePeriodSeconds: new(int64),
					Containers: []corev1.Container{{
						Name: container, Image: g.Image, ImagePullPolicy: corev1.PullIfNotPresent, Args: []string{Command, strconv.Itoa(port)},
					}},
				},
			},
		},
	}
}

// Selector is the target's.
func (g *Ground) Selector() metav1.LabelSelector {
	return metav1.LabelSelector{MatchLabels: map[string]string{roleLabel: string(Target)}}
}

// Grow starts one more pod of the target and returns it once it has started. It need
// not answer: a fault may have it already.
func (g *Ground) Grow(ctx context.Context, there []corev1.Pod) (corev1.Pod, error) {
	var deployment appsv1.Deployment
	if err := g.Client.Get(ctx, client.ObjectKey{Namespace: g.Namespace, Name: string(Target)}, &deployment); err != nil {
		return corev1.Pod{}, err
	}
	grown := deployment.DeepCopy()
	grown.Spec.Replicas = new(*deployment.Spec.Replicas + 1)
	if err := g.Client.Patch(ctx, grown, client.MergeFrom(&deployment)); err != nil {
		return corev1.Pod{}, fmt.Errorf("have one more pod: %w", err)
	}
	born, err := g.Successors(ctx, there, 1)
	if err != nil {
		return corev1.Pod{}, err
	}
	return born[0], nil
}

// Successors are so many pods of the target that were not there, once they have
// started.
func (g *Ground) Successors(ctx context.Context, there []corev1.Pod, count int) ([]corev1.Pod, error) {
	return g.started(ctx, Target, count, func(pod corev1.Pod) bool {
		return !slices.ContainsFunc(there, func(old corev1.Pod) bool { return old.UID == pod.UID })
	})
}

// await returns the pods of a role, once there are so many and all have started.
func (g *Ground) await(ctx context.Context, role Role, count int) ([]corev1.Pod, error) {
	return g.started(ctx, role, count, func(corev1.Pod) bool { return true })
}

func (g *Ground) started(ctx context.Context, role Role, count int, wanted func(corev1.Pod) bool) ([]corev1.Pod, error) {
	var started []corev1.Pod
	var last error
	err := wait.PollUntilContextTimeout(ctx, pollEvery, startWithin, true, func(ctx context.Context) (bool, error) {
		var pods []corev1.Pod
		pods, last = g.Pods(ctx, role)
		started = slices.DeleteFunc(pods, func(pod corev1.Pod) bool {
			return !wanted(pod) || pod.Status.PodIP == "" || len(pod.Status.ContainerStatuses) == 0 || pod.Status.ContainerStatuses[0].State.Running == nil
		})
		return len(started) >= count, nil
	})
	if err != nil {
		return nil, fmt.Errorf("%d of %d pods of the %s have started: %w", len(started), count, role, cmp.Or(last, err))
	}
	return started, nil
}

// Pods of a role that are not going away.
func (g *Ground) Pods(ctx context.Context, role Role) ([]corev1.Pod, error) {
	var list corev1.PodList
	if err := g.Client.List(ctx, &list, client.InNamespace(g.Namespace), client.MatchingLabels{roleLabel: string(role)}); err != nil {
		return nil, fmt.Errorf("list the pods of the %s: %w", role, err)
	}
	return slices.DeleteFunc(list.Items, func(pod corev1.Pod) bool { return pod.DeletionTimestamp != nil }), nil
}

// healthyConnect is how soon a pod without a fault answers a connect at the latest:
// two thirds of the least delay that is tried.
const healthyConnect = 100 * time.Millisecond

// awaitAnswer returns when the pod answers as one without a fault does.
func (g *Ground) awaitAnswer(ctx context.Context, pod corev1.Pod) error {
	err := wait.PollUntilContextTimeout(ctx, pollEvery, startWithin, true, func(ctx context.Context) (bool, error) {
		bounded, cancel := context.WithTimeout(ctx, healthyConnect)
		defer cancel()
		conn, err := g.Dial(bounded, address(pod))
		if err == nil {
			conn.Close()
		}
		return err == nil, nil
	})
	if err != nil {
		return fmt.Errorf("pod %s does not answer within %s: %w", pod.Name, healthyConnect, err)
	}
	return nil
}

// heal is how long after the end of the fault each pod answers.
func (g *Ground) heal(ctx context.Context, ended time.Time, pods []corev1.Pod) []Figure {
	var figures []Figure
	for _, pod := range pods {
		f := unmeasured(Healed, "")
		if err := g.awaitAnswer(ctx, pod); err != nil {
			f.Because = err.Error()
		} else {
			f = value(Healed, max(0, time.Since(ended).Seconds()), 1)
		}
		figures = append(figures, phased(After, pod.Name, f)...)
	}
	return figures
}

func address(pod corev1.Pod) string {
	return net.JoinHostPort(pod.Status.PodIP, strconv.Itoa(port))
}

var errUnreachable = errors.New("this cluster's provider cannot run a program in its nodes' networks")
