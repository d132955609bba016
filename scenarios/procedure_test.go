package scenarios

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cutover-dev/cutover/release"
)

const goodProcedure = `apiVersion: cutover.dev/v1alpha1
kind: Scenario
metadata: {name: good}
why: It shows what is wrong with the others.
app:
  image: registry.example/shop:1
  service: shop
  ports: {http: 8080}
procedure:
  script: release.sh
  args: [--now]
  tools: [kubectl]
  env: {RELEASE: v2}
release: {deadline: 1m}
load:
  rate: 200/s
  slo: {latency: 500ms, availability: 99.9%}
  requests: [{path: /cart}]
faults:
  - at: {write: 2}
    target: candidate
    chaos: {kind: PodChaos, spec: {action: pod-kill}}
expect: {outcome: promoted, procedure: {exit: 0}}
`

func decodeProcedure(t *testing.T, text string) (Scenario, error) {
	t.Helper()
	dir := t.TempDir()
	for name, mode := range map[string]os.FileMode{"release.sh": 0o755, "notes.txt": 0o644, "chart/Chart.yaml": 0o644, "manifests/v2.yaml": 0o644, "kustomization/kustomization.yml": 0o644} {
		lay(t, filepath.Join(dir, name), "#!/bin/sh\n", mode)
	}
	lay(t, filepath.Join(dir, "program", "go.mod"), "module example.com/program\n", 0o644)
	lay(t, filepath.Join(dir, "program", "main.go"), "package main\n", 0o644)
	lay(t, filepath.Join(dir, "values.yaml"), "host: ${CUTOVER_NAME}\n", 0o644)
	return Decode(filepath.Join(dir, "good.yaml"), []byte(text))
}

func lay(t *testing.T, file, text string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

func TestProcedureIsDecoded(t *testing.T) {
	s, err := decodeProcedure(t, goodProcedure)
	if err != nil {
		t.Fatal(err)
	}
	if s.Procedure.Script != "release.sh" || s.Release.Strategy != release.StrategyProcedure || s.Faults[0].At.Write != 2 || s.Faults[0].At.When != "live" {
		t.Errorf("decoded %+v, %+v", s.Procedure, s.Faults[0].At)
	}
	if layout := s.Release.Layout(); !layout.InPlace {
		t.Errorf("the baseline lies as %+v, want it in the app's own Service", layout)
	}
	if s, err = decodeProcedure(t, strings.Replace(goodProcedure, "release: {deadline: 1m}\n", "", 1)); err != nil || s.Release.Deadline == 0 {
		t.Errorf("without a section release: %v", err)
	}
}

const goodScript = "  script: release.sh\n  args: [--now]\n  tools: [kubectl]\n"

func TestToolsAreDecoded(t *testing.T) {
	s, err := decodeProcedure(t, strings.Replace(goodProcedure, goodScript, `  helm:
    chart: chart
    timeout: 50s
    candidate: {values: {image: "${CUTOVER_CANDIDATE_IMAGE}", env: {A: "${RELEASE} ${OTHER} $1"}}}
`, 1))
	if err != nil {
		t.Fatal(err)
	}
	helm := s.Procedure.Helm
	if helm.Timeout.D() != 50*time.Second || helm.Baseline.Values != nil || !strings.Contains(string(helm.Candidate.Values), `"A":"${RELEASE} ${OTHER} $1"`) || !s.Procedure.SetsUp() {
		t.Errorf("decoded %+v", helm)
	}
}

func TestMistakesOfToolsAreExplained(t *testing.T) {
	explain(t, []mistake{
		{"", "helm: {chart: chart}", ""},
		{"  script: release.sh\n", "helm: {chart: chart}", ":9: procedure: 2 of script, helm, kustomize, kubectl are given: keep one"},
		{"  setup: release.sh\n", "helm: {chart: chart}", ":10: procedure.setup: it is a script's: leave it out, helm brings up both versions by itself"},
		{"  tools: [kubectl]\n", "helm: {chart: chart}", ":10: procedure.tools: it is a script's"},
		{"", "helm: {chart: chart, upgrade: true}", ":10: procedure.helm.upgrade: unknown key; known here: atomic, baseline, candidate, chart, release, timeout, values"},
		{"", "helm: {}", ":10: procedure.helm.chart: missing"},
		{"", "helm: {chart: carth}", "procedure.helm.chart: there is no file or folder "},
		{"", "helm: {chart: /chart}", "procedure.helm.chart: /chart: write the path as seen from "},
		{"", "helm: {chart: '.'}", "so it is no chart"},
		{"", "helm: {chart: chart, candidate: {chart: v2}}", "procedure.helm.candidate.chart: there is no file or folder "},
		{"", "helm: {chart: chart, values: [chart]}", "procedure.helm.values[0]: "},
		{"", "helm: {chart: chart, values: [values.yaml]}", "values.yaml: ${CUTOVER_NAME} is nothing that cutover says; it says CUTOVER_BASELINE_IMAGE, "},
		{"", "helm: {chart: chart, candidate: {values: {a: ['${CUTOVER_IMAGE}']}}}", "procedure.helm.candidate.values: ${CUTOVER_IMAGE} is nothing that cutover says"},
		{"", "helm: {chart: chart, candidate: {values: 5}}", "procedure.helm.candidate.values: \"5\" instead of keys"},
		{"", "helm: {chart: chart, release: A_B}", "procedure.helm.release: \"A_B\" is no name of a release"},
		{"", "helm: {chart: chart, timeout: 1}", "procedure.helm.timeout: "},
		{"", "helm: {chart: chart, timeout: 0s}", "procedure.helm.timeout: 0s: write how long"},
		{"", "helm: {chart: chart, timeout: 1m}", "procedure.helm.timeout: 1m0s: the release is over after 1m0s, its deadline"},
		// Manifests, plain and built.
		{"", "kubectl: {baseline: manifests, candidate: manifests/v2.yaml, undo: true}", ""},
		{"", "kustomize: {baseline: kustomization, candidate: kustomization}", ""},
		{"", "kubectl: {baseline: manifests}", ":10: procedure.kubectl.candidate: missing"},
		{"", "kubectl: {baseline: manifests, candidate: manifests, prune: true}", "procedure.kubectl.prune: unknown key; known here: baseline, candidate, timeout, undo"},
		{"", "kubectl: {baseline: manifests, candidate: manifests/v3.yaml}", "procedure.kubectl.candidate: there is no file or folder "},
		{"", "kubectl: {baseline: chart/none, candidate: manifests}", "procedure.kubectl.baseline: there is no file or folder "},
		{"", "kubectl: {baseline: values.yaml, candidate: manifests}", "procedure.kubectl.baseline: "},
		{"", "kustomize: {baseline: kustomization, candidate: manifests}", "procedure.kustomize.candidate: there is no kustomization.yaml in "},
		{"", "kustomize: {baseline: kustomization, candidate: kustomization, timeout: 1m}", "procedure.kustomize.timeout: 1m0s: the release is over after 1m0s, its deadline"},
	}, func(m mistake) string {
		text := strings.Replace(goodProcedure, goodScript, m.old+"  "+m.new+"\n", 1)
		if !strings.Contains(m.want, "deadline") { // longer than the timeouts of those that set none
			text = strings.Replace(text, "deadline: 1m", "deadline: 2m", 1)
		}
		return text
	})
}

func TestMistakesOfProceduresAreExplained(t *testing.T) {
	explain(t, []mistake{
		{"script: release.sh", "script: relaese.sh", ":10: procedure.script: there is no file "},
		{"script: release.sh", "script: /bin/sh", "procedure.script: /bin/sh: write the path as seen from "},
		{"script: release.sh", "script: notes.txt", "notes.txt cannot be executed: chmod +x it"},
		{"  script: release.sh\n", "", ":9: procedure: it does not say what is to be run: write one of script"},
		// Programs that are yet to be built.
		{"script: release.sh", "script: go://example.com/releaser@v1.2.3", ""},
		{"script: release.sh", "script: go://./program\n  setup: go://./program", ""},
		{"script: release.sh", "script: go://./chart", ":10: procedure.script: no Go program in "},
		{"script: release.sh", "script: go://example.com/releaser@latest", ":10: procedure.script: \"go://example.com/releaser@latest\" is no Go program: write go://./dir"},
		{"script: release.sh", "script: go://example.com/releaser", "procedure.script: there is no Go module around "},
		{"args:", "setup: up.sh\n  args:", ":11: procedure.setup: there is no file "},
		{"[kubectl]", "[/usr/bin/kubectl]", ":12: procedure.tools[0]: \"/usr/bin/kubectl\" is no program's name"},
		{"RELEASE: v2", "KUBECONFIG: mine", ":13: procedure.env.KUBECONFIG: cutover itself says what KUBECONFIG is"},
		{"RELEASE: v2", "CUTOVER_PORT: '1'", "cutover itself says what CUTOVER_PORT is"},
		{"RELEASE: v2", "A-B: v2", "\"A-B\" is no variable's name"},
		{"[kubectl]", "[kubectl]\n  images: {Front_: 'registry.example/front:1'}", ":13: procedure.images.Front_: \"Front_\" is no name for an image"},
		{"[kubectl]", "[kubectl]\n  images: {front: 'No image'}", ":13: procedure.images.front: \"No image\" is no image"},
		// Two that would move the traffic, or decide about it.
		{"{deadline: 1m}", "{deadline: 1m, strategy: canary}", ":14: release.strategy: the procedure moves the traffic"},
		{"{deadline: 1m}", "{deadline: 1m, hold: 1s}", ":14: release.hold: the procedure moves the traffic"},
		{"load:\n", "gate: {errors: {max: 1%}}\nload:\n", ":15: gate: a procedure decides by itself"},
		// Its steps are its writes.
		{"{write: 2}", "{step: promote}", ":20: faults[0].at.step: the steps of a procedure are its writes"},
		{"{write: 2}", "{write: 0}", ":20: faults[0].at.write: 0: writes are counted from 1"},
		{"{write: 2}", "{write: 2, after: 1s}", ":20: faults[0].at: 2 of step, write, request, after and event are given"},
		{"{write: 2}", "{request: {}}", ":20: faults[0].at.request: it says nothing of the request"},
		{"{write: 2}", "{request: {verb: patsch}}", ":20: faults[0].at.request.verb: unknown word \"patsch\""},
		{"{write: 2}", "{request: {verb: patch, nth: 0}}", ":20: faults[0].at.request.nth: 0: requests are counted from 1"},
		{"{write: 2}", "{request: {verb: patch}, when: live}", ":20: faults[0].at.when: a request has before and after"},
		{"{write: 2}", "{write: 2, when: after}", ":20: faults[0].at.when: a write has before, begin and live"},
		// Kinds of our own, and what they are on.
		{"target: candidate", "target: procedure", ":21: faults[0].target: a PodChaos is on pods"},
		{"PodChaos, spec: {action: pod-kill}", "ProcedureChaos, spec: {action: kill}", ":21: faults[0].target: a ProcedureChaos is on the procedure"},
		{"target: candidate\n    chaos: {kind: PodChaos, spec: {action: pod-kill}}", "target: procedure\n    chaos: {kind: ProcedureChaos, spec: {action: maim}}",
			"faults[0].chaos.spec.action: a ProcedureChaos has no action \"maim\""},
		{"target: candidate\n    chaos: {kind: PodChaos, spec: {action: pod-kill}}", "target: apiserver\n    chaos: {kind: RequestChaos, spec: {action: hold}}",
			":20: faults[0].at: a RequestChaos is on one request"},
	}, func(m mistake) string { return strings.Replace(goodProcedure, m.old, m.new, 1) })
}

// mistake is an edit, and what is said of it; "" if it is none.
type mistake struct{ old, new, want string }

func explain(t *testing.T, mistakes []mistake, edit func(mistake) string) {
	t.Helper()
	for _, m := range mistakes {
		text := edit(m)
		_, err := decodeProcedure(t, text)
		switch {
		case text == goodProcedure:
			t.Errorf("%q changes nothing", m.old)
		case m.want == "" && err != nil:
			t.Errorf("%q: %v", m.new, err)
		case m.want == "":
		case err == nil:
			t.Errorf("%q: accepted, want %s", m.new, m.want)
		case !strings.Contains(err.Error(), m.want) || strings.Contains(err.Error(), "\n"):
			t.Errorf("%q:\n got %v\nwant %s", m.new, err, m.want)
		}
	}
}
