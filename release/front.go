package release

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/cutover-dev/cutover/history"
)

// Front is a container that takes a version's traffic in place of the app, in the
// same pod, and passes it on: to the app's own port, on the loopback. No scenario
// writes it.
type Front struct {
	Image  string // a reference that the nodes can run
	Args   []string
	Port   int   // it listens on; none of the app's
	Memory int64 // its limit in bytes; 0 for none
}

// frontName is the front's container, appPort what the app's http port is called
// behind it: a Service finds a port by its name.
const (
	frontName = "front"
	appPort   = "app-http"
)

// ServingPort is the port of a version's pods that carries the load.
func (a App) ServingPort(v history.Version) int {
	if front := a.variant(v).Front; front != nil {
		return front.Port
	}
	return a.Ports[httpPort]
}

// containers are those of a version's pods: the app, and what stands in front of it.
// The pod is ready when the app answers through that.
func (a App) containers(v history.Version, image string) []corev1.Container {
	app := a.container(v, image)
	front := a.variant(v).Front
	if front == nil {
		return []corev1.Container{app}
	}
	before := corev1.Container{
		Name: frontName, Image: front.Image, ImagePullPolicy: corev1.PullIfNotPresent, Args: front.Args,
		Ports:          []corev1.ContainerPort{{Name: httpPort, ContainerPort: int32(front.Port), Protocol: corev1.ProtocolTCP}},
		ReadinessProbe: app.ReadinessProbe, Lifecycle: app.Lifecycle, TerminationMessagePolicy: app.TerminationMessagePolicy,
	}
	if front.Memory > 0 {
		before.Resources.Limits = corev1.ResourceList{corev1.ResourceMemory: *resource.NewQuantity(front.Memory, resource.BinarySI)}
	}
	app.ReadinessProbe = nil
	http := slices.IndexFunc(app.Ports, func(p corev1.ContainerPort) bool { return p.Name == httpPort })
	app.Ports[http].Name = appPort
	return []corev1.Container{app, before}
}
