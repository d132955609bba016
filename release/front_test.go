package release

import (
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/cutover-dev/cutover/history"
)

func TestFrontTakesTheTraffic(t *testing.T) {
	app := App{Service: "shop", Ports: map[string]int{"http": 8080, "admin": 9000}, Readiness: Readiness{Path: "/ready"}}.WithDefaults()
	app.Candidate.Front = &Front{Image: "cutover:1", Args: []string{"mutant-proxy"}, Port: 18080, Memory: 1 << 28}
	if got := app.containers(history.Baseline, "shop:1"); len(got) != 1 || app.ServingPort(history.Baseline) != 8080 {
		t.Errorf("the baseline has %d containers", len(got))
	}
	got := app.containers(history.Candidate, "shop:1")
	if len(got) != 2 || app.ServingPort(history.Candidate) != 18080 {
		t.Fatalf("%d containers", len(got))
	}
	// A Service finds the port by its name: exactly one of the pod may have it.
	named := map[string]int32{}
	for _, c := range got {
		for _, p := range c.Ports {
			if _, twice := named[p.Name]; twice {
				t.Errorf("two ports are called %s", p.Name)
			}
			named[p.Name] = p.ContainerPort
		}
	}
	if named["http"] != 18080 || named["admin"] != 9000 || named[appPort] != 8080 {
		t.Errorf("ports %v", named)
	}
	inner, front := got[0], got[1]
	if inner.ReadinessProbe != nil || front.ReadinessProbe == nil || front.ReadinessProbe.HTTPGet.Path != "/ready" {
		t.Error("the pod is not ready when the app answers through the front")
	}
	if limit := front.Resources.Limits[corev1.ResourceMemory]; limit.Value() != 1<<28 {
		t.Errorf("memory %s", limit.String())
	}
}
