package gateway

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/cutover-dev/cutover/cluster"
)

// requestIDHeader is the request header that the access log keeps. Whoever sends
// load sets it, and finds its requests in the log by it.
const requestIDHeader = "X-Request-Id"

const (
	webPort  = 8000
	pingPort = 8001
)

// args configure Traefik as a careful operator would, but for three things that
// this use needs: it hears of changes at once, logs every request with its id, and
// cuts off no request that is merely slow. It does not retry: a gateway that hides
// a backend's failures would hide what is being measured.
func args() []string {
	return []string{
		"--global.checknewversion=false",
		"--global.sendanonymoususage=false",
		"--log.level=INFO",
		"--log.format=json",

		"--providers.kubernetesgateway=true",
		// Only our class, should another Traefik live in this cluster.
		fmt.Sprintf("--providers.kubernetesgateway.labelselector=%s=%s", managedBy, owner),
		// For what that cannot say: copies of requests, which are a kind of Traefik's own.
		"--providers.kubernetescrd=true",
		fmt.Sprintf("--providers.kubernetescrd.labelselector=%s=%s", managedBy, owner),
		// Copies for a version without a ready pod go nowhere. Otherwise the whole route
		// would, with its users.
		"--providers.kubernetescrd.allowemptyservices=true",
		// It would watch nodes, which it has no use for.
		"--providers.kubernetescrd.disableclusterscoperesources=true",
		// 2 s by default, which would be part of every measured cutover.
		"--providers.providersthrottleduration=100ms",

		fmt.Sprintf("--entrypoints.web.address=:%d", webPort),
		// 60 s by default for a request with its body: a slow upload would be cut off.
		"--entrypoints.web.transport.respondingtimeouts.readtimeout=0s",
		"--entrypoints.web.transport.respondingtimeouts.writetimeout=0s",
		// Longer than clients keep theirs, so that the gateway never closes a
		// connection in the moment that a request is sent on it.
		"--entrypoints.web.transport.respondingtimeouts.idletimeout=180s",

		// Enough kept connections a backend that load does not open new ones.
		"--serverstransport.maxidleconnsperhost=200",
		// 30 s by default: requests for a pod that is gone would wait so long.
		"--serverstransport.forwardingtimeouts.dialtimeout=2s",
		"--serverstransport.forwardingtimeouts.idleconntimeout=90s",

		// Not on the entry point of the load, so that probes are not in its way.
		fmt.Sprintf("--entrypoints.ping.address=:%d", pingPort),
		"--ping=true",
		"--ping.entrypoint=ping",

		// The access log says nothing of copies. These do: see [Copies].
		"--metrics.prometheus=true",
		"--metrics.prometheus.entrypoint=ping",
		"--metrics.prometheus.addentrypointslabels=false",

		"--accesslog=true",
		"--accesslog.format=json",
		"--accesslog.fields.headers.defaultmode=drop",
		"--accesslog.fields.headers.names." + requestIDHeader + "=keep",
	}
}

// deployment has no resource limits: a gateway that is throttled would be measured
// as a slow release.
func deployment(image string, onlyRoot bool) *appsv1.Deployment {
	pod := corev1.PodSpec{
		ServiceAccountName: name,
		EnableServiceLinks: new(false),
		Containers:         []corev1.Container{container(image, onlyRoot)},
	}
	cluster.BesideControlPlane(&pod)
	return &appsv1.Deployment{
		TypeMeta:   metav1.TypeMeta{APIVersion: "apps/v1", Kind: "Deployment"},
		ObjectMeta: named(name),
		Spec: appsv1.DeploymentSpec{
			Replicas: new(int32(1)),
			Selector: &metav1.LabelSelector{MatchLabels: podLabels()},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: podLabels()},
				Spec:       pod,
			},
		},
	}
}

func container(image string, onlyRoot bool) corev1.Container {
	rights := &corev1.SecurityContext{
		AllowPrivilegeEscalation: new(false),
		ReadOnlyRootFilesystem:   new(true),
		Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
	}
	if !onlyRoot {
		rights.RunAsNonRoot, rights.RunAsUser = new(true), new(int64(65532))
	}
	return corev1.Container{
		Name:            "traefik",
		Image:           image,
		ImagePullPolicy: corev1.PullIfNotPresent,
		Command:         []string{"/app/traefik"},
		Args:            args(),
		Ports: []corev1.ContainerPort{
			{Name: "web", ContainerPort: webPort, Protocol: corev1.ProtocolTCP},
			{Name: "ping", ContainerPort: pingPort, Protocol: corev1.ProtocolTCP},
		},
		ReadinessProbe: &corev1.Probe{
			ProbeHandler:  corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/ping", Port: intstr.FromString("ping")}},
			PeriodSeconds: 1,
			// A busy machine answers late; a gateway that leaves for that takes
			// every run on it down.
			TimeoutSeconds:   5,
			FailureThreshold: 6,
		},
		SecurityContext: rights,
	}
}
