package conformance

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/cutover-dev/cutover/faults/train"
)

// instruments are what quantities are measured with, in the order of their use.
var instruments = []struct {
	quantities []Quantity
	// measure gives the figures of each pod; the first pod is the bystander.
	measure func(*Ground, context.Context, Phase, []corev1.Pod) [][]Figure
}{
	{[]Quantity{There, Restarts, ExitCode, OwnImage}, (*Ground).containers},
	{[]Quantity{Answered, Refused, Silent}, func(g *Ground, ctx context.Context, _ Phase, pods []corev1.Pod) [][]Figure {
		return gauge{g.Dial}.connections(ctx, addresses(pods))
	}},
	{[]Quantity{RoundTrip, RoundTripLow, RoundTripHigh}, func(g *Ground, ctx context.Context, _ Phase, pods []corev1.Pod) [][]Figure {
		return gauge{g.Dial}.roundTrips(ctx, addresses(pods))
	}},
	{[]Quantity{Lost, Again, Damaged}, (*Ground).echoes},
	{[]Quantity{Throughput}, func(g *Ground, ctx context.Context, _ Phase, pods []corev1.Pod) [][]Figure {
		return gauge{g.Dial}.throughputs(ctx, addresses(pods))
	}},
	{[]Quantity{Processor, Memory}, (*Ground).usage},
}

// Measure measures the quantities of pods, of which the first is the bystander.
func (g *Ground) Measure(ctx context.Context, phase Phase, pods []corev1.Pod, quantities []Quantity) []Figure {
	var figures []Figure
	for _, instrument := range instruments {
		if !slices.ContainsFunc(instrument.quantities, func(q Quantity) bool { return slices.Contains(quantities, q) }) {
			continue
		}
		for i, of := range instrument.measure(g, ctx, phase, pods) {
			of = slices.DeleteFunc(of, func(f Figure) bool { return !slices.Contains(quantities, f.Quantity) })
			figures = append(figures, phased(phase, pods[i].Name, of...)...)
		}
	}
	return figures
}

func addresses(pods []corev1.Pod) []string {
	var all []string
	for _, pod := range pods {
		all = append(all, address(pod))
	}
	return all
}

// settleWithin is how long containers that do not run are waited for.
const settleWithin = 10 * time.Second

// containers says what has become of the pods' containers, once all of them run.
func (g *Ground) containers(ctx context.Context, phase Phase, pods []corev1.Pod) [][]Figure {
	all := make([][]Figure, len(pods))
	now, err := g.settled(ctx, pods)
	for i := range pods {
		if err != nil {
			all[i] = []Figure{unmeasured(There, err.Error())}
			continue
		}
		if phase == Before && now[i] != nil {
			n := g.noted[pods[i].UID]
			n.restarts = restarts(*now[i])
			g.noted[pods[i].UID] = n
		}
		all[i] = g.containersOf(now[i], now[0])
	}
	return all
}

// settled are the pods once all that are there run, or do not for long; nil for one
// that is gone.
func (g *Ground) settled(ctx context.Context, pods []corev1.Pod) ([]*corev1.Pod, error) {
	now := make([]*corev1.Pod, len(pods))
	for deadline := time.Now().Add(settleWithin); ; {
		settled := true
		for i, pod := range pods {
			var err error
			if now[i], err = g.again(ctx, pod); err != nil {
				return nil, err
			}
			settled = settled && (now[i] == nil || runs(*now[i]))
		}
		if settled || time.Now().After(deadline) || !pause(ctx, 2*pollEvery) {
			return now, nil
		}
	}
}

// again is the pod as it is now; nil if it is gone or going.
func (g *Ground) again(ctx context.Context, pod corev1.Pod) (*corev1.Pod, error) {
	var now corev1.Pod
	err := g.Client.Get(ctx, client.ObjectKeyFromObject(&pod), &now)
	switch {
	case apierrors.IsNotFound(err), err == nil && (now.UID != pod.UID || now.DeletionTimestamp != nil):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("look at pod %s: %w", pod.Name, err)
	}
	return &now, nil
}

func (g *Ground) containersOf(pod, bystander *corev1.Pod) []Figure {
	if pod == nil {
		return []Figure{value(There, 0, 1)}
	}
	figures := []Figure{value(There, 1, 1), value(Restarts, float64(restarts(*pod)-g.noted[pod.UID].restarts), 1)}
	for _, status := range pod.Status.ContainerStatuses {
		if last := status.LastTerminationState.Terminated; last != nil {
			figures = append(figures, value(ExitCode, float64(last.ExitCode), 1))
		}
		own := 0.0
		if bystander != nil && status.State.Running != nil && status.ImageID == bystander.Status.ContainerStatuses[0].ImageID {
			own = 1
		}
		figures = append(figures, value(OwnImage, own, 1))
	}
	return figures
}

func runs(pod corev1.Pod) bool {
	return len(pod.Status.ContainerStatuses) > 0 && pod.Status.ContainerStatuses[0].State.Running != nil
}

func restarts(pod corev1.Pod) int {
	count := 0
	for _, status := range pod.Status.ContainerStatuses {
		count += int(status.RestartCount)
	}
	return count
}

// pause is false if ctx ended before d was over.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// echoPlan is a train long enough for chance to be within 5 points of a third in 999
// of 1,000 trials, and slow enough for any socket's buffer.
var echoPlan = train.Plan{Count: 1000, Size: 900, Rate: 1000, Wait: 500 * time.Millisecond}

// echoes sends a train to each pod from its own node.
func (g *Ground) echoes(ctx context.Context, phase Phase, pods []corev1.Pod) [][]Figure {
	results, err := g.sendTrain(ctx, pods)
	all := make([][]Figure, len(pods))
	for i, pod := range pods {
		r, there := results[pod.Status.PodIP]
		if err != nil || !there {
			because := "its node sent no echoes"
			if err != nil {
				because = err.Error()
			}
			all[i] = []Figure{unmeasured(Lost, because), unmeasured(Again, because), unmeasured(Damaged, because)}
			continue
		}
		all[i] = []Figure{share(Lost, r.Sent-r.Whole-r.Damaged, r.Sent), share(Again, r.Again, r.Sent), share(Damaged, r.Damaged, r.Sent)}
	}
	return all
}

func (g *Ground) sendTrain(ctx context.Context, pods []corev1.Pod) (map[string]train.Result, error) {
	if g.OnNodes == nil {
		return nil, errUnreachable
	}
	plan := echoPlan
	for _, pod := range pods {
		addr, err := netip.ParseAddr(pod.Status.PodIP)
		if err != nil {
			return nil, fmt.Errorf("address of pod %s: %w", pod.Name, err)
		}
		plan.Pods = append(plan.Pods, addr)
	}
	printed, err := g.OnNodes(ctx, train.Command, plan.Argument())
	if err != nil {
		return nil, err
	}
	results := map[string]train.Result{}
	for node, text := range printed {
		of, err := train.ParseResults(text)
		if err != nil {
			return nil, fmt.Errorf("node %s: %w", node, err)
		}
		for _, r := range of {
			if slices.ContainsFunc(pods, func(pod corev1.Pod) bool { return pod.Status.PodIP == r.Pod.String() && pod.Spec.NodeName == node }) {
				results[r.Pod.String()] = r
			}
		}
	}
	return results, nil
}

// usedFor is what the use of processors is averaged over.
const usedFor = 3 * time.Second

// usage is what each pod uses, as its own cgroups count it: cores over a while, and
// memory at its end.
func (g *Ground) usage(ctx context.Context, _ Phase, pods []corev1.Pod) [][]Figure {
	firsts, failures := make([]inside, len(pods)), make([]error, len(pods))
	for i, pod := range pods {
		firsts[i], failures[i] = gauge{g.Dial}.look(ctx, address(pod))
	}
	pause(ctx, usedFor)
	all := make([][]Figure, len(pods))
	for i, pod := range pods {
		now, err := gauge{g.Dial}.look(ctx, address(pod))
		if err = cmp.Or(failures[i], err); err != nil {
			all[i] = []Figure{unmeasured(Processor, err.Error()), unmeasured(Memory, err.Error())}
			continue
		}
		all[i] = usageOf(firsts[i], now)
	}
	return all
}

func usageOf(was, now inside) []Figure {
	if now.Unknown != "" {
		return []Figure{unmeasured(Processor, now.Unknown), unmeasured(Memory, now.Unknown)}
	}
	return []Figure{value(Processor, (now.Busy-was.Busy).Seconds()/(now.At-was.At).Seconds(), 1), value(Memory, float64(now.Memory)/1e6, 1)}
}
