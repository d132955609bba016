package release

import (
	"context"
	"fmt"
	"slices"

	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/cutover-dev/cutover/history"
)

// wayIn is a Service that users come in by, and its share of them, between 0 and 1.
type wayIn struct {
	service string
	share   float64
}

// waysIn are the Services that the app's routes lead to now: those of the procedure
// where it has routes of its own, the app's Service where it has none. The rules of
// routes count alike: nobody knows how many users each will match.
func (i *Installation) waysIn(ctx context.Context) ([]wayIn, error) {
	routes, err := i.routes(ctx)
	if err != nil {
		return nil, err
	}
	if len(routes) == 0 {
		return []wayIn{{i.App.Service, 1}}, nil
	}
	var rules []gatewayv1.HTTPRouteRule
	for _, route := range routes {
		rules = append(rules, route.Spec.Rules...)
	}
	var ways []wayIn
	for _, rule := range rules {
		ways = append(ways, divide(rule.BackendRefs, 1/float64(len(rules)))...)
	}
	return ways, nil
}

// divide divides a share by weights, which are 1 where nothing is said.
func divide(backends []gatewayv1.HTTPBackendRef, share float64) (ways []wayIn) {
	weight := func(b gatewayv1.HTTPBackendRef) float64 {
		if b.Weight == nil {
			return 1
		}
		return float64(*b.Weight)
	}
	sum := 0.0
	for _, b := range backends {
		sum += weight(b)
	}
	for _, b := range backends {
		if sum > 0 && (b.Kind == nil || *b.Kind == "Service") {
			ways = append(ways, wayIn{string(b.Name), share * weight(b) / sum})
		}
	}
	return ways
}

// routes are those by which requests for the app enter its namespace.
func (i *Installation) routes(ctx context.Context) ([]gatewayv1.HTTPRoute, error) {
	var all gatewayv1.HTTPRouteList
	if err := i.Client.List(ctx, &all, client.InNamespace(i.Namespace)); err != nil {
		return nil, fmt.Errorf("look at the routes that users come in by: %w", err)
	}
	host := gatewayv1.Hostname(Hostname(i.App.Service, i.Namespace))
	return slices.DeleteFunc(all.Items, func(route gatewayv1.HTTPRoute) bool {
		return route.DeletionTimestamp != nil || !slices.Contains(route.Spec.Hostnames, host)
	}), nil
}

// OwnRoute is the router of a procedure that brings up a route of its own for the
// app's host, and moves its weights itself.
type OwnRoute struct{ Live history.Live }

var _ Router = OwnRoute{}

// HasOwnRoute reports whether there is a route for the app's host that is not
// cutover's.
func (i *Installation) HasOwnRoute(ctx context.Context) (bool, error) {
	routes, err := i.routes(ctx)
	return slices.ContainsFunc(routes, func(route gatewayv1.HTTPRoute) bool { return route.Labels[RunLabel] == "" }), err
}

// Shift implements Router: the route is left as it is.
func (OwnRoute) Shift(context.Context, Split) (Generation, error) { return 0, nil }

// Serving waits until the baseline answers through the route.
func (r OwnRoute) Serving(ctx context.Context, _ Generation) error {
	err := await(ctx, func(context.Context) (string, error) {
		if r.Live.Window(0, r.Live.Now()).Versions[history.Baseline].N == 0 {
			return "no answer of the baseline has come by the procedure's own route", nil
		}
		return "", nil
	})
	if err != nil {
		return fmt.Errorf("%w: it must be attached to the Gateway that CUTOVER_GATEWAY names, and lead to the baseline", err)
	}
	return nil
}
