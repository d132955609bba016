package agent

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/chaos-mesh/chaos-mesh/api/v1alpha1"
)

// Delay is what a packet suffers.
type Delay struct {
	Latency     time.Duration
	Jitter      time.Duration // each packet gets Latency ± up to Jitter
	Correlation float64       // 0 to 1: how much of a packet's jitter is the one before it's
	Seed        int64
}

// parseDelay reads Chaos Mesh's words. Empty ones are Chaos Mesh's defaults.
func parseDelay(spec *v1alpha1.DelaySpec, seed int64) (Delay, error) {
	if spec == nil {
		return Delay{}, fmt.Errorf("the object asks for a delay and says none: set spec.delay.latency")
	}
	delay := Delay{Seed: seed}
	var err error
	if delay.Latency, err = time.ParseDuration(spec.Latency); err != nil {
		return Delay{}, fmt.Errorf("spec.delay.latency: %w", err)
	}
	if spec.Jitter != "" {
		if delay.Jitter, err = time.ParseDuration(spec.Jitter); err != nil {
			return Delay{}, fmt.Errorf("spec.delay.jitter: %w", err)
		}
	}
	if spec.Correlation != "" {
		percent, err := strconv.ParseFloat(spec.Correlation, 64)
		if err != nil {
			return Delay{}, fmt.Errorf("spec.delay.correlation: %w", err)
		}
		delay.Correlation = percent / 100
	}
	return delay, nil
}

// Sequence returns the delays of one packet after another, as netem draws them:
// uniform within the jitter, each draw mixed with the one before it. Each stream
// draws by itself; the first pod of a fault on a node has stream 0.
func (d Delay) Sequence(stream uint64) func() time.Duration {
	if d.Jitter == 0 {
		return func() time.Duration { return d.Latency }
	}
	random := rand.New(rand.NewPCG(uint64(d.Seed), stream))
	last := random.Float64()
	return func() time.Duration {
		last = (1-d.Correlation)*random.Float64() + d.Correlation*last
		return max(0, d.Latency+time.Duration((2*last-1)*float64(d.Jitter)))
	}
}

// seedOf derives a seed from a name, for objects that bring none.
func seedOf(name string) int64 {
	h := fnv.New64a()
	h.Write([]byte(name))
	return int64(h.Sum64())
}
