package faults

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/chaos-mesh/chaos-mesh/api/v1alpha1"
	corev1 "k8s.io/api/core/v1"

	"github.com/cutover-dev/cutover/faults/train"
)

var _ = register(v1alpha1.KindNetworkChaos, string(v1alpha1.BandwidthAction), parseNetworkBandwidth)

// parseNetworkBandwidth reads the fault that limits how fast the pods send.
func parseNetworkBandwidth(spec Spec) (Fault, error) {
	read, lasts, err := parseNetwork(spec, networkShape{
		part: "bandwidth", of: &v1alpha1.BandwidthSpec{}, keys: []string{"rate", "limit", "buffer", "peakrate", "minburst"},
		example: "bandwidth: {rate: 1mbps, limit: 20000, buffer: 10000}", directions: onlyTo,
	})
	if err != nil {
		return nil, err
	}
	by := &throughput{buffer: float64(read.Bandwidth.Buffer)}
	if by.rate, err = bytesPerSecond(read.Bandwidth.Rate); err != nil {
		return nil, err
	}
	for key, value := range map[string]uint32{"limit": read.Bandwidth.Limit, "buffer": read.Bandwidth.Buffer} {
		if value == 0 {
			return nil, fmt.Errorf("chaos.spec.bandwidth.%s is missing: write a number of bytes, such as %s: 10000", key, key)
		}
	}
	return network("NetworkChaos bandwidth "+read.Bandwidth.Rate, read, lasts, by)
}

// rates are tc's units, in bytes a second: bit is a bit a second, bps a byte a second.
var rates = []struct {
	name  string
	bytes float64
}{
	{"kbit", 1e3 / 8}, {"mbit", 1e6 / 8}, {"gbit", 1e9 / 8}, {"tbit", 1e12 / 8}, {"bit", 1.0 / 8},
	{"kbps", 1e3}, {"mbps", 1e6}, {"gbps", 1e9}, {"tbps", 1e12}, {"bps", 1},
}

func bytesPerSecond(text string) (float64, error) {
	lower := strings.ToLower(strings.TrimSpace(text))
	for _, unit := range rates {
		number, has := strings.CutSuffix(lower, unit.name)
		if !has {
			continue
		}
		count, err := strconv.ParseUint(strings.TrimSpace(number), 10, 64)
		if err != nil || count == 0 {
			break
		}
		return float64(count) * unit.bytes, nil
	}
	return 0, fmt.Errorf("chaos.spec.bandwidth.rate: bad rate %q: write a whole number and a unit, such as 1mbps; mbit are bits, mbps are bytes, a second", text)
}

// throughput is the evidence of a limited bandwidth: echoes that are sent to a pod
// twice as fast as it may answer come back at its rate.
type throughput struct {
	rate   float64 // bytes a second
	buffer float64 // bytes that go at once
	noted  notes[float64]
}

// trainLasts is how long echoes are sent: what the limit's queue holds then delays
// the pod's own answers by no more than half of it.
const trainLasts = 500 * time.Millisecond

// leastSteps of the rate are seen by a train.
const leastSteps = 25

// plan is a train of twice the rate, after the buffer has been emptied.
func (b *throughput) plan() train.Plan {
	bytes := 2 * b.rate * trainLasts.Seconds()
	size := int(min(max(bytes/(2*leastSteps)-train.Headers, 64), 1000))
	whole := float64(size + train.Headers)
	first := int(math.Ceil(b.buffer / whole))
	rate := max(1, int(2*b.rate/whole))
	count := first + max(leastSteps, int(bytes/whole))
	return train.Plan{Count: min(count, mostFlood), Size: size, Rate: rate, First: min(first, mostFlood/2), Wait: echoWait}
}

// mostFlood is how many echoes a bandwidth is measured with at most.
const mostFlood = 50_000

// perSecond is how many bytes a second came back, without those that go at once.
func (b *throughput) perSecond(plan train.Plan, r train.Result) float64 {
	bytes := float64(r.Whole*(plan.Size+train.Headers)) - b.buffer
	if r.Took <= 0 || bytes <= 0 {
		return 0
	}
	return bytes / r.Took.Seconds()
}

func (b *throughput) before(ctx context.Context, t Target, pods []corev1.Pod) error {
	plan := b.plan()
	results, err := t.sendTrain(ctx, plan, pods)
	if err != nil {
		return err
	}
	for _, pod := range pods {
		if r, there := results[pod.Status.PodIP]; there {
			b.noted.put(pod.UID, b.perSecond(plan, r))
		}
	}
	return nil
}

// during demands that every pod answers at the rate asked for, give or take a
// quarter, where before it answered at one and a half times that at least.
func (b *throughput) during(ctx context.Context, t Target, hits []hit) (Effect, error) {
	pods, err := t.living(ctx, hits)
	if err != nil || len(pods) == 0 {
		return Effect{Because: "no pod under the fault is alive"}, err
	}
	plan := b.plan()
	results, err := t.sendTrain(ctx, plan, pods)
	if err != nil {
		return Effect{}, err
	}
	var seen tally
	for _, pod := range pods {
		before, noted := b.noted.get(pod.UID)
		r, there := results[pod.Status.PodIP]
		if !there || !noted {
			seen.doubt(fmt.Sprintf("pod %s could not be measured before and during", pod.Name))
			continue
		}
		now := b.perSecond(plan, r)
		said := fmt.Sprintf("pod %s answers %s a second; before, %s", pod.Name, inBytes(now), inBytes(before))
		switch {
		case before < 1.5*b.rate:
			seen.doubt(said + ", too little to see the limit by")
		case now > 1.25*b.rate || now < 0.25*b.rate:
			seen.doubt(said)
		default:
			seen.shows(pod.Name, said)
		}
	}
	return seen.effect(fmt.Sprintf("asked for %s a second", inBytes(b.rate))), nil
}

func inBytes(n float64) string {
	switch {
	case n >= 1e6:
		return fmt.Sprintf("%.1f MB", n/1e6)
	case n >= 1e3:
		return fmt.Sprintf("%.1f kB", n/1e3)
	}
	return fmt.Sprintf("%.0f B", n)
}
