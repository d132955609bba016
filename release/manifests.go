package release

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/cutover-dev/cutover/history"
)

// Labels on what an installation creates.
const (
	// RunLabel carries the run's id on every object of a run.
	RunLabel = "cutover.dev/run"
	// DeploymentLabel selects the pods of one workload.
	DeploymentLabel = "cutover.dev/deployment"

	nameLabel = "app.kubernetes.io/name"
	// For people who list pods. Nothing reads it: a procedure may move labels
	// about, so versions are told apart by template hash. It stands in the template,
	// where it keeps two otherwise equal versions from having the same one.
	versionLabel = "cutover.dev/version"
)

// httpPort is the name of the port that carries the load.
const httpPort = "http"

// workload is the name of a version's workload.
func (i *Installation) workload(v history.Version) string {
	if v == history.Candidate && !i.Layout.InPlace {
		return i.App.Service + "-candidate"
	}
	return i.App.Service
}

// backend is the name of the Service in front of one version.
func (a App) backend(v history.Version) string { return a.Service + "-" + string(v) }

// front is the name of the Service through which users reach the version.
func (i *Installation) front(v history.Version) string {
	if i.Layout.InPlace {
		return i.App.Service
	}
	return i.App.backend(v)
}

// Names are those of a version's workload and of the Service through which users
// reach it; the two versions have them in common where one takes the other's place.
func (i *Installation) Names(v history.Version) (workload, service string) {
	return i.workload(v), i.front(v)
}

// superseded is the app with the third version as its candidate.
func (a App) superseded(s *Supersede) App {
	a.Candidate = s.By
	return a
}

func (a App) kind() string { return cmp.Or(a.Kind, KindDeployment) }

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
		DeploymentLabel: i.workload(v),
		versionLabel:    string(v),
	}
}

// template is what a version's pods are made of.
func (i *Installation) template(v history.Version) (corev1.PodTemplateSpec, error) {
	app := i.App
	if i.third.Load() {
		app = app.superseded(i.Spec.Supersede)
	}
	image, known := i.Images[app.image(v)]
	if !known {
		return corev1.PodTemplateSpec{}, fmt.Errorf("the image %q of the %s has no reference in this cluster: resolve and load it before deploying", app.image(v), v)
	}
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: i.labels(v)},
		Spec: corev1.PodSpec{
			Containers:                    app.containers(v, image),
			Volumes:                       i.App.volumes(),
			TerminationGracePeriodSeconds: new(int64(wholeSeconds(i.App.Grace))),
			AutomountServiceAccountToken:  new(false),
			EnableServiceLinks:            new(false),
		},
	}, nil
}

func (a App) container(v history.Version, image string) corev1.Container {
	container := corev1.Container{
		Name:            a.Service,
		Image:           image,
		ImagePullPolicy: corev1.PullIfNotPresent,
		Command:         a.command(v),
		Args:            a.args(v),
		Env:             a.env(v),
		ReadinessProbe:  a.probe(),
		VolumeMounts:    a.mounts(),
		// A process that ends leaves its last words in the pod's status.
		TerminationMessagePolicy: corev1.TerminationMessageFallbackToLogsOnError,
	}
	for _, name := range slices.Sorted(maps.Keys(a.Ports)) {
		container.Ports = append(container.Ports, corev1.ContainerPort{Name: name, ContainerPort: int32(a.Ports[name]), Protocol: corev1.ProtocolTCP})
	}
	if a.Drain > 0 {
		// The pod goes on serving while gateways learn that it is leaving.
		container.Lifecycle = &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{
			Sleep: &corev1.SleepAction{Seconds: int64(wholeSeconds(a.Drain))},
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
	if a.Readiness.None {
		return nil
	}
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

// services are what leads to the app's pods: a Service for each version, if each has a
// workload, and the user's own. A router that moves the selector of that one brings
// it itself, and where the route leads past it, it selects the baseline, for people.
func (i *Installation) services() []*corev1.Service {
	var services []*corev1.Service
	if !i.Layout.InPlace {
		services = append(services,
			i.service(i.App.backend(history.Baseline), i.only(history.Baseline)),
			i.service(i.App.backend(history.Candidate), i.only(history.Candidate)))
	}
	switch i.Layout.Entry {
	case BySelector:
		return services
	case ByPods:
		return append(services, i.service(i.App.Service, map[string]string{nameLabel: i.App.Service}))
	default:
		return append(services, i.service(i.App.Service, i.only(history.Baseline)))
	}
}

// only selects the pods of a version that has a workload of its own.
func (i *Installation) only(v history.Version) map[string]string {
	return map[string]string{DeploymentLabel: i.workload(v)}
}

func (i *Installation) service(name string, selector map[string]string) *corev1.Service {
	service := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: i.Namespace, Name: name, Labels: map[string]string{nameLabel: i.App.Service, RunLabel: i.Run}},
		Spec:       corev1.ServiceSpec{Selector: selector},
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
			if i.App.H2C {
				port.AppProtocol = new("kubernetes.io/h2c")
			}
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
