package release

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/cutover-dev/cutover/cluster/gateway"
	"github.com/cutover-dev/cutover/history"
)

// The gateway has no RequestMirror filter of the Gateway API. It copies requests for
// a backend of a kind of its own.
var traefikService = schema.GroupVersionKind{Group: gateway.TraefikGroup, Version: "v1alpha1", Kind: "TraefikService"}

// copiedWithin bounds how long the first copies may take to be answered by the candidate.
const copiedWithin = 30 * time.Second

func (s Split) percent() int {
	if s.Mirror == nil {
		return 0
	}
	return s.Mirror.Percent
}

// SafeMethods are those of requests that may be made twice without harm.
var SafeMethods = []string{http.MethodGet, http.MethodHead, http.MethodOptions}

// matches are the requests that are copied.
func (m Mirror) matches() []gatewayv1.HTTPRouteMatch {
	if m.Writes {
		return []gatewayv1.HTTPRouteMatch{{}}
	}
	var matches []gatewayv1.HTTPRouteMatch
	for _, method := range SafeMethods {
		matches = append(matches, gatewayv1.HTTPRouteMatch{Method: new(gatewayv1.HTTPMethod(method))})
	}
	return matches
}

// mirror brings the backend that copies. Each generation has one of its own, so that an
// answer which carries the generation came by way of that mirror and of no other. It is
// left to go with the namespace: for a moment the route that led to it may still be served.
func (r *GatewayAPI) mirror(ctx context.Context, m Mirror, generation Generation) error {
	before, err := r.Copies(ctx)
	if err != nil {
		return fmt.Errorf("cannot copy requests to the candidate: %w", err)
	}
	if err := apply(ctx, r.Client, r.mirrorService(m, generation)); err != nil {
		return fmt.Errorf("cannot copy %d%% of the requests to the candidate: %w", m.Percent, err)
	}
	if r.copied == nil {
		r.copied = map[Generation]gateway.Answers{}
	}
	r.copied[generation] = before
	return nil
}

func (r *GatewayAPI) mirrorName(generation Generation) string {
	return fmt.Sprintf("%s-mirror-%d", r.App.Service, generation)
}

// mirrorService sets no maxBodySize: with one, Traefik 3.6.0 answers users by 500 whose
// requests come in chunks and turn out to be empty.
func (r *GatewayAPI) mirrorService(m Mirror, generation Generation) *unstructured.Unstructured {
	service := func(v history.Version) map[string]any {
		return map[string]any{"kind": "Service", "name": r.App.backend(v), "port": int64(r.App.Ports[httpPort])}
	}
	copied := service(history.Candidate)
	copied["percent"] = int64(m.Percent)
	mirroring := service(history.Baseline)
	mirroring["mirrors"] = []any{copied}
	object := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{"mirroring": mirroring}}}
	object.SetGroupVersionKind(traefikService)
	object.SetNamespace(r.Namespace)
	object.SetName(r.mirrorName(generation))
	labels := gateway.Mark()
	labels[nameLabel], labels[RunLabel] = r.App.Service, r.Run
	object.SetLabels(labels)
	return object
}

func (r *GatewayAPI) mirrorBackend(generation Generation) gatewayv1.HTTPBackendRef {
	return gatewayv1.HTTPBackendRef{BackendRef: gatewayv1.BackendRef{
		BackendObjectReference: gatewayv1.BackendObjectReference{
			Group: new(gatewayv1.Group(traefikService.Group)),
			Kind:  new(gatewayv1.Kind(traefikService.Kind)),
			Name:  gatewayv1.ObjectName(r.mirrorName(generation)),
		},
		Weight: new(int32(100)),
	}}
}

// copying waits until the candidate has answered a request that was copied under the
// generation, if it is one that copies.
func (r *GatewayAPI) copying(ctx context.Context, generation Generation) error {
	r.mu.Lock()
	before, copies := r.copied[generation]
	r.mu.Unlock()
	if !copies {
		return nil
	}
	bounded, cancel := context.WithTimeoutCause(ctx, copiedWithin, errors.New("none was answered in time"))
	defer cancel()
	counted := false
	err := await(bounded, func(ctx context.Context) (string, error) {
		answers, err := r.Copies(ctx)
		if counted = err == nil; !counted || arrived(answers) > arrived(before) {
			return "", err
		}
		return "the candidate has answered none of the requests that the gateway copies", nil
	})
	if err != nil && counted && ctx.Err() == nil {
		return notReady(err)
	}
	return err
}

// account records what became of the copies under the last generation, if it copied.
// What cannot be counted is not recorded.
func (r *GatewayAPI) account(ctx context.Context) {
	before, copies := r.copied[r.last]
	if !copies {
		return
	}
	looking, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	answers, err := r.Copies(looking)
	if err != nil {
		return
	}
	r.Sink.Event(history.NewEvent(r.Live.Now(), history.Mirrored{
		Gen:      int64(r.last),
		Answered: answers.Count(anything) - before.Count(anything),
		Failed:   answers.Count(failed) - before.Count(failed),
	}))
}

// arrived counts the answers that were the candidate's own, and not what the gateway
// says in its place.
func arrived(answers gateway.Answers) int64 {
	return answers.Count(func(status int) bool {
		return status != http.StatusBadGateway && status != http.StatusGatewayTimeout
	})
}

func anything(int) bool { return true }

func failed(status int) bool { return status/100 == 5 }
