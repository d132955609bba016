package release

import (
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/cutover-dev/cutover/history"
)

func TestPlaceholdersAreFilled(t *testing.T) {
	given := placeholdersOf(Procedure{Env: map[string]string{"RELEASE": "v2"}}, func(name string) (string, bool) {
		value, found := map[string]string{variablePort: "8080", variableService: "shop", "RELEASE": "v2", "HOME": "/home"}[name]
		return value, found
	})
	for _, c := range []struct{ comment, text, want, wrong string }{
		{"one of cutover's", "http://${CUTOVER_SERVICE}:${CUTOVER_PORT}", "http://shop:8080", ""},
		{"one of the scenario's", "image: app:${RELEASE}", "image: app:v2", ""},
		{"what others fill", "$x ${OTHER} $(CUTOVER_PORT) $CUTOVER_PORT ${HOME} ${CUTOVER_PORT:-1}", "$x ${OTHER} $(CUTOVER_PORT) $CUTOVER_PORT ${HOME} ${CUTOVER_PORT:-1}", ""},
		{"a slip", "${CUTOVER_PROT}", "", "${CUTOVER_PROT} is nothing that cutover says"},
	} {
		got, err := given.fill(c.text)
		if c.wrong == "" && (err != nil || got != c.want) || c.wrong != "" && (err == nil || !strings.Contains(err.Error(), c.wrong)) {
			t.Errorf("%s: %q, %v", c.comment, got, err)
		}
	}
}

func TestHelmsValuesAreMerged(t *testing.T) {
	t.Chdir(t.TempDir())
	for name, text := range map[string]string{
		"one.yaml": "replicas: ${CUTOVER_REPLICAS}\nenv: {A: one, B: one}\n",
		"two.yaml": "env: {B: two, C: two}\n",
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	h := &Helm{Values: []string{"one.yaml", "two.yaml"}, Candidate: HelmVersion{Values: []byte(`{"env":{"C":"${CUTOVER_SERVICE}"},"list":["${CUTOVER_SERVICE}"]}`)}}
	given := placeholders{variableReplicas: "3", variableService: "sh\"op"}
	for _, c := range []struct {
		version history.Version
		env     map[string]any
		more    map[string]any
	}{
		// What is given twice is the later one's.
		{history.Baseline, map[string]any{"A": "one", "B": "two", "C": "two"}, nil},
		// A version's own win, and are texts whatever is in them.
		{history.Candidate, map[string]any{"A": "one", "B": "two", "C": "sh\"op"}, map[string]any{"list": []any{"sh\"op"}}},
	} {
		want := map[string]any{"replicas": float64(3), "env": c.env}
		maps.Copy(want, c.more)
		if got, err := h.values(c.version, given); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v, %v; want %v", c.version, got, err, want)
		}
	}
}

// What is deployed is said on a command line, as the scenario says it.
func TestDeploymentsAreTold(t *testing.T) {
	for _, told := range []string{"{", "{}"} {
		if err := Deploy(t.Context(), told); err == nil || !strings.Contains(err.Error(), "was not said") {
			t.Errorf("%s: %v", told, err)
		}
	}
	chart := filepath.Join(t.TempDir(), "none")
	t.Setenv(variableService, "shop")
	t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "none"))
	told, err := deployment{Procedure{Helm: &Helm{Chart: chart}}, history.Candidate}.told()
	if err != nil {
		t.Fatal(err)
	}
	if err := Deploy(t.Context(), told); err == nil || !strings.Contains(err.Error(), chart) {
		t.Errorf("without a chart: %v", err)
	}
}
