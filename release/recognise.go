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
	proxied  bool
}

// Proxied reports whether users come in to a proxy of the user's own: what answered
// them is then known from the answers alone.
func (r *Recogniser) Proxied() bool { return r.proxied }

// Recognise learns what the baseline is like from the pods that users come in to, and
// has their hash, and from now on that of any other of the app's pods, known to be of
// the version that they are of. If none of those is the app's, they are a proxy of the
// user's own, and all of the app's pods in the namespace are the baseline.
func (i *Installation) Recognise(ctx context.Context) (*Recogniser, error) {
	ways, err := i.waysIn(ctx)
	if err != nil {
		return nil, err
	}
	var entered []corev1.Pod
	for _, way := range ways {
		if way.share == 0 {
			continue
		}
		selector, err := i.selector(ctx, way.service)
		if err != nil {
			return nil, err
		}
		pods, err := i.selected(ctx, selector)
		if err != nil {
			return nil, err
		}
		entered = append(entered, pods...)
	}
	r := &Recogniser{images: []string{i.Images[i.App.image(history.Baseline)], i.Images[i.App.image(history.Candidate)]}}
	found, err := r.learn(entered)
	if err == nil && !found && len(entered) > 0 {
		r.proxied = true
		var all []corev1.Pod
		if all, err = i.selected(ctx, labels.Everything()); err == nil {
			found, err = r.learn(all)
		}
	}
	switch {
	case err != nil:
		return nil, err
	case !found:
		return nil, fmt.Errorf("neither one of the %d pods that users come in to, by the Services %v, nor one behind them runs an image of the app, %v: nobody could tell the versions apart", len(entered), ways, r.images)
	}
	i.Pods.Recognise(r)
	return r, nil
}

func (i *Installation) selected(ctx context.Context, selector labels.Selector) ([]corev1.Pod, error) {
	var pods corev1.PodList
	if err := i.Client.List(ctx, &pods, client.InNamespace(i.Namespace), client.MatchingLabelsSelector{Selector: selector}); err != nil {
		return nil, fmt.Errorf("look at the pods of the baseline: %w", err)
	}
	return pods.Items, nil
}

// learn takes the app in these pods for the baseline, if it is in any. They must run it
// alike.
func (r *Recogniser) learn(pods []corev1.Pod) (found bool, err error) {
	var first string
	for _, pod := range pods {
		container, ours := r.appOf(pod.Spec)
		switch {
		case !ours || pod.DeletionTimestamp != nil:
		case first == "":
			first, r.baseline = pod.Name, container
		case !alike(container, r.baseline):
			return false, fmt.Errorf("the pods %s and %s run the app in different ways, and nobody could tell which is the baseline: deploy no other before the release", first, pod.Name)
		}
	}
	return first != "", nil
}

// selector is what a Service selects, which is nothing if there is no such Service.
func (i *Installation) selector(ctx context.Context, name string) (labels.Selector, error) {
	var service corev1.Service
	err := i.Client.Get(ctx, client.ObjectKey{Namespace: i.Namespace, Name: name}, &service)
	switch {
	case client.IgnoreNotFound(err) != nil:
		return nil, fmt.Errorf("look at a Service that users come in by: %w", err)
	case len(service.Spec.Selector) == 0:
		return labels.Nothing(), nil
	}
	return labels.SelectorFromSet(service.Spec.Selector), nil
}

// AwaitServing returns when a Service that users come in by has an endpoint that is
// ready.
func (i *Installation) AwaitServing(ctx context.Context) error {
	return await(ctx, func(ctx context.Context) (string, error) {
		ways, err := i.waysIn(ctx)
		if err != nil {
			return "", err
		}
		for _, way := range ways {
			if ready, err := i.endpointsOf(ctx, way.service); err != nil || way.share > 0 && ready > 0 {
				return "", err
			}
		}
		return fmt.Sprintf("none of the Services that users come in by has a ready endpoint: %v", ways), nil
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

// Reach is the share of the users, between 0 and 1, that the candidate's pods are to
// get, by what the objects ask for now.
func (i *Installation) Reach(ctx context.Context, r *Recogniser) (share float64, err error) {
	ways, err := i.waysIn(ctx)
	if err != nil {
		return 0, err
	}
	asked, err := i.askedFor(ctx, r)
	if err != nil {
		return 0, err
	}
	for _, way := range ways {
		selector, err := i.selector(ctx, way.service)
		if err != nil {
			return 0, err
		}
		pods := map[history.Version]int32{}
		for _, w := range asked {
			if selector.Matches(w.labels) {
				pods[w.version] += w.pods
			}
		}
		if pods[history.Candidate] > 0 {
			share += way.share * float64(pods[history.Candidate]) / float64(pods[history.Baseline]+pods[history.Candidate])
		}
	}
	return share, nil
}

// workload is so many pods of a version, with the same labels.
type workload struct {
	version history.Version
	labels  labels.Set
	pods    int32
}

// askedFor are the app's pods that Deployments and StatefulSets are to have.
func (i *Installation) askedFor(ctx context.Context, r *Recogniser) (all []workload, err error) {
	count := func(o client.Object, replicas *int32, template corev1.PodTemplateSpec) {
		if v, ours := r.Version(template.Spec); ours && o.GetDeletionTimestamp() == nil {
			all = append(all, workload{v, template.Labels, *replicas})
		}
	}
	var deployments appsv1.DeploymentList
	var sets appsv1.StatefulSetList
	if err := i.Client.List(ctx, &deployments, client.InNamespace(i.Namespace)); err != nil {
		return nil, err
	}
	if err := i.Client.List(ctx, &sets, client.InNamespace(i.Namespace)); err != nil {
		return nil, err
	}
	for _, d := range deployments.Items {
		count(&d, d.Spec.Replicas, d.Spec.Template)
	}
	for _, s := range sets.Items {
		count(&s, s.Spec.Replicas, s.Spec.Template)
	}
	return all, nil
}
