package release

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// lay writes files below a folder of their own, and returns it.
func lay(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestManifestsAreReadAsKubectlDoes(t *testing.T) {
	given := placeholders{variableService: "shop"}
	dir := lay(t, map[string]string{
		"b.yaml": "kind: B\nname: ${CUTOVER_SERVICE}\n", "a.json": `{"kind":"A"}`, "notes.txt": "none", "deeper/c.yaml": "kind: C\n", "broken/x.yml": "${CUTOVER_SHOP}", "empty/x": "",
	})
	for _, c := range []struct{ comment, path, want, wrong string }{
		{"a file", "b.yaml", "kind: B\nname: shop\n", ""},
		{"a folder, without what is below it", ".", "{\"kind\":\"A\"}\n---\nkind: B\nname: shop\n", ""},
		{"a slip", "broken", "", "x.yml: ${CUTOVER_SHOP} is nothing that cutover says"},
		{"nothing", "empty", "", "there are no manifests in "},
		{"not there", "none", "", "no such file"},
	} {
		got, err := plain{}.read(filepath.Join(dir, c.path), given)
		if c.wrong == "" && (err != nil || string(got) != c.want) || c.wrong != "" && (err == nil || !strings.Contains(err.Error(), c.wrong)) {
			t.Errorf("%s: %q, %v", c.comment, got, err)
		}
	}
}

// Placeholders are filled before anything is built: a number of replicas is a number,
// and what is beside the kustomization is reached as ever.
func TestKustomizationsAreBuilt(t *testing.T) {
	dir := lay(t, map[string]string{
		"base/kustomization.yaml": "resources: [deployment.yaml]\n",
		"base/deployment.yaml":    "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: shop}\nspec: {replicas: 1, template: {spec: {containers: [{name: app, image: '${CUTOVER_CANDIDATE_IMAGE}'}]}}}\n",
		"v2/kustomization.yaml":   "resources: [../base]\nreplicas: [{name: shop, count: ${CUTOVER_REPLICAS}}]\nconfigMapGenerator: [{name: shop, literals: ['A=${OTHER}']}]\n",
		"bad/kustomization.yaml":  "resources: [../base]\nnamePrefix: ${CUTOVER_PREFIX}\n",
	})
	given := placeholders{variableReplicas: "3", variableCandidateImage: "shop:2"}
	built, err := kustomization{}.read(filepath.Join(dir, "v2"), given)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"replicas: 3\n", "image: shop:2\n", "A: ${OTHER}\n"} {
		if !strings.Contains(string(built), want) {
			t.Errorf("%q is not in\n%s", want, built)
		}
	}
	if found, err := workloadsIn(built); err != nil || !reflect.DeepEqual(found, map[string][]string{"": {"deployment/shop"}}) {
		t.Errorf("it is waited for %v, %v", found, err)
	}
	if _, err := (kustomization{}).read(filepath.Join(dir, "bad"), given); err == nil || !strings.Contains(err.Error(), "${CUTOVER_PREFIX} is nothing that cutover says") {
		t.Errorf("a slip: %v", err)
	}
}

func TestWorkloadsAreFound(t *testing.T) {
	for _, c := range []struct {
		comment, manifests string
		want               map[string][]string
	}{
		{"of several kinds", "{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: db}}\n---\n{apiVersion: apps/v1, kind: DaemonSet, metadata: {name: log}}", map[string][]string{"": {"statefulset/db", "daemonset/log"}}},
		{"in another namespace", "{apiVersion: apps/v1, kind: Deployment, metadata: {name: web, namespace: edge}}", map[string][]string{"edge": {"deployment/web"}}},
		{"in a list", "{apiVersion: v1, kind: List, items: [{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}}]}", map[string][]string{"": {"deployment/web"}}},
		{"in JSON between YAML", "\n---\n{\"apiVersion\":\"apps/v1\",\"kind\":\"Deployment\",\"metadata\":{\"name\":\"web\"}}\n---\n# nothing\n", map[string][]string{"": {"deployment/web"}}},
		// Nobody can tell how far these are.
		{"of other groups", "{apiVersion: v1, kind: Service, metadata: {name: web}}\n---\n{apiVersion: mine/v1, kind: Deployment, metadata: {name: web}}", map[string][]string{}},
	} {
		if got, err := workloadsIn([]byte(c.manifests)); err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %v, %v", c.comment, got, err)
		}
	}
}
