package release

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/cutover-dev/cutover/cluster/gateway"
	"github.com/cutover-dev/cutover/history"
)

// GenerationHeader is set on every answer that came through a route. It names the
// state of the route that the answer obeyed.
const GenerationHeader = "X-Cutover-Generation"

// Hostname is the name by which a service of a run's namespace is asked for at the
// gateway. Runs that share a gateway are told apart by it.
func Hostname(service, namespace string) string {
	return service + "." + namespace + ".cutover.test"
}

// GatewayAPI is a Router over the weights and the matches of an HTTPRoute. The route
// lives in the run's namespace and goes with it. Where it leads to the app's own
// Service it is only how users come in.
type GatewayAPI struct {
	Client    client.Client
	Namespace string
	Run       string
	App       App
	Entry     Entry
	Gateway   types.NamespacedName
	Live      history.Live
	Sink      history.Sink
	// Copies counts what the gateway has had so far for requests that it copied to the
	// candidate. Only splits that mirror need it.
	Copies func(context.Context) (gateway.Answers, error)

	mu     sync.Mutex
	last   Generation
	copied map[Generation]gateway.Answers // of those that mirror: what there was before
}

var _ Router = (*GatewayAPI)(nil)

// Shift asks for a split, and again until the API takes it or ctx ends.
func (r *GatewayAPI) Shift(ctx context.Context, split Split) (Generation, error) {
	if split.Candidate < 0 || split.Candidate > 100 {
		return 0, fmt.Errorf("cannot shift %d%% of the traffic: a share lies between 0 and 100", split.Candidate)
	}
	r.mu.Lock() // two shifts at once would leave the older one's weights under the newer generation
	defer r.mu.Unlock()
	r.account(ctx)
	r.last++
	r.Sink.Event(history.NewEvent(r.Live.Now(), history.Routed{Gen: int64(r.last), Weight: split.Candidate, Mirror: split.percent()}))
	if split.Mirror != nil {
		if err := r.mirror(ctx, *split.Mirror, r.last); err != nil {
			return 0, err
		}
	}
	if err := apply(ctx, r.Client, r.route(split, r.last)); err != nil {
		return 0, fmt.Errorf("cannot shift the candidate to %d%%: %w", split.Candidate, err)
	}
	return r.last, nil
}

// announce brings the route with the first generation that a router asks for which
// moves what the route leads to, and only records the later ones.
func (r *GatewayAPI) announce(ctx context.Context, generation Generation, split Split) error {
	if generation == 1 {
		_, err := r.Shift(ctx, split)
		return err
	}
	r.Sink.Event(history.NewEvent(r.Live.Now(), history.Routed{Gen: int64(generation), Weight: split.Candidate}))
	return nil
}

// Serving waits until an answer of the load has carried the generation: what the
// route's status says is what a controller has read, not what its proxy does.
func (r *GatewayAPI) Serving(ctx context.Context, generation Generation) error {
	select {
	case <-r.Live.Serving(int64(generation)):
		return r.copying(ctx, generation)
	case <-ctx.Done():
		return fmt.Errorf("no answer has carried route generation %d (%w); the route is %s", generation, context.Cause(ctx), r.status(ctx))
	}
}

// route states every field that the API would default, so that nothing of it is
// another one after it was applied. The generation is set by the rule: there is no gateway that
// honours a filter on a backendRef among those we know.
func (r *GatewayAPI) route(split Split, generation Generation) *gatewayv1.HTTPRoute {
	return &gatewayv1.HTTPRoute{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: r.Namespace,
			Name:      r.App.Service,
			Labels:    map[string]string{nameLabel: r.App.Service, RunLabel: r.Run},
		},
		Spec: gatewayv1.HTTPRouteSpec{
			CommonRouteSpec: gatewayv1.CommonRouteSpec{ParentRefs: []gatewayv1.ParentReference{{
				Group:     new(gatewayv1.Group(gatewayv1.GroupName)),
				Kind:      new(gatewayv1.Kind("Gateway")),
				Namespace: new(gatewayv1.Namespace(r.Gateway.Namespace)),
				Name:      gatewayv1.ObjectName(r.Gateway.Name),
			}}},
			Hostnames: []gatewayv1.Hostname{gatewayv1.Hostname(Hostname(r.App.Service, r.Namespace))},
			Rules:     r.rules(split, generation),
		},
	}
}

// rules are the one for everybody, and before it the one for those who match or whose
// requests are copied.
func (r *GatewayAPI) rules(split Split, generation Generation) []gatewayv1.HTTPRouteRule {
	everybody := []gatewayv1.HTTPRouteMatch{{}}
	switch {
	case split.Mirror != nil:
		// The gateway hears of routes and of mirrors apart. Until it knows of the mirror,
		// the first rule is void to it and users come in by the second, which is as it was:
		// so is its generation.
		return []gatewayv1.HTTPRouteRule{
			r.rule(split.Mirror.matches(), generation, r.mirrorBackend(generation)),
			r.rule(everybody, generation-1, r.backends(split.Candidate)...),
		}
	case split.Match != nil:
		chosen := []gatewayv1.HTTPRouteMatch{{Headers: []gatewayv1.HTTPHeaderMatch{split.Match.header()}}}
		return []gatewayv1.HTTPRouteRule{
			r.rule(chosen, generation, r.backend(r.App.backend(history.Candidate), 100)),
			r.rule(everybody, generation, r.backends(split.Candidate)...),
		}
	default:
		return []gatewayv1.HTTPRouteRule{r.rule(everybody, generation, r.backends(split.Candidate)...)}
	}
}

// rule is for requests that match one of several.
func (r *GatewayAPI) rule(matches []gatewayv1.HTTPRouteMatch, generation Generation, backends ...gatewayv1.HTTPBackendRef) gatewayv1.HTTPRouteRule {
	for i := range matches {
		matches[i].Path = &gatewayv1.HTTPPathMatch{Type: new(gatewayv1.PathMatchPathPrefix), Value: new("/")}
	}
	return gatewayv1.HTTPRouteRule{
		Matches: matches,
		Filters: []gatewayv1.HTTPRouteFilter{{
			Type: gatewayv1.HTTPRouteFilterResponseHeaderModifier,
			ResponseHeaderModifier: &gatewayv1.HTTPHeaderFilter{Set: []gatewayv1.HTTPHeader{{
				Name:  GenerationHeader,
				Value: strconv.FormatInt(int64(generation), 10),
			}}},
		}},
		BackendRefs: backends,
	}
}

// header is the match in the API's words. It has none for cookies: they all stand in
// one header.
func (m Match) header() gatewayv1.HTTPHeaderMatch {
	if m.Header != "" {
		return gatewayv1.HTTPHeaderMatch{Type: new(gatewayv1.HeaderMatchExact), Name: gatewayv1.HTTPHeaderName(m.Header), Value: m.Value}
	}
	pair := regexp.QuoteMeta(m.Cookie + "=" + m.Value)
	return gatewayv1.HTTPHeaderMatch{Type: new(gatewayv1.HeaderMatchRegularExpression), Name: "Cookie", Value: `^(.*;\s*)?` + pair + `(;.*)?$`}
}

func (r *GatewayAPI) backends(candidate int) []gatewayv1.HTTPBackendRef {
	if r.Entry != ByVersion {
		return []gatewayv1.HTTPBackendRef{r.backend(r.App.Service, 100)}
	}
	return []gatewayv1.HTTPBackendRef{
		r.backend(r.App.backend(history.Baseline), 100-candidate),
		r.backend(r.App.backend(history.Candidate), candidate),
	}
}

func (r *GatewayAPI) backend(service string, weight int) gatewayv1.HTTPBackendRef {
	return gatewayv1.HTTPBackendRef{BackendRef: gatewayv1.BackendRef{
		BackendObjectReference: gatewayv1.BackendObjectReference{
			Group: new(gatewayv1.Group("")),
			Kind:  new(gatewayv1.Kind("Service")),
			Name:  gatewayv1.ObjectName(service),
			Port:  new(gatewayv1.PortNumber(r.App.Ports[httpPort])),
		},
		Weight: new(int32(weight)),
	}}
}

// status is what the gateway last said of the route, read with time of its own:
// the caller's is over.
func (r *GatewayAPI) status(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookTimeout)
	defer cancel()
	var route gatewayv1.HTTPRoute
	if err := r.Client.Get(ctx, client.ObjectKey{Namespace: r.Namespace, Name: r.App.Service}, &route); err != nil {
		return fmt.Sprintf("unreadable: %v", err)
	}
	var said []string
	for _, parent := range route.Status.Parents {
		for _, c := range parent.Conditions {
			said = append(said, strings.TrimSpace(fmt.Sprintf("%s=%s (%s) %s", c.Type, c.Status, c.Reason, c.Message)))
		}
	}
	if len(said) == 0 {
		return "not looked at by any gateway: is the gateway " + r.Gateway.String() + " running?"
	}
	return strings.Join(said, ", ")
}
