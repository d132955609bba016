package faults

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/chaos-mesh/chaos-mesh/api/v1alpha1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/cutover-dev/cutover/safety"
)

var _ = register(v1alpha1.KindNetworkChaos, string(v1alpha1.DelayAction), parseNetworkDelay)

// networkDelay makes everything that the target's pods send arrive later.
type networkDelay struct {
	spec            v1alpha1.NetworkChaosSpec
	latency, jitter time.Duration
	lasting         time.Duration

	injection *injection
	before    map[types.UID]time.Duration // round trips without the fault
}

var _ Fault = (*networkDelay)(nil)

func parseNetworkDelay(spec Spec) (Fault, error) {
	f := &networkDelay{}
	if err := decode(spec.Chaos.Spec, &f.spec, "action", "delay", "direction", "duration", "mode", "value"); err != nil {
		return nil, err
	}
	var own struct {
		Delay json.RawMessage `json:"delay"`
	}
	if err := json.Unmarshal(spec.Chaos.Spec, &own); err != nil {
		return nil, fmt.Errorf("chaos.spec: %w", err)
	}
	if own.Delay == nil || f.spec.Delay == nil {
		return nil, errors.New("chaos.spec.delay is missing: say how long, such as delay: {latency: 600ms}")
	}
	if err := checkKeys("chaos.spec.delay", own.Delay, &v1alpha1.DelaySpec{}, []string{"latency", "jitter", "correlation"}); err != nil {
		return nil, err
	}
	if f.spec.Direction != "" && f.spec.Direction != v1alpha1.To {
		return nil, fmt.Errorf("chaos.spec.direction: %s is not supported yet: supported is to, what the pods send", f.spec.Direction)
	}
	var err error
	if f.lasting, err = lasting(spec, f.spec.Duration); err != nil {
		return nil, err
	}
	if err := f.readDelay(); err != nil {
		return nil, err
	}
	if f.spec.Mode == "" {
		f.spec.Mode = v1alpha1.AllMode
	}
	if err := checkMode(f.spec.Mode); err != nil {
		return nil, err
	}
	return f, accept(context.Background(), f.object())
}

// inOneUnit is the pattern of Chaos Mesh's own CRD, narrower than Go's durations.
var inOneUnit = regexp.MustCompile(`^[0-9]+(\.[0-9]+)?(ns|us|ms|s|m|h)$`)

func (f *networkDelay) readDelay() error {
	for _, d := range []struct {
		key, text string
		into      *time.Duration
	}{{"latency", f.spec.Delay.Latency, &f.latency}, {"jitter", f.spec.Delay.Jitter, &f.jitter}} {
		if d.key == "jitter" && d.text == "" {
			continue
		}
		if !inOneUnit.MatchString(d.text) {
			return fmt.Errorf("chaos.spec.delay.%s: bad duration %q: write one number and one unit, such as 600ms or 1.5s", d.key, d.text)
		}
		parsed, err := time.ParseDuration(d.text)
		if err != nil {
			return fmt.Errorf("chaos.spec.delay.%s: %w", d.key, err)
		}
		*d.into = parsed
	}
	if text := f.spec.Delay.Correlation; text != "" {
		if percent, err := strconv.ParseFloat(text, 64); err != nil || !(percent >= 0 && percent <= 100) {
			return fmt.Errorf("chaos.spec.delay.correlation: bad percentage %q: write a number from 0 to 100 in quotes", text)
		}
	}
	return nil
}

func checkMode(mode v1alpha1.SelectorMode) error {
	switch mode {
	case v1alpha1.OneMode, v1alpha1.AllMode, v1alpha1.FixedMode, v1alpha1.FixedPercentMode, v1alpha1.RandomMaxPercentMode:
		return nil
	}
	return fmt.Errorf("chaos.spec.mode: unknown mode %q: known are one, all, fixed, fixed-percent, random-max-percent", mode)
}

func (f *networkDelay) object() *v1alpha1.NetworkChaos {
	obj := &v1alpha1.NetworkChaos{Spec: *f.spec.DeepCopy()}
	duration := f.lasting.String()
	obj.Spec.Duration = &duration
	return obj
}

func (f *networkDelay) Kind() string           { return v1alpha1.KindNetworkChaos }
func (f *networkDelay) OneShot() bool          { return false }
func (f *networkDelay) Lasting() time.Duration { return f.lasting }

func (f *networkDelay) Name() string {
	name := "NetworkChaos delay " + f.spec.Delay.Latency
	if f.jitter > 0 {
		name += " ± " + f.spec.Delay.Jitter
	}
	return name
}

// measureWithin bounds the measurement before the fault, for which the fault waits.
const measureWithin = time.Second

// Inject implements Fault.
func (f *networkDelay) Inject(ctx context.Context, t Target) (safety.Undo, error) {
	if f.injection != nil {
		return nothing, errInjectedTwice
	}
	if err := f.measureBefore(ctx, t); err != nil {
		return nothing, err
	}
	obj := f.object()
	address(obj, &obj.Spec.Selector, t)
	if err := accept(ctx, obj); err != nil {
		return nothing, err
	}
	var undo safety.Undo
	var err error
	f.injection, undo, err = inject(ctx, t, obj, f.Kind(), f.lasting)
	return undo, err
}

func nothing(context.Context) error { return nil }

var errInjectedTwice = errors.New("this fault has been injected before: parse its spec again for another injection")

func (f *networkDelay) measureBefore(ctx context.Context, t Target) error {
	pods, err := t.pods(ctx)
	if err != nil {
		return err
	}
	bounded, cancel := context.WithTimeout(ctx, measureWithin)
	defer cancel()
	f.before = map[types.UID]time.Duration{}
	for _, m := range t.roundTrips(bounded, pods) {
		if m.err == nil { // a pod that does not answer yet is measured against its peers
			f.before[m.pod.UID] = m.took
		}
	}
	return nil
}

// Prove implements Fault: every pod under the fault must answer a TCP connect
// later than before by half of what was asked for at least.
func (f *networkDelay) Prove(ctx context.Context) (Effect, error) {
	if f.injection == nil {
		return Effect{Because: "nothing was injected"}, nil
	}
	if f.latency == 0 {
		return Effect{Because: "asked for 0 ms: there is nothing to prove"}, nil
	}
	names, err := f.injection.hit(ctx)
	if err != nil {
		return Effect{Because: err.Error()}, err
	}
	pods, err := f.injection.target.podsNamed(ctx, names)
	if err != nil {
		return Effect{Because: err.Error()}, err
	}
	if len(pods) == 0 {
		return Effect{Because: "no pod under the fault is alive"}, nil
	}
	return f.judge(f.injection.target.roundTrips(ctx, pods)), nil
}

// least is the smallest added round trip that proves the delay.
func (f *networkDelay) least() time.Duration {
	return max(time.Millisecond, (f.latency-f.jitter)/2)
}

func (f *networkDelay) judge(all []measured) Effect {
	effect := Effect{Proven: true}
	var doubts []string
	for _, m := range all {
		if m.err != nil {
			effect.Proven = false
			doubts = append(doubts, m.err.Error())
			continue
		}
		added := m.took - f.beforeOf(m.pod.UID)
		if effect.Added == nil || added < *effect.Added {
			effect.Added = &added
		}
		if added < f.least() {
			effect.Proven = false
			doubts = append(doubts, fmt.Sprintf("pod %s answers only %s later than before", m.pod.Name, added.Round(10*time.Microsecond)))
			continue
		}
		effect.Pods = append(effect.Pods, m.pod.Name)
	}
	if !effect.Proven {
		effect.Because = fmt.Sprintf("asked for %s, at least %s must show: %s", f.latency, f.least(), strings.Join(doubts, "; "))
		return effect
	}
	effect.Because = fmt.Sprintf("a TCP connect takes %s longer than before, or more, at each of %d pods (asked for %s)",
		effect.Added.Round(10*time.Microsecond), len(effect.Pods), f.latency)
	return effect
}

// beforeOf a pod that was not there before the fault is the slowest of those that
// were: that proves less, never more.
func (f *networkDelay) beforeOf(pod types.UID) time.Duration {
	if before, known := f.before[pod]; known {
		return before
	}
	var slowest time.Duration
	for _, before := range f.before {
		slowest = max(slowest, before)
	}
	return slowest
}
