package faults

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/cutover-dev/cutover/faults/train"
)

// echoes are the evidence of damage to single packets: of a train of echoes to a
// pod, so many suffer it.
type echoes struct {
	percent float64 // of the packets, that are to suffer
	what    string  // becomes of those: "did not come back"
	count   func(train.Result) int
	noted   notes[float64] // the share that suffered without the fault
}

const (
	// mostEchoes of a train: two seconds of them.
	mostEchoes, echoRate = 10_000, 5_000
	leastEchoes          = 200
	// echoSize makes nineteen of twenty bits of a packet the echo's own.
	echoSize = 900
	// echoWait is how long the last echo may take.
	echoWait = 500 * time.Millisecond
)

// length is how many echoes tell a fault as asked for from half of it: of n of them,
// each suffering with chance p, fewer than np/2 do so with a chance of exp(-np/8) at
// most (Chernoff), which is one in a million at np = 111. So many more are sent that
// one comes back whole, with the same certainty, unless none is to.
func (e *echoes) length() int {
	p := e.percent / 100
	n := 111 / p
	if p < 1 {
		n = max(n, 14/-math.Log(p))
	}
	return int(min(max(math.Ceil(n), leastEchoes), mostEchoes))
}

// tooFew is true of a share so small that no train shows it.
func (e *echoes) tooFew() bool { return e.percent/100*mostEchoes < 100 }

func (e *echoes) plan() train.Plan {
	return train.Plan{Count: e.length(), Size: echoSize, Rate: echoRate, Wait: echoWait}
}

func (e *echoes) before(ctx context.Context, t Target, pods []corev1.Pod) error {
	if e.tooFew() {
		return nil
	}
	results, err := t.sendTrain(ctx, e.plan(), pods)
	if err != nil {
		return err
	}
	for _, pod := range pods {
		if r, there := results[pod.Status.PodIP]; there && r.Sent > 0 {
			e.noted.put(pod.UID, e.share(r))
		}
	}
	return nil
}

func (e *echoes) share(r train.Result) float64 { return float64(e.count(r)) / float64(r.Sent) }

// during demands that of the echoes to every pod under the fault more suffer than
// before, by half of what was asked for at least, and that not all is lost.
func (e *echoes) during(ctx context.Context, t Target, hits []hit) (Effect, error) {
	if e.tooFew() {
		return Effect{Because: fmt.Sprintf("asked for %g %%: a train of %d echoes shows no less than 1 %%", e.percent, mostEchoes)}, nil
	}
	pods, err := t.living(ctx, hits)
	if err != nil || len(pods) == 0 {
		return Effect{Because: "no pod under the fault is alive"}, err
	}
	results, err := t.sendTrain(ctx, e.plan(), pods)
	if err != nil {
		return Effect{}, err
	}
	var seen tally
	for _, pod := range pods {
		before, noted := e.noted.get(pod.UID)
		r, there := results[pod.Status.PodIP]
		if !there || r.Sent == 0 || !noted {
			seen.doubt(fmt.Sprintf("pod %s could not be measured before and during", pod.Name))
			continue
		}
		share := e.share(r)
		said := fmt.Sprintf("of %d echoes of pod %s %d %s (%.1f %%; before, %.1f %%)", r.Sent, pod.Name, e.count(r), e.what, 100*share, 100*before)
		switch {
		case share-before < e.percent/200:
			seen.doubt(said)
		case r.Whole == 0 && e.percent < 100:
			seen.doubt(said + ", and none came back whole")
		default:
			seen.shows(pod.Name, said)
		}
	}
	return seen.effect(fmt.Sprintf("asked for %g %%, at least %g %% must show", e.percent, e.percent/2)), nil
}

// sendTrain sends a train to every pod from its own node, and gives what came of it
// by the pod's address.
func (t Target) sendTrain(ctx context.Context, plan train.Plan, pods []corev1.Pod) (map[string]train.Result, error) {
	if t.OnNodes == nil {
		return nil, errors.New("no echoes can be sent: this cluster's provider cannot run a program in its nodes' networks")
	}
	for _, pod := range pods {
		addr, err := netip.ParseAddr(pod.Status.PodIP)
		if err != nil {
			return nil, fmt.Errorf("address of pod %s: %w", pod.Name, err)
		}
		plan.Pods = append(plan.Pods, addr)
	}
	printed, err := t.OnNodes(ctx, train.Command, plan.Argument())
	if err != nil {
		return nil, fmt.Errorf("send a train of echoes: %w", err)
	}
	results := map[string]train.Result{}
	for node, text := range printed {
		if strings.TrimSpace(text) == "" {
			continue // a node that is down
		}
		of, err := train.ParseResults(text)
		if err != nil {
			return nil, fmt.Errorf("node %s: %w", node, err)
		}
		for _, r := range of {
			// Two nodes may both believe an address to be near: the pod's own is right.
			own := slices.ContainsFunc(pods, func(pod corev1.Pod) bool { return pod.Status.PodIP == r.Pod.String() && pod.Spec.NodeName == node })
			if _, there := results[r.Pod.String()]; !there || own {
				results[r.Pod.String()] = r
			}
		}
	}
	return results, nil
}
