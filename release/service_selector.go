package release

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/cutover-dev/cutover/history"
)

// ServiceSelector is a Router over the selector of the app's own Service: all of the
// traffic is on one version or on the other. Connections that are open stay where
// they are.
type ServiceSelector struct {
	*Installation
	// Route leads to the Service. The first shift brings it.
	Route *GatewayAPI

	mu    sync.Mutex
	asked []selected // by generation, from 1
}

// selected is what a generation asked for.
type selected struct {
	version history.Version
	at      history.Micros
}

var _ Router = (*ServiceSelector)(nil)

// Shift selects the baseline for a share of 0 and the candidate for 100.
func (r *ServiceSelector) Shift(ctx context.Context, split Split) (Generation, error) {
	version := history.Baseline
	switch {
	case split.Candidate == 100:
		version = history.Candidate
	case split.Candidate != 0 || split.Match != nil:
		return 0, fmt.Errorf("cannot shift %d%% of the traffic: a Service selects one version or the other", split.Candidate)
	}
	r.mu.Lock() // two shifts at once would leave the older one's selector under the newer generation
	defer r.mu.Unlock()
	if err := apply(ctx, r.Client, r.service(r.App.Service, r.only(version))); err != nil {
		return 0, fmt.Errorf("cannot switch to the %s: %w", version, err)
	}
	generation := Generation(len(r.asked) + 1)
	if err := r.Route.announce(ctx, generation, split); err != nil {
		return 0, err
	}
	r.asked = append(r.asked, selected{version, r.Route.Live.Now()})
	return generation, nil
}

// settled is how long only one version must have answered for a switch to be seen:
// longer than gateways take to follow a Service's endpoints one after the other.
const settled = 250 * time.Millisecond

// Serving waits until the version that was selected has answered, and the other one
// has not for a moment: a Service gives answers no generation to tell.
func (r *ServiceSelector) Serving(ctx context.Context, generation Generation) error {
	r.mu.Lock()
	asked := r.asked[generation-1]
	r.mu.Unlock()
	err := await(ctx, func(context.Context) (string, error) { return onlyAnswers(r.Route.Live, asked.version, asked.at), nil })
	if err != nil {
		return fmt.Errorf("the switch to the %s is not seen: %w", asked.version, err)
	}
	return nil
}

// onlyAnswers says what there is against one version having the traffic alone, since
// an instant; "" if it has.
func onlyAnswers(live history.Live, version history.Version, since history.Micros) string {
	now := live.Now()
	seen := live.Window(max(since, now.After(-settled)), now).Versions
	other := history.Baseline
	if version == history.Baseline {
		other = history.Candidate
	}
	switch {
	case now.Sub(since) < settled:
		return "the change is too young"
	case seen[other].N > 0:
		return fmt.Sprintf("the %s still answers", other)
	case seen[version].N == 0:
		return fmt.Sprintf("the %s does not answer", version)
	}
	return ""
}
