package chaosmesh

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/chaos-mesh/chaos-mesh/api/v1alpha1"
	"github.com/go-logr/logr"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	runtimeclient "sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

// client reaches the kinds that this package looks at.
type client = runtimeclient.Client

func newClient(config *rest.Config) (client, error) {
	// What goes wrong comes back as an error: the library's own log has nothing to add.
	log.SetLogger(logr.Discard())
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, apiextensionsv1.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, err
		}
	}
	return runtimeclient.New(config, runtimeclient.Options{Scheme: scheme})
}

// The chart's labels, which are the same under every name of a release.
const (
	nameLabel       = "app.kubernetes.io/name"
	componentLabel  = "app.kubernetes.io/component"
	versionLabel    = "app.kubernetes.io/version"
	controllerLabel = "controller-manager"
	daemonLabel     = "chaos-daemon"
)

func component(name string) runtimeclient.MatchingLabels {
	return runtimeclient.MatchingLabels{nameLabel: chartName, componentLabel: name}
}

// Installed returns the version of the Chaos Mesh in a cluster, whoever installed it
// and whether it is ready or not; "" if there is none. Definitions alone are none:
// other programs than Chaos Mesh serve its kinds, cutover's agent among them.
func Installed(ctx context.Context, c client) (version string, err error) {
	controller, err := findController(ctx, c)
	if controller == nil || err != nil {
		return "", err
	}
	version = controller.Labels[versionLabel]
	if version == "" {
		version = "unknown"
	}
	return version, nil
}

// findController returns nil if there is none.
func findController(ctx context.Context, c client) (*appsv1.Deployment, error) {
	var found appsv1.DeploymentList
	if err := c.List(ctx, &found, component(controllerLabel)); err != nil {
		return nil, err
	}
	if len(found.Items) == 0 {
		return nil, nil
	}
	return &found.Items[0], nil
}

const lookEvery = 200 * time.Millisecond

// awaitReady returns when Chaos Mesh can be used. If it never can, the error says
// what was missing last.
func awaitReady(ctx context.Context, c client) error {
	var last error
	err := wait.PollUntilContextCancel(ctx, lookEvery, true, func(ctx context.Context) (bool, error) {
		if err := ready(ctx, c); ctx.Err() == nil {
			last = err
		}
		return last == nil, nil
	})
	if err == nil {
		return nil
	}
	return fmt.Errorf("waiting for Chaos Mesh: %w; last: %w", context.Cause(ctx), last)
}

// ready returns what is missing.
func ready(ctx context.Context, c client) error {
	controller, err := findController(ctx, c)
	if err != nil {
		return err
	}
	if controller == nil {
		return errors.New("its controller is not there")
	}
	for _, check := range []func(context.Context, client, string) error{definitionsServed, controllerReady, daemonsReady, webhooksAnswer} {
		if err := check(ctx, c, controller.Namespace); err != nil {
			return err
		}
	}
	return nil
}

// served are the kinds that a fault needs.
var served = []string{"podchaos", "networkchaos", "stresschaos", "podnetworkchaos"}

func definitionsServed(ctx context.Context, c client, _ string) error {
	for _, plural := range served {
		var definition apiextensionsv1.CustomResourceDefinition
		if err := c.Get(ctx, runtimeclient.ObjectKey{Name: plural + "." + v1alpha1.SchemeGroupVersion.Group}, &definition); err != nil {
			return err
		}
		established := false
		for _, condition := range definition.Status.Conditions {
			established = established || condition.Type == apiextensionsv1.Established && condition.Status == apiextensionsv1.ConditionTrue
		}
		if !established {
			return fmt.Errorf("%s is not served yet", definition.Name)
		}
	}
	return nil
}

func controllerReady(ctx context.Context, c client, namespace string) error {
	controller, err := findController(ctx, c)
	if err != nil {
		return err
	}
	if controller == nil || controller.Status.ReadyReplicas == 0 {
		return fmt.Errorf("its controller is not ready%s", complaint(ctx, c, namespace, controllerLabel))
	}
	return nil
}

// daemonsReady wants a daemon on every node: there is no telling where the pods that
// are to suffer will run.
func daemonsReady(ctx context.Context, c client, namespace string) error {
	var nodes corev1.NodeList
	if err := c.List(ctx, &nodes); err != nil {
		return err
	}
	var daemons appsv1.DaemonSetList
	if err := c.List(ctx, &daemons, component(daemonLabel), runtimeclient.InNamespace(namespace)); err != nil {
		return err
	}
	ready := 0
	for _, daemon := range daemons.Items {
		ready += int(daemon.Status.NumberReady)
	}
	if ready < len(nodes.Items) || ready == 0 {
		return fmt.Errorf("its daemon is ready on %d of %d nodes%s", ready, len(nodes.Items), complaint(ctx, c, namespace, daemonLabel))
	}
	return nil
}

// complaint says what keeps the component's pods, if they say.
func complaint(ctx context.Context, c client, namespace, name string) string {
	var pods corev1.PodList
	if err := c.List(ctx, &pods, component(name), runtimeclient.InNamespace(namespace)); err != nil {
		return ""
	}
	var said []string
	for _, pod := range pods.Items {
		for _, container := range pod.Status.ContainerStatuses {
			if waiting := container.State.Waiting; waiting != nil {
				said = append(said, fmt.Sprintf("%s on %s: %s %s", pod.Name, pod.Spec.NodeName, waiting.Reason, waiting.Message))
			}
		}
	}
	if len(said) == 0 {
		return ""
	}
	return " (" + strings.Join(said, "; ") + ")"
}

// webhooksAnswer asks for a fault that is never made, in the words that are left out
// most often: only the webhook knows what is meant.
func webhooksAnswer(ctx context.Context, c client, namespace string) error {
	probe := &v1alpha1.NetworkChaos{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, GenerateName: "cutover-probe-"},
		Spec: v1alpha1.NetworkChaosSpec{
			PodSelector: v1alpha1.PodSelector{Mode: v1alpha1.AllMode, Selector: v1alpha1.PodSelectorSpec{GenericSelectorSpec: v1alpha1.GenericSelectorSpec{
				Namespaces: []string{namespace}, LabelSelectors: map[string]string{"cutover.dev/probe": "nobody"},
			}}},
			Action:      v1alpha1.DelayAction,
			TcParameter: v1alpha1.TcParameter{Delay: &v1alpha1.DelaySpec{Latency: "1ms"}},
		},
	}
	if err := c.Create(ctx, probe, runtimeclient.DryRunAll); err != nil {
		return fmt.Errorf("its webhooks do not answer: %w", err)
	}
	if probe.Spec.Delay.Jitter != v1alpha1.DefaultJitter {
		return errors.New("its webhooks do not complete what is asked for")
	}
	return nil
}
