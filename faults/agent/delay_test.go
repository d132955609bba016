package agent

import (
	"math"
	"testing"
	"time"

	"github.com/chaos-mesh/chaos-mesh/api/v1alpha1"
	"k8s.io/apimachinery/pkg/types"
)

func uid(name string) types.UID { return types.UID(name) }

func TestParseDelay(t *testing.T) {
	got, err := parseDelay(&v1alpha1.DelaySpec{Latency: "600ms", Jitter: "20ms", Correlation: "25"}, 7)
	want := Delay{Latency: 600 * time.Millisecond, Jitter: 20 * time.Millisecond, Correlation: 0.25, Seed: 7}
	if err != nil || got != want {
		t.Errorf("parseDelay = %+v, %v; want %+v", got, err, want)
	}
	for _, bad := range []*v1alpha1.DelaySpec{nil, {}, {Latency: "1s", Jitter: "x"}, {Latency: "1s", Correlation: "x"}} {
		if _, err := parseDelay(bad, 0); err == nil {
			t.Errorf("parseDelay(%+v) is accepted", bad)
		}
	}
}

func TestSequenceStaysWithinJitterAndFollowsItsSeed(t *testing.T) {
	d := Delay{Latency: 100 * time.Millisecond, Jitter: 20 * time.Millisecond, Seed: 3}
	one, two := d.Sequence(0), d.Sequence(0)
	var sum time.Duration
	const n = 20000
	for range n {
		delay := one()
		if delay != two() {
			t.Fatal("the same seed gives another sequence")
		}
		if delay < 80*time.Millisecond || delay > 120*time.Millisecond {
			t.Fatalf("%v is outside 100ms ± 20ms", delay)
		}
		sum += delay
	}
	if mean := sum / n; math.Abs(float64(mean-d.Latency)) > float64(time.Millisecond) {
		t.Errorf("mean %v, want about 100ms", mean)
	}
}

func TestSequenceCorrelates(t *testing.T) {
	for _, rho := range []float64{0, 0.9} {
		next := Delay{Latency: time.Second, Jitter: time.Second, Correlation: rho, Seed: 3}.Sequence(0)
		var xy, xx float64
		last := float64(next() - time.Second)
		for range 20000 {
			x := float64(next() - time.Second)
			xy, xx, last = xy+x*last, xx+x*x, x
		}
		if got := xy / xx; math.Abs(got-rho) > 0.05 {
			t.Errorf("asked correlation %.1f, got %.2f", rho, got)
		}
	}
}
