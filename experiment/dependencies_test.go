package experiment

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/dependencies"
	"github.com/cutover-dev/cutover/release"
	"github.com/cutover-dev/cutover/scenarios"
)

// sealed is a cluster that is in no network of the engine, joined one that is.
type (
	sealed struct{ cluster.Cluster }
	joined struct{ cluster.Cluster }
)

func (sealed) Provider() string { return "embedded" }
func (joined) Network() string  { return "kind" }

func TestDependenciesNeedAnEngine(t *testing.T) {
	one := scenarios.Scenario{Dependencies: []dependencies.Spec{{Name: "db"}}}
	for _, row := range []struct {
		why      string
		scenario scenarios.Scenario
		cluster  cluster.Cluster
		want     string
	}{
		{"a network to join", one, joined{}, ""},
		{"a sandbox", one, sealed{}, "no way out of it: run it with --cluster kind"},
		{"a sandbox, and nothing to join it", scenarios.Scenario{}, sealed{}, ""},
	} {
		r := &run{Options: Options{Cluster: row.cluster}, scenario: row.scenario}
		if got := r.dependenciesNeed(); (got == "") != (row.want == "") || !strings.Contains(got, row.want) {
			t.Errorf("%s: %q", row.why, got)
		}
	}
}

func TestAppIsFilledIn(t *testing.T) {
	const reference, address = "${dependencies.db.host}", "172.18.0.9"
	texts := func(text string) release.App {
		return release.App{
			Image: "shop", Env: map[string]string{"DB": text}, Command: []string{"shop", text}, Args: []string{text},
			Baseline:  release.Variant{Env: map[string]string{"DB": "tcp://" + text}, Args: []string{text}},
			Candidate: release.Variant{Command: []string{text}},
		}
	}
	asked := texts(reference)
	filled, err := filledApp(asked, dependencies.Values{reference: address})
	if err != nil {
		t.Fatal(err)
	}
	encode := func(app release.App) string {
		data, err := json.Marshal(app)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	if got, want := encode(filled), encode(texts(address)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if encode(asked) != encode(texts(reference)) {
		t.Error("the scenario's own app was changed")
	}
	if _, err := filledApp(asked, dependencies.Values{}); err == nil {
		t.Error("a reference to nothing is no error")
	}
}

// A dependency outlives its cluster, so its undo must not believe that it went with it.
func TestDependenciesAreUndoneWithoutTheCluster(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	how := gone()
	for _, kind := range slices.Sorted(maps.Keys(dependencies.Undoers())) {
		// The engine cannot be asked any more: whoever says that all is well did not ask.
		if err := how[kind](ctx, json.RawMessage(`{"labels":{"dev.cutover.run":"nobody"}}`)); err == nil {
			t.Errorf("%s is taken for gone", kind)
		}
	}
}
