package chaosmesh

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/cutover-dev/cutover/cluster/image"
)

// moduleChartFolder is the chart of the module that the programs are built from.
func moduleChartFolder(t *testing.T) string {
	t.Helper()
	source := t.TempDir()
	for _, name := range []string{"go.mod", "go.sum"} {
		text, err := os.ReadFile(filepath.Join("../embedded/components/chaos-controller-manager", name+".txt"))
		must(t, err)
		must(t, os.WriteFile(filepath.Join(source, name), text, 0o600))
	}
	list := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/chaos-mesh/chaos-mesh")
	list.Dir, list.Env = source, append(os.Environ(), "GOFLAGS=", "GOWORK=off", "GOPROXY=off")
	dir, err := list.Output()
	if err != nil || len(bytes.TrimSpace(dir)) == 0 {
		t.Skip("the module of Chaos Mesh is not on this machine: `cutover cluster components` gets it")
	}
	return filepath.Join(string(bytes.TrimSpace(dir)), "helm", chartName)
}

// render is what Helm would create, as text, and the pods in it by their component.
func render(t *testing.T, source Source, options Options) (string, map[string]corev1.PodSpec) {
	t.Helper()
	given, err := values(source, options)
	must(t, err)
	run := action.NewInstall(new(action.Configuration))
	run.ReleaseName, run.Namespace, run.DryRun, run.ClientOnly = releaseName, Namespace, true, true
	run.KubeVersion = &chartutil.KubeVersion{Version: "v1.36.3", Major: "1", Minor: "36"}
	run.APIVersions = chartutil.VersionSet{"admissionregistration.k8s.io/v1"}
	chart, err := loader.Load(moduleChartFolder(t))
	must(t, err)
	made, err := run.Run(chart, given)
	must(t, err)
	pods := map[string]corev1.PodSpec{}
	documents := yaml.NewYAMLToJSONDecoder(strings.NewReader(made.Manifest))
	for {
		var workload appsv1.Deployment // a DaemonSet has its pod in the same place
		err := documents.Decode(&workload)
		if errors.Is(err, io.EOF) {
			return made.Manifest, pods
		}
		must(t, err)
		if workload.Kind == "Deployment" || workload.Kind == "DaemonSet" {
			pods[workload.Labels[componentLabel]] = workload.Spec.Template.Spec
		}
	}
}

func localSource() Source {
	return Source{images: &images{
		controller: image.Image{Ref: "cutover.local/chaos-mesh:1111"},
		daemon:     image.Image{Ref: "cutover.local/chaos-daemon:2222"},
		pause:      image.Image{Ref: "cutover.local/pause:3333"},
	}}
}

// Nothing is pulled, nothing runs that no fault needs, and nothing waits for a lease.
func TestChartWithLocalImages(t *testing.T) {
	manifest, pods := render(t, localSource(), Options{})
	if len(pods) != 2 {
		t.Errorf("workloads: %v", pods)
	}
	controller, daemon := pods[controllerLabel].Containers[0], pods[daemonLabel].Containers[0]
	if controller.Image != "cutover.local/chaos-mesh:1111" || daemon.Image != "cutover.local/chaos-daemon:2222" {
		t.Errorf("images %s, %s", controller.Image, daemon.Image)
	}
	for _, want := range []corev1.EnvVar{
		{Name: "POD_FAILURE_PAUSE_IMAGE", Value: "cutover.local/pause:3333"},
		{Name: "ENABLE_LEADER_ELECTION", Value: "false"},
		{Name: "CHAOS_DAEMON_CLIENT_CERT", Value: "/etc/chaos-daemon/cert/tls.crt"},
	} {
		if !slices.Contains(controller.Env, want) {
			t.Errorf("the controller lacks %v", want)
		}
	}
	for _, registry := range []string{"ghcr.io", "gcr.io", "k8s.io/pause"} {
		if strings.Contains(manifest, registry) {
			t.Errorf("something is pulled from %s", registry)
		}
	}
	if !strings.Contains(manifest, "MutatingWebhookConfiguration") || !strings.Contains(manifest, "ValidatingWebhookConfiguration") {
		t.Error("there are no webhooks")
	}
}

func TestChartWithPublishedImages(t *testing.T) {
	_, pods := render(t, Source{}, Options{})
	controller, daemon := pods[controllerLabel].Containers[0], pods[daemonLabel].Containers[0]
	if !strings.HasPrefix(controller.Image, "ghcr.io/chaos-mesh/chaos-mesh:v") || !strings.HasPrefix(daemon.Image, "ghcr.io/chaos-mesh/chaos-daemon:v") {
		t.Errorf("images %s, %s", controller.Image, daemon.Image)
	}
	if want := (corev1.EnvVar{Name: "POD_FAILURE_PAUSE_IMAGE", Value: publishedPause}); !slices.Contains(controller.Env, want) {
		t.Error("a failing pod would wait for an image of Google's old registry")
	}
}

// The daemon runs on every node, the controller beside the control plane, and both
// ask for little.
func TestChartPlacement(t *testing.T) {
	_, pods := render(t, localSource(), Options{Socket: "/state/run/other.sock"})
	daemon, controller := pods[daemonLabel], pods[controllerLabel]
	if !slices.Equal(daemon.Tolerations, []corev1.Toleration{{Operator: corev1.TolerationOpExists}}) {
		t.Errorf("the daemon tolerates %v", daemon.Tolerations)
	}
	if controller.Affinity == nil || len(controller.Tolerations) != 1 {
		t.Errorf("the controller is placed by %v %v", controller.Affinity, controller.Tolerations)
	}
	if !slices.Contains(daemon.Containers[0].Command, "/host-run/other.sock") || daemon.Volumes[0].HostPath.Path != "/state/run" {
		t.Errorf("the daemon reaches containerd by %v in %v", daemon.Containers[0].Command, daemon.Volumes[0])
	}
	for name, pod := range pods {
		asked := pod.Containers[0].Resources.Requests
		if asked.Cpu().MilliValue() == 0 || asked.Cpu().MilliValue() > 20 || asked.Memory().Value() > 64<<20 {
			t.Errorf("%s asks for %v", name, asked)
		}
	}
}

func TestImageValuesRefuse(t *testing.T) {
	for _, ref := range []string{"chaos-mesh", "cutover.local/chaos-mesh", "chaos-mesh:1"} {
		if _, err := imageValues(ref); err == nil {
			t.Errorf("%s was taken", ref)
		}
	}
}
