// Releaser is a release program as a team might write one with client-go: it gives the
// Deployment another template, and watches it until that is rolled out. It speaks
// protobuf with the API server. It may be run again from wherever it was stopped.
//
// Its arguments are the candidate's environment, NAME=value. From the environment it
// takes what cutover tells every procedure.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/util/retry"
)

// patience bounds the rollout.
const patience = time.Minute

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := release(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "not released:", err)
		os.Exit(1)
	}
	fmt.Println("released", os.Args[1:])
}

func release(ctx context.Context, pairs []string) error {
	template, err := newTemplate(os.Getenv("CUTOVER_CANDIDATE_IMAGE"), pairs)
	if err != nil {
		return err
	}
	client, err := connect(os.Getenv("KUBECONFIG"))
	if err != nil {
		return err
	}
	namespace, name := os.Getenv("CUTOVER_NAMESPACE"), os.Getenv("CUTOVER_SERVICE")
	var generation int64
	err = retry.RetryOnConflict(retry.DefaultRetry, func() error {
		deployment, err := client.AppsV1().Deployments(namespace).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		template.into(&deployment.Spec.Template.Spec.Containers[0])
		changed, err := client.AppsV1().Deployments(namespace).Update(ctx, deployment, metav1.UpdateOptions{})
		if err == nil {
			generation = changed.Generation
		}
		return err
	})
	if err != nil {
		return err
	}
	return rolledOut(ctx, client, namespace, name, generation)
}

func connect(kubeconfig string) (kubernetes.Interface, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, err
	}
	config.ContentType = runtime.ContentTypeProtobuf
	config.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
	return kubernetes.NewForConfig(config)
}

// template is what the candidate has of its own.
type template struct {
	image string
	env   []corev1.EnvVar
}

func newTemplate(image string, pairs []string) (template, error) {
	t := template{image: image}
	for _, pair := range pairs {
		name, value, ok := strings.Cut(pair, "=")
		if !ok {
			return t, fmt.Errorf("%q is no NAME=value", pair)
		}
		t.env = append(t.env, corev1.EnvVar{Name: name, Value: value})
	}
	return t, nil
}

func (t template) into(container *corev1.Container) { container.Image, container.Env = t.image, t.env }

// rolledOut returns when all pods are of the Deployment's new form, by an informer.
func rolledOut(ctx context.Context, client kubernetes.Interface, namespace, name string, generation int64) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	factory := informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithNamespace(namespace),
		informers.WithTweakListOptions(func(o *metav1.ListOptions) {
			o.FieldSelector = fields.OneTermEqualSelector("metadata.name", name).String()
		}))
	look := func(object any) {
		deployment, is := object.(*appsv1.Deployment)
		if !is {
			return
		}
		fmt.Println(progress(deployment))
		if isRolledOut(deployment, generation) {
			stop(errRolledOut)
		}
	}
	_, err := factory.Apps().V1().Deployments().Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: look, UpdateFunc: func(_, object any) { look(object) },
	})
	if err != nil {
		return err
	}
	factory.Start(ctx.Done())
	<-ctx.Done()
	factory.Shutdown()
	if cause := context.Cause(ctx); !errors.Is(cause, errRolledOut) {
		return fmt.Errorf("it is not rolled out: %w", cause)
	}
	return nil
}

var errRolledOut = errors.New("it is rolled out")

func isRolledOut(d *appsv1.Deployment, generation int64) bool {
	wanted, s := *d.Spec.Replicas, d.Status
	return s.ObservedGeneration >= generation && s.Replicas == wanted && s.UpdatedReplicas == wanted && s.AvailableReplicas == wanted
}

func progress(d *appsv1.Deployment) string {
	return fmt.Sprintf("%d of %d pods are new, %d are available", d.Status.UpdatedReplicas, *d.Spec.Replicas, d.Status.AvailableReplicas)
}
