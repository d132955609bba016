package release

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/cutover-dev/cutover/history"
)

// Recogniser tells the versions of pods that somebody else deployed. What runs an
// image of the app is of it, and the baseline if it runs it as the baseline does: with
// the same command, arguments and environment. Names and labels are the procedure's
// affair and say nothing.
type Recogniser struct {
	images   []string // of both versions
	baseline corev1.Container
}

// Recognise learns what the baseline is like from the pods that the app's Service
// selects, which must be ready, and has their hash, and from now on that of any other
// of the app's pods, known to be of the version that they are of.
func (i *Installation) Recognise(ctx context.Context) (*Recogniser, error) {
	var service corev1.Service
	if err := i.Client.Get(ctx, client.ObjectKey{Namespace: i.Namespace, Name: i.App.Service}, &service); err != nil {
		return nil, fmt.Errorf("look at the Service that users come in by: %w", err)
	}
	if len(service.Spec.Selector) == 0 {
		return nil, fmt.Errorf("the Service %s selects no pods", i.App.Service)
	}
	var pods corev1.PodList
	if err := i.Client.List(ctx, &pods, client.InNamespace(i.Namespace), client.MatchingLabels(service.Spec.Selector)); err != nil {
		return nil, fmt.Errorf("look at the pods of the baseline: %w", err)
	}
	r := &Recogniser{images: []string{i.Images[i.App.image(history.Baseline)], i.Images[i.App.image(history.Candidate)]}}
	for _, pod := range pods.Items {
		if container, ours := r.appOf(pod.Spec); ours && pod.DeletionTimestamp == nil {
			r.baseline = container
			i.Pods.Recognise(r)
			return r, nil
		}
	}
	return nil, fmt.Errorf("none of the %d pods that the Service %s selects runs an image of the app, %v: nobody could tell the versions apart", len(pods.Items), i.App.Service, r.images)
}

// AwaitServing returns when the app's Service has an endpoint that is ready.
func (i *Installation) AwaitServing(ctx context.Context) error {
	return await(ctx, func(ctx context.Context) (string, error) {
		ready, err := i.endpoints(ctx, history.Baseline)
		if err != nil || ready > 0 {
			return "", err
		}
		return fmt.Sprintf("the Service %s has no ready endpoint", i.App.Service), nil
	})
}

// Version is the version of a pod, or of a template of pods; ours is false of pods
// that are not the app's.
func (r *Recogniser) Version(spec corev1.PodSpec) (v history.Version, ours bool) {
	container, ours := r.appOf(spec)
	switch {
	case !ours:
		return history.Unattributed, false
	case alike(container, r.baseline):
		return history.Baseline, true
	}
	return history.Candidate, true
}

// appOf is the container that runs the app.
func (r *Recogniser) appOf(spec corev1.PodSpec) (corev1.Container, bool) {
	at := slices.IndexFunc(spec.Containers, func(c corev1.Container) bool { return slices.Contains(r.images, c.Image) })
	if at < 0 {
		return corev1.Container{}, false
	}
	return spec.Containers[at], true
}

func alike(a, b corev1.Container) bool {
	sorted := func(env []corev1.EnvVar) []corev1.EnvVar {
		return slices.SortedStableFunc(slices.Values(env), func(a, b corev1.EnvVar) int { return cmp.Compare(a.Name, b.Name) })
	}
	return a.Image == b.Image && slices.Equal(a.Command, b.Command) && slices.Equal(a.Args, b.Args) &&
		equality.Semantic.DeepEqual(sorted(a.Env), sorted(b.Env)) && equality.Semantic.DeepEqual(a.EnvFrom, b.EnvFrom)
}

// Reach is how many of the candidate's pods the app's Service is to lead to, by what
// the objects ask for now.
func (i *Installation) Reach(ctx context.Context, r *Recogniser) (pods int, err error) {
	var service corev1.Service
	if err := i.Client.Get(ctx, client.ObjectKey{Namespace: i.Namespace, Name: i.App.Service}, &service); client.IgnoreNotFound(err) != nil {
		return 0, err
	}
	if len(service.Spec.Selector) == 0 {
		return 0, nil
	}
	selected := labels.SelectorFromSet(service.Spec.Selector)
	count := func(replicas *int32, template corev1.PodTemplateSpec) {
		if v, ours := r.Version(template.Spec); ours && v == history.Candidate && selected.Matches(labels.Set(template.Labels)) {
			pods += int(*replicas)
		}
	}
	var deployments appsv1.DeploymentList
	var sets appsv1.StatefulSetList
	if err := i.Client.List(ctx, &deployments, client.InNamespace(i.Namespace)); err != nil {
		return 0, err
	}
	if err := i.Client.List(ctx, &sets, client.InNamespace(i.Namespace)); err != nil {
		return 0, err
	}
	for _, d := range deployments.Items {
		if d.DeletionTimestamp == nil {
			count(d.Spec.Replicas, d.Spec.Template)
		}
	}
	for _, s := range sets.Items {
		if s.DeletionTimestamp == nil {
			count(s.Spec.Replicas, s.Spec.Template)
		}
	}
	return pods, nil
}
