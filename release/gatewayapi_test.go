package release

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/yaml"

	"github.com/cutover-dev/cutover/history"
)

var update = flag.Bool("update", false, "write the golden files")

// live is a view of a load whose answers have carried generation served so far.
type live struct{ served int64 }

func (live) Now() history.Micros                              { return 0 }
func (live) Window(_, _ history.Micros) (none history.Window) { return none }
func (l live) Serving(generation int64) <-chan struct{} {
	seen := make(chan struct{})
	if generation <= l.served {
		close(seen)
	}
	return seen
}

func router(c client.Client, view history.Live, events history.Sink) *GatewayAPI {
	return &GatewayAPI{
		Client:    c,
		Namespace: "run-1",
		Run:       "r1",
		App:       shop(),
		Entry:     ByVersion,
		Gateway:   types.NamespacedName{Namespace: "cutover-system", Name: "cutover-gateway"},
		Live:      view,
		Sink:      events,
	}
}

func routeIn(t *testing.T, c client.Client) *gatewayv1.HTTPRoute {
	t.Helper()
	route := &gatewayv1.HTTPRoute{}
	if err := c.Get(t.Context(), client.ObjectKey{Namespace: "run-1", Name: "shop"}, route); err != nil {
		t.Fatal(err)
	}
	return route
}

func TestRouteGolden(t *testing.T) {
	for golden, split := range map[string]Split{
		"testdata/route.yaml": {Candidate: 25},
		// those who match come first
		"testdata/route_header.yaml": {Match: &Match{Header: "X-Group", Value: "beta"}},
		"testdata/route_cookie.yaml": {Match: &Match{Cookie: "group", Value: "be.ta"}},
		// so do those whose requests are copied
		"testdata/route_mirror.yaml":        {Mirror: &Mirror{Percent: 10}},
		"testdata/route_mirror_writes.yaml": {Mirror: &Mirror{Percent: 10, Writes: true}},
	} {
		t.Run(golden, func(t *testing.T) { testRouteGolden(t, golden, split) })
	}
}

// A cookie is found wherever it stands among others, and only as a whole.
func TestCookieMatch(t *testing.T) {
	pattern := regexp.MustCompile(Match{Cookie: "group", Value: "be.ta"}.header().Value)
	for cookies, want := range map[string]bool{
		"group=be.ta":           true,
		"a=b; group=be.ta; c=d": true,
		"a=b;group=be.ta":       true,
		"group=beXta":           false, // the dot is no pattern
		"mygroup=be.ta":         false,
		"group=be.tag":          false,
		"other=group=be.ta":     false,
	} {
		if pattern.MatchString(cookies) != want {
			t.Errorf("%q: matched %t", cookies, !want)
		}
	}
}

func testRouteGolden(t *testing.T, golden string, split Split) {
	got, err := yaml.Marshal(router(nil, live{}, &sink{}).route(split, 3).Spec)
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
	if !bytes.Equal(got, want) {
		t.Errorf("the route changed; look at it and run with -update:\n%s", got)
	}
}

func TestShift(t *testing.T) {
	c := builder(t).Build()
	events := &sink{}
	r := router(c, live{}, events)
	for i, weight := range []int{0, 25, 100, 0} {
		generation, err := r.Shift(t.Context(), Split{Candidate: weight})
		if err != nil || generation != Generation(i+1) {
			t.Fatalf("generation %d, %v", generation, err)
		}
		refs := routeIn(t, c).Spec.Rules[0].BackendRefs
		if len(refs) != 2 || *refs[0].Weight != int32(100-weight) || *refs[1].Weight != int32(weight) {
			t.Errorf("at %d%%: %+v", weight, refs)
		}
	}
	if routed := history.All[history.Routed](events.events); len(routed) != 4 || routed[1].Data != (history.Routed{Gen: 2, Weight: 25}) {
		t.Errorf("recorded %v", routed)
	}
}

// A share that is none is refused before anybody hears of it.
func TestShiftRefuses(t *testing.T) {
	for _, weight := range []int{-1, 101} {
		events := &sink{}
		if _, err := router(nil, live{}, events).Shift(t.Context(), Split{Candidate: weight}); err == nil || len(events.events) != 0 {
			t.Errorf("%d%% was taken", weight)
		}
	}
}

func TestServing(t *testing.T) {
	c := builder(t).Build()
	r := router(c, live{served: 1}, &sink{})
	first, err := r.Shift(t.Context(), Split{})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Serving(t.Context(), first); err != nil {
		t.Error(err)
	}
	second, err := r.Shift(t.Context(), Split{Candidate: 5})
	if err != nil {
		t.Fatal(err)
	}
	// No gateway has looked at the route: the reader must be pointed there.
	err = r.Serving(within(t, 20*time.Millisecond), second)
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "not looked at by any gateway") {
		t.Errorf("got %v", err)
	}
	route := routeIn(t, c)
	route.Status.Parents = []gatewayv1.RouteParentStatus{{
		ParentRef:      route.Spec.ParentRefs[0],
		ControllerName: "example.com/gateway",
		Conditions: []metav1.Condition{{
			Type: "ResolvedRefs", Status: metav1.ConditionFalse, Reason: "BackendNotFound", Message: "no such service", LastTransitionTime: metav1.Now(),
		}},
	}}
	if err := c.Status().Update(t.Context(), route); err != nil {
		t.Fatal(err)
	}
	err = r.Serving(within(t, 20*time.Millisecond), second)
	if err == nil || !strings.Contains(err.Error(), "ResolvedRefs=False (BackendNotFound) no such service") {
		t.Errorf("got %v", err)
	}
}

func ExampleHostname() {
	fmt.Print(Hostname("shop", "run-1"))
	// Output: shop.run-1.cutover.test
}
