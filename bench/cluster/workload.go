package main

import (
	"context"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	namespace = "default"
	appLabel  = "app"
	replicas  = 3
)

// workload is what a round runs in a cluster: pods of apps/shop.
type workload struct {
	client client.WithWatch
	image  string // its reference in the cluster
}

func (w *workload) firstPod(ctx context.Context) (ready time.Time, err error) {
	const name = "first"
	// A pod is refused until its namespace has an account for it.
	if _, err := await(ctx, w.client, &corev1.ServiceAccountList{}, named[*corev1.ServiceAccount]("default"), client.InNamespace(namespace)); err != nil {
		return ready, err
	}
	pod := &corev1.Pod{ObjectMeta: w.meta(name), Spec: w.pod()}
	if err := w.client.Create(ctx, pod); err != nil {
		return ready, err
	}
	return await(ctx, w.client, &corev1.PodList{}, isReady, w.labelled(name)...)
}

func named[T client.Object](name string) func(T) bool {
	return func(object T) bool { return object.GetName() == name }
}

// deploy creates a Deployment and says how many seconds it took to be Ready.
func (w *workload) deploy(ctx context.Context) (float64, error) {
	deployment := w.deployment()
	began := time.Now()
	if err := w.client.Create(ctx, deployment); err != nil {
		return 0, err
	}
	at, err := await(ctx, w.client, &appsv1.DeploymentList{}, func(d *appsv1.Deployment) bool {
		return d.Status.ReadyReplicas == replicas
	}, w.labelled(deployment.Name)...)
	return at.Sub(began).Seconds(), err
}

// kill deletes a pod of the Deployment at once and says how many seconds it took to
// have another one in its place.
func (w *workload) kill(ctx context.Context) (float64, error) {
	selected := w.labelled(w.deployment().Name)
	var pods corev1.PodList
	if err := w.client.List(ctx, &pods, selected...); err != nil {
		return 0, err
	}
	if len(pods.Items) != replicas {
		return 0, fmt.Errorf("there are %d pods to kill one of, %d were deployed", len(pods.Items), replicas)
	}
	before := map[types.UID]bool{}
	for _, pod := range pods.Items {
		before[pod.UID] = true
	}
	began := time.Now()
	if err := w.client.Delete(ctx, &pods.Items[0], client.GracePeriodSeconds(0)); err != nil {
		return 0, err
	}
	at, err := await(ctx, w.client, &corev1.PodList{}, func(pod *corev1.Pod) bool { return !before[pod.UID] && isReady(pod) }, selected...)
	return at.Sub(began).Seconds(), err
}

// remove deletes all and returns when the pods are gone.
func (w *workload) remove(ctx context.Context) error {
	if err := w.client.Delete(ctx, w.deployment(), client.PropagationPolicy(metav1.DeletePropagationForeground)); err != nil {
		return err
	}
	if err := w.client.Delete(ctx, &corev1.Pod{ObjectMeta: w.meta("first")}); err != nil {
		return err
	}
	return awaitNone[*corev1.Pod](ctx, w.client, &corev1.PodList{}, client.InNamespace(namespace))
}

// dns returns when a pod of the cluster's DNS is Ready.
func (w *workload) dns(ctx context.Context) (time.Time, error) {
	return await(ctx, w.client, &corev1.PodList{}, isReady, client.InNamespace("kube-system"), client.MatchingLabels{"k8s-app": "kube-dns"})
}

func isReady(pod *corev1.Pod) bool {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodReady {
			return condition.Status == corev1.ConditionTrue
		}
	}
	return false
}

func (w *workload) deployment() *appsv1.Deployment {
	meta := w.meta("shop")
	return &appsv1.Deployment{ObjectMeta: meta, Spec: appsv1.DeploymentSpec{
		Replicas: new(int32(replicas)),
		Selector: &metav1.LabelSelector{MatchLabels: meta.Labels},
		Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: meta.Labels}, Spec: w.pod()},
	}}
}

func (w *workload) meta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{appLabel: name}}
}

func (w *workload) labelled(name string) []client.ListOption {
	return []client.ListOption{client.InNamespace(namespace), client.MatchingLabels{appLabel: name}}
}

func (w *workload) pod() corev1.PodSpec {
	return corev1.PodSpec{
		AutomountServiceAccountToken: new(false),
		EnableServiceLinks:           new(false),
		Containers: []corev1.Container{{
			Name: "shop", Image: w.image, ImagePullPolicy: corev1.PullIfNotPresent,
			ReadinessProbe: &corev1.Probe{PeriodSeconds: 1, ProbeHandler: corev1.ProbeHandler{
				HTTPGet: &corev1.HTTPGetAction{Path: "/ready", Port: intstr.FromInt32(8080)}}},
		}},
	}
}
