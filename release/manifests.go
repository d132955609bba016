package release

import (
	"fmt"
	"maps"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/cutover-dev/cutover/history"
)

// Labels on what an installation creates.
const (
	// RunLabel carries the run's id on every object of a run.
	RunLabel = "cutover.dev/run"
	// DeploymentLabel selects the pods of one version. It stands in the template,
	// where it also keeps two otherwise equal versions from having the same
	// pod-template-hash.
	DeploymentLabel = "cutover.dev/deployment"

	nameLabel = "app.kubernetes.io/name"
	// For people who list pods. Nothing reads it: a procedure may move labels
	// about, so versions are told apart by template hash.
	versionLabel = "cutover.dev/version"
)

// httpPort is the name of the port that carries the load.
const httpPort = "http"

// Workload is the name of a version's Deployment.
func (a App) Workload(v history.Version) string {
	if v == history.Candidate {
		return a.Service + "-candidate"
	}
	return a.Service
}

// Backend is the name of the Service in front of one version.
func (a App) Backend(v history.Version) string { return a.Service + "-" + string(v) }

func (a App) variant(v history.Version) Variant {
	if v == history.Candidate {
		return a.Candidate
	}
	return a.Baseline
}

func (a App) image(v history.Version) string {
	if own := a.variant(v).Image; own != "" {
		return own
	}
	return a.Image
}

func (a App) replicas(v history.Version) int32 {
	if own := a.variant(v).Replicas; own != 0 {
		return int32(own)
	}
	return int32(a.Replicas)
}

func (a App) command(v history.Version) []string {
	if own := a.variant(v).Command; own != nil {
		return own
	}
	return a.Command
}

func (a App) args(v history.Version) []string {
	if own := a.variant(v).Args; own != nil {
		return own
	}
	return a.Args
}

// env is sorted: map order would change the template, and so its hash, at random.
func (a App) env(v history.Version) []corev1.EnvVar {
	merged := maps.Clone(a.Env)
	if merged == nil {
		merged = map[string]string{}
	}
	maps.Copy(merged, a.variant(v).Env)
	var env []corev1.EnvVar
	for _, name := range slices.Sorted(maps.Keys(merged)) {
		env = append(env, corev1.EnvVar{Name: name, Value: merged[name]})
	}
	return env
}

func (i *Installation) labels(v history.Version) map[string]string {
	return map[string]string{
		nameLabel:       i.App.Service,
		RunLabel:        i.Run,
		DeploymentLabel: i.App.Workload(v),
		versionLabel:    string(v),
	}
}

func (i *Installation) deployment(v history.Version) (*appsv1.Deployment, error) {
	image, known := i.Images[i.App.image(v)]
	if !known {
		return nil, fmt.Errorf("the image %q of the %s has no reference in this cluster: resolve and load it before deploying", i.App.image(v), v)
	}
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: i.Namespace, Name: i.App.Workload(v), Labels: i.labels(v)},
		Spec: appsv1.DeploymentSpec{
			Replicas: new(i.App.replicas(v)),
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{DeploymentLabel: i.App.Workload(v)}},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: i.labels(v)},
				Spec: corev1.PodSpec{
					Containers:                    []corev1.Container{i.container(v, image)},
					Volumes:                       i.App.volumes(),
					TerminationGracePeriodSeconds: new(int64(wholeSeconds(i.App.Grace))),
					AutomountServiceAccountToken:  new(false),
					EnableServiceLinks:            new(false),
				},
			},
		},
	}, nil
}

func (i *Installation) container(v history.Version, image string) corev1.Container {
	container := corev1.Container{
		Name:            i.App.Service,
		Image:           image,
		ImagePullPolicy: corev1.PullIfNotPresent,
		Command:         i.App.command(v),
		Args:            i.App.args(v),
		Env:             i.App.env(v),
		ReadinessProbe:  i.App.probe(),
		VolumeMounts:    i.App.mounts(),
		// A process that ends leaves its last words in the pod's status.
		TerminationMessagePolicy: corev1.TerminationMessageFallbackToLogsOnError,
	}
	for _, name := range slices.Sorted(maps.Keys(i.App.Ports)) {
		container.Ports = append(container.Ports, corev1.ContainerPort{Name: name, ContainerPort: int32(i.App.Ports[name]), Protocol: corev1.ProtocolTCP})
	}
	if i.App.Drain > 0 {
		// The pod goes on serving while gateways learn that it is leaving.
		container.Lifecycle = &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{
			Sleep: &corev1.SleepAction{Seconds: int64(wholeSeconds(i.App.Drain))},
		}}
	}
	return container
}

// volumes are a folder for each path that is to be writable. They go with the pod.
func (a App) volumes() []corev1.Volume {
	var volumes []corev1.Volume
	for n := range a.Writable {
		volumes = append(volumes, corev1.Volume{Name: writable(n), VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}})
	}
	return volumes
}

func (a App) mounts() []corev1.VolumeMount {
	var mounts []corev1.VolumeMount
	for n, path := range a.Writable {
		mounts = append(mounts, corev1.VolumeMount{Name: writable(n), MountPath: path})
	}
	return mounts
}

func writable(n int) string { return fmt.Sprintf("writable-%d", n) }

func (a App) probe() *corev1.Probe {
	probe := &corev1.Probe{
		PeriodSeconds:    wholeSeconds(a.Readiness.Period),
		TimeoutSeconds:   wholeSeconds(a.Readiness.Timeout),
		FailureThreshold: int32(a.Readiness.Failures),
	}
	port := intstr.FromString(httpPort)
	if a.Readiness.Path != "" {
		probe.HTTPGet = &corev1.HTTPGetAction{Path: a.Readiness.Path, Port: port}
	} else {
		probe.TCPSocket = &corev1.TCPSocketAction{Port: port}
	}
	return probe
}

// services are one Service a version, and the user's own, which selects the
// baseline and is there for people: the gateway routes to the other two.
func (i *Installation) services() []*corev1.Service {
	return []*corev1.Service{
		i.service(i.App.Service, history.Baseline),
		i.service(i.App.Backend(history.Baseline), history.Baseline),
		i.service(i.App.Backend(history.Candidate), history.Candidate),
	}
}

func (i *Installation) service(name string, v history.Version) *corev1.Service {
	service := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: i.Namespace, Name: name, Labels: map[string]string{nameLabel: i.App.Service, RunLabel: i.Run}},
		Spec:       corev1.ServiceSpec{Selector: map[string]string{DeploymentLabel: i.App.Workload(v)}},
	}
	for _, name := range slices.Sorted(maps.Keys(i.App.Ports)) {
		port := corev1.ServicePort{
			Name:       name,
			Protocol:   corev1.ProtocolTCP,
			Port:       int32(i.App.Ports[name]),
			TargetPort: intstr.FromString(name),
		}
		if name == httpPort {
			port.AppProtocol = new("http") // or a gateway takes 443 for TLS
		}
		service.Spec.Ports = append(service.Spec.Ports, port)
	}
	return service
}

// wholeSeconds rounds up: Kubernetes counts these in seconds, and a shorter wait
// than the one asked for would be the dangerous error.
func wholeSeconds(d history.Duration) int32 {
	return int32((d.D() + time.Second - 1) / time.Second)
}
