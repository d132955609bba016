package release

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/cutover-dev/cutover/cluster/gateway"
	"github.com/cutover-dev/cutover/history"
)

func TestMirrorGolden(t *testing.T) {
	const golden = "testdata/mirror.yaml"
	got, err := yaml.Marshal(router(nil, live{}, &sink{}).mirrorService(Mirror{Percent: 10}, 3).Object)
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("the mirror changed; look at it and run with -update:\n%s", got)
	}
}

// counted gives the answers of a script, the last one for ever.
func counted(script ...gateway.Answers) func(context.Context) (gateway.Answers, error) {
	return func(context.Context) (gateway.Answers, error) {
		answers := script[0]
		if len(script) > 1 {
			script = script[1:]
		}
		if answers == nil {
			return nil, errors.New("the gateway gives no metrics")
		}
		return answers, nil
	}
}

// Each generation that copies has a mirror of its own, and what became of its copies is
// recorded when the next is asked for.
func TestShiftMirrors(t *testing.T) {
	c := builder(t).Build()
	events := &sink{}
	r := router(c, live{served: 4}, events)
	r.Copies = counted(
		gateway.Answers{200: 7}, gateway.Answers{200: 8}, // before the first, and when it is seen
		gateway.Answers{200: 100, 500: 5, 502: 2},                                            // at the end of the first
		gateway.Answers{200: 100, 500: 5, 502: 2}, gateway.Answers{200: 100, 500: 6, 502: 2}, // the second
		gateway.Answers{200: 1000, 500: 50, 502: 2})
	for _, split := range []Split{{}, {Mirror: &Mirror{Percent: 10}}, {Mirror: &Mirror{Percent: 100, Writes: true}}, {Candidate: 100}} {
		generation, err := r.Shift(t.Context(), split)
		if err == nil {
			err = r.Serving(t.Context(), generation)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, percent := range map[string]int64{"shop-mirror-2": 10, "shop-mirror-3": 100} {
		mirror := &unstructured.Unstructured{}
		mirror.SetGroupVersionKind(traefikService)
		if err := c.Get(t.Context(), client.ObjectKey{Namespace: "run-1", Name: name}, mirror); err != nil {
			t.Fatal(err)
		}
		mirrors, _, _ := unstructured.NestedSlice(mirror.Object, "spec", "mirroring", "mirrors")
		if got := mirrors[0].(map[string]any)["percent"]; got != percent {
			t.Errorf("%s copies %v%%", name, got)
		}
	}
	if refs := routeIn(t, c).Spec.Rules[0].BackendRefs; *refs[0].Kind != "Service" {
		t.Errorf("at the end the route leads to %+v", refs[0])
	}
	var told []history.Mirrored
	for _, e := range history.All[history.Mirrored](events.events) {
		told = append(told, e.Data)
	}
	if want := []history.Mirrored{{Gen: 2, Answered: 100, Failed: 7}, {Gen: 3, Answered: 945, Failed: 45}}; !slices.Equal(told, want) {
		t.Errorf("recorded %v, want %v", told, want)
	}
	if routed := history.All[history.Routed](events.events); routed[1].Data != (history.Routed{Gen: 2, Mirror: 10}) {
		t.Errorf("recorded %v", routed)
	}
}

// Without knowing how much it copies, nothing is copied.
func TestShiftMirrorsNothingUncounted(t *testing.T) {
	r := router(builder(t).Build(), live{}, &sink{})
	r.Copies = counted(nil)
	if _, err := r.Shift(t.Context(), Split{Mirror: &Mirror{Percent: 10}}); err == nil || !strings.Contains(err.Error(), "no metrics") {
		t.Errorf("got %v", err)
	}
}

// A mirror is live when the candidate has answered a copy, which takes a mirror that is
// there and a candidate that can be reached.
func TestCopying(t *testing.T) {
	before := gateway.Answers{200: 10, 502: 1}
	for _, row := range []struct {
		comment string
		script  []gateway.Answers
		after   time.Duration
		want    error
		because string
	}{
		// HAPPY PATH: at the third look
		{"answered", []gateway.Answers{before, before, {200: 11, 502: 1}}, 2 * lookEvery, nil, ""},
		// an answer that is bad is one: that is for gates
		{"with an error", []gateway.Answers{{200: 10, 500: 1, 502: 1}}, 0, nil, ""},
		// the gateway answers in its place
		{"unreachable", []gateway.Answers{{200: 10, 502: 90, 504: 5}}, copiedWithin, ErrCandidateNotReady, "answered none"},
		// one look fails
		{"a hiccup", []gateway.Answers{nil, {200: 11}}, lookEvery, nil, ""},
		// nobody knows, and the candidate is not to blame
		{"uncounted", []gateway.Answers{nil}, copiedWithin, context.DeadlineExceeded, "no metrics"},
	} {
		t.Run(row.comment, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := router(nil, live{}, &sink{})
				r.copied = map[Generation]gateway.Answers{2: before}
				r.Copies = counted(row.script...)
				began := time.Now()
				err := r.copying(t.Context(), 2)
				if took := time.Since(began).Round(lookEvery); took != row.after {
					t.Errorf("took %s, want %s", took, row.after)
				}
				switch {
				case row.because == "" && err != nil, row.because != "" && (err == nil || !strings.Contains(err.Error(), row.because)):
					t.Errorf("got %v, want %q", err, row.because)
				case (row.want == ErrCandidateNotReady) != errors.Is(err, ErrCandidateNotReady): //nolint:errorlint // the sentinel itself
					t.Errorf("got %v, want %v", err, row.want)
				}
			})
		})
	}
}
