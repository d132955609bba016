package release

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cutover-dev/cutover/history"
)

// ReplicaShare is a Router for clusters without one: the app's Service selects the
// pods of both versions, and the candidate's share is its share of the pods. Traffic
// moves when pods come and go, so a shift takes as long as they do.
type ReplicaShare struct {
	*Installation
	// Route leads to the Service. The first shift brings it.
	Route    *GatewayAPI
	Versions Versions

	mu    sync.Mutex
	asked []podShare // by generation, from 1
}

// podShare is what a generation asked for.
type podShare struct {
	pods           map[history.Version]int
	grows, shrinks history.Version
	at             history.Micros
}

var _ Router = (*ReplicaShare)(nil)

// sharesOfPods refuses shares that no number of pods of so many has, or that two
// steps would have in common.
func sharesOfPods(steps []int, replicas int) error {
	last := 0
	for _, weight := range steps {
		n := candidatePods(weight, replicas)
		if n == last {
			return fmt.Errorf("release.steps: with router replicas a share is a number of pods, and of %d pods the steps up to %d%% have %d: raise app.replicas or leave the step out", replicas, weight, n)
		}
		last = n
	}
	return nil
}

// candidatePods is the number of pods that comes nearest to a share of the traffic:
// all of them for 100 only, none for 0 only.
func candidatePods(weight, replicas int) int {
	switch weight {
	case 0, 100:
		return weight * replicas / 100
	}
	return max(1, min(replicas-1, (weight*replicas+50)/100))
}

// Shift asks for the pods that the growing version lacks. Those that the other one
// has too many go when these are ready: see Serving.
func (r *ReplicaShare) Shift(ctx context.Context, split Split) (Generation, error) {
	if split.Candidate < 0 || split.Candidate > 100 || split.Match != nil {
		return 0, fmt.Errorf("cannot shift %d%% of the traffic: pods take a share between 0 and 100 of everybody's", split.Candidate)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	share, generation := r.share(split.Candidate), Generation(len(r.asked)+1)
	if err := r.Route.announce(ctx, generation, split); err != nil {
		return 0, err
	}
	if generation > 1 { // before, nobody but the baseline is there
		err := await(ctx, func(ctx context.Context) (string, error) {
			return "", r.scale(ctx, share.grows, share.pods[share.grows])
		})
		if err != nil {
			return 0, fmt.Errorf("cannot shift the candidate to %d%%: %w", split.Candidate, err)
		}
	}
	r.asked = append(r.asked, share)
	return generation, nil
}

// share is what a weight comes to, from where the last one has left the pods.
func (r *ReplicaShare) share(weight int) podShare {
	replicas := r.Replicas(history.Baseline)
	candidates := candidatePods(weight, replicas)
	share := podShare{
		pods:  map[history.Version]int{history.Candidate: candidates, history.Baseline: replicas - candidates},
		grows: history.Baseline, shrinks: history.Candidate, at: r.Route.Live.Now(),
	}
	if n := len(r.asked); n > 0 && candidates > r.asked[n-1].pods[history.Candidate] {
		share.grows, share.shrinks = share.shrinks, share.grows
	}
	return share
}

// podsWithin bounds how long the pods of a share may take to be ready.
const podsWithin = time.Minute

// Serving waits for the growing version's pods, takes the other's away, and waits
// until whoever has a share has answered and whoever has none is silent.
func (r *ReplicaShare) Serving(ctx context.Context, generation Generation) error {
	r.mu.Lock()
	share := r.asked[generation-1]
	r.mu.Unlock()
	bounded, cancel := context.WithTimeoutCause(ctx, podsWithin, errors.New("its pods were not ready in time"))
	defer cancel()
	if err := r.Versions.AwaitReady(bounded, share.grows); err != nil {
		if share.grows == history.Candidate {
			return notReady(err)
		}
		return err
	}
	if err := r.shrink(bounded, share); err != nil {
		return err
	}
	return await(ctx, func(context.Context) (string, error) { return r.unseen(share), nil })
}

func (r *ReplicaShare) shrink(ctx context.Context, share podShare) error {
	left := share.pods[share.shrinks]
	if left == 0 {
		return r.Versions.Retire(ctx, share.shrinks)
	}
	err := await(ctx, func(ctx context.Context) (string, error) { return "", r.scale(ctx, share.shrinks, left) })
	if err != nil {
		return fmt.Errorf("cannot take pods of the %s away: %w", share.shrinks, err)
	}
	return r.Versions.AwaitReady(ctx, share.shrinks)
}

// unseen says what answers do not show yet; "" if they obey the share.
func (r *ReplicaShare) unseen(share podShare) string {
	if share.pods[share.shrinks] == 0 {
		return onlyAnswers(r.Route.Live, share.grows, share.at)
	}
	if r.Route.Live.Window(share.at, r.Route.Live.Now()).Versions[share.grows].N == 0 {
		return fmt.Sprintf("the %s does not answer", share.grows)
	}
	return ""
}
