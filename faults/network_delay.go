package faults

import (
	"context"
	"fmt"
	"regexp"
	"time"

	"github.com/chaos-mesh/chaos-mesh/api/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

var _ = register(v1alpha1.KindNetworkChaos, string(v1alpha1.DelayAction), parseNetworkDelay)

// parseNetworkDelay reads the fault that makes everything that the target's pods
// send arrive later.
func parseNetworkDelay(spec Spec) (Fault, error) {
	read, lasts, err := parseNetwork(spec, networkShape{
		part: "delay", of: &v1alpha1.DelaySpec{}, keys: []string{"latency", "jitter", "correlation"},
		example: "delay: {latency: 600ms}", directions: onlyTo,
	})
	if err != nil {
		return nil, err
	}
	by := &lateness{}
	if by.latency, err = inOneUnit("delay.latency", read.Delay.Latency); err != nil {
		return nil, err
	}
	name := "NetworkChaos delay " + read.Delay.Latency
	if read.Delay.Jitter != "" {
		if by.jitter, err = inOneUnit("delay.jitter", read.Delay.Jitter); err != nil {
			return nil, err
		}
		if by.jitter > 0 {
			name += " ± " + read.Delay.Jitter
		}
	}
	if err := correlation("delay.correlation", read.Delay.Correlation); err != nil {
		return nil, err
	}
	return network(name, read, lasts, by)
}

// oneUnit is the pattern of Chaos Mesh's own CRD, narrower than Go's durations.
var oneUnit = regexp.MustCompile(`^[0-9]+(\.[0-9]+)?(ns|us|ms|s|m|h)$`)

func inOneUnit(key, text string) (time.Duration, error) {
	if !oneUnit.MatchString(text) {
		return 0, fmt.Errorf("chaos.spec.%s: bad duration %q: write one number and one unit, such as 600ms or 1.5s", key, text)
	}
	parsed, err := time.ParseDuration(text)
	if err != nil {
		return 0, fmt.Errorf("chaos.spec.%s: %w", key, err)
	}
	return parsed, nil
}

// lateness is the evidence of a delay: a TCP connect to a pod takes longer.
type lateness struct {
	latency, jitter time.Duration
	noted           notes[time.Duration] // round trips without the fault
}

// measureWithin bounds the measurement before the fault, for which the fault waits.
const measureWithin = time.Second

func (l *lateness) before(ctx context.Context, t Target, pods []corev1.Pod) error {
	bounded, cancel := context.WithTimeout(ctx, measureWithin)
	defer cancel()
	for _, m := range t.roundTrips(bounded, pods) {
		if m.err == nil { // a pod that does not answer yet is measured against its peers
			l.noted.put(m.pod.UID, m.took)
		}
	}
	return nil
}

// during demands that every pod under the fault answers a TCP connect later than
// before, by half of what was asked for at least.
func (l *lateness) during(ctx context.Context, t Target, hits []hit) (Effect, error) {
	if l.latency == 0 {
		return Effect{Because: "asked for 0 ms: there is nothing to prove"}, nil
	}
	pods, err := t.living(ctx, hits)
	if err != nil || len(pods) == 0 {
		return Effect{Because: "no pod under the fault is alive"}, err
	}
	return l.judge(t.roundTrips(ctx, pods)), nil
}

// least is the smallest added round trip that proves the delay.
func (l *lateness) least() time.Duration {
	return max(time.Millisecond, (l.latency-l.jitter)/2)
}

func (l *lateness) judge(all []measured) Effect {
	var seen tally
	var smallest *time.Duration
	for _, m := range all {
		if m.err != nil {
			seen.doubt(m.err.Error())
			continue
		}
		added := m.took - l.beforeOf(m.pod.UID)
		if smallest == nil || added < *smallest {
			smallest = &added
		}
		if added < l.least() {
			seen.doubt(fmt.Sprintf("pod %s answers only %s later than before", m.pod.Name, added.Round(10*time.Microsecond)))
			continue
		}
		seen.shows(m.pod.Name, "")
	}
	effect := seen.effect(fmt.Sprintf("asked for %s, at least %s must show", l.latency, l.least()))
	effect.Added = smallest
	if effect.Proven {
		effect.Because = fmt.Sprintf("a TCP connect takes %s longer than before, or more, at each of %d pods (asked for %s)",
			smallest.Round(10*time.Microsecond), len(effect.Pods), l.latency)
	}
	return effect
}

// beforeOf a pod that was not there before the fault is the slowest of those that
// were: that proves less, never more.
func (l *lateness) beforeOf(pod types.UID) time.Duration {
	if before, known := l.noted.get(pod); known {
		return before
	}
	var slowest time.Duration
	for _, before := range l.noted.all() {
		slowest = max(slowest, before)
	}
	return slowest
}
