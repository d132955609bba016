package experiment

import (
	"context"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/sync/errgroup"
	appsv1 "k8s.io/api/apps/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/cutover-dev/cutover/cluster/chaosmesh"
	"github.com/cutover-dev/cutover/cluster/embedded/components"
	"github.com/cutover-dev/cutover/cluster/gateway"
	"github.com/cutover-dev/cutover/cluster/image"
	"github.com/cutover-dev/cutover/cluster/provider"
	"github.com/cutover-dev/cutover/faults"
	"github.com/cutover-dev/cutover/faults/agent"
)

// Platform is what runs need in a cluster beside Kubernetes itself.
type Platform struct {
	Serving faults.Serving // who can inject which fault
	Image   string         // of the agent; the drill's pod runs it too
	// Executable is the cutover program itself.
	Executable string
}

// String says who is there.
func (p Platform) String() string {
	if p.Serving.ChaosMesh {
		return "gateway, Chaos Mesh and agent"
	}
	return "gateway and agent"
}

// Install puts the gateway, Chaos Mesh where the cluster is of a sort that has it, and
// the node agent into a cluster, and returns when all are ready. What is there already
// is left as it is. executable is the cutover program itself, which the agent's image
// is made of, with the libraries it needs.
func Install(ctx context.Context, c provider.Cluster, executable string) (Platform, error) {
	client, err := NewClient(c.REST())
	if err != nil {
		return Platform{}, err
	}
	agentImage, err := image.FromBinary(ctx, "cutover", executable, nil)
	if err != nil {
		return Platform{}, err
	}
	ctx, stop := whileAlive(ctx, c)
	defer stop()
	platform := Platform{Image: agentImage.Ref, Executable: executable}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return installGateway(ctx, c, client) })
	group.Go(func() error { return c.LoadImage(ctx, agentImage.Ref, agentImage.Image) })
	group.Go(func() (err error) {
		if err := installChaosMesh(ctx, c); err != nil {
			return err
		}
		if platform.Serving, err = survey(ctx, client, c); err != nil {
			return err
		}
		platform.Serving.Agent = true // from here on, or there is an error
		// Its pods wait for their image.
		return installAgent(ctx, client, agentImage.Ref, platform.Serving.AgentGroup())
	})
	return platform, group.Wait()
}

func installGateway(ctx context.Context, c provider.Cluster, client client.Client) error {
	traefik, err := image.FromBinary(ctx, "traefik", c.Programs().Path("traefik"), nil)
	if err != nil {
		return err
	}
	facts, err := c.Facts(ctx)
	if err != nil {
		return err
	}
	if err := c.LoadImage(ctx, traefik.Ref, traefik.Image); err != nil {
		return err
	}
	definitions, err := gateway.Definitions(c.Programs().Path(components.GatewayAPI), c.Programs().Path(components.TraefikAPI))
	if err != nil {
		return err
	}
	if err := gateway.Install(ctx, client, definitions, traefik.Ref, facts.OnlyRoot); err != nil {
		return err
	}
	_, _, _, err = gateway.Endpoint(ctx, client)
	return err
}

func installChaosMesh(ctx context.Context, c provider.Cluster) error {
	source, wanted, err := c.ChaosMesh()
	if err != nil || !wanted {
		return err
	}
	return chaosmesh.Install(ctx, c, source, chaosmesh.Options{})
}

// installAgent has the agent serve the one API group that it is to serve.
func installAgent(ctx context.Context, c client.Client, image, group string) error {
	for _, crd := range faults.CRDs(group) {
		if err := c.Create(ctx, crd); err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("install the chaos definitions: %w", err)
		}
	}
	for _, object := range agent.Manifests(image, group) {
		if err := c.Create(ctx, object); err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("install the node agent: %T %s: %w", object, object.GetName(), err)
		}
	}
	return awaitAgent(ctx, c, group)
}

// awaitAgent returns when every node has an agent that runs.
func awaitAgent(ctx context.Context, c client.Client, group string) error {
	var set appsv1.DaemonSet
	var selector client.ObjectKey
	for _, object := range agent.Manifests("", group) {
		if _, is := object.(*appsv1.DaemonSet); is {
			selector = client.ObjectKeyFromObject(object)
		}
	}
	err := wait.PollUntilContextCancel(ctx, 100*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		if err := c.Get(ctx, selector, &set); err != nil {
			return false, client.IgnoreNotFound(err)
		}
		return set.Status.DesiredNumberScheduled > 0 && set.Status.NumberReady == set.Status.DesiredNumberScheduled, nil
	})
	if err != nil {
		return fmt.Errorf("the node agent is ready on %d of %d nodes: %w", set.Status.NumberReady, set.Status.DesiredNumberScheduled, err)
	}
	for _, variable := range set.Spec.Template.Spec.Containers[0].Env {
		if variable.Name == agent.GroupVariable && variable.Value != group {
			return fmt.Errorf("the node agent of this cluster serves the objects of %s, and here they must be of %s, for Chaos Mesh has come or gone since: "+
				"delete namespace %s, and it is installed anew", variable.Value, group, agent.Namespace)
		}
	}
	return nil
}

// NewClient makes a client of every kind that a run handles, but for chaos objects:
// those are of several API groups, and package faults knows how to handle them.
func NewClient(config *rest.Config) (client.WithWatch, error) {
	// What goes wrong comes back as an error: the library's own log has nothing to add.
	log.SetLogger(logr.Discard())
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, apiextensionsv1.AddToScheme, gatewayv1.Install} {
		if err := add(scheme); err != nil {
			return nil, err
		}
	}
	return client.NewWithWatch(config, client.Options{Scheme: scheme})
}
