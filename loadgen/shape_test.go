package loadgen

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"

	"github.com/cutover-dev/cutover/history"
)

func perSecond(n int) Rate { return Rate{Count: n, Per: time.Second} }

func inSeconds(n float64) history.Duration {
	return history.Duration(time.Duration(n * float64(time.Second)))
}

// shaped is a load of each shape, from 200/s.
var shaped = []struct {
	name  string
	shape *ShapeSpec // nil for none
}{
	{"flat", nil},
	{"ramp up", &ShapeSpec{Ramp: &RampSpec{To: perSecond(400), Over: inSeconds(60)}}},
	{"ramp down", &ShapeSpec{Ramp: &RampSpec{To: perSecond(1), Over: inSeconds(60)}}},
	{"ramp that hardly rises", &ShapeSpec{Ramp: &RampSpec{To: Rate{12001, time.Minute}, Over: inSeconds(3600)}}},
	{"sine", &ShapeSpec{Sine: &SineSpec{Amplitude: perSecond(50), Period: inSeconds(60)}}},
	{"sine that falls to almost nothing", &ShapeSpec{Sine: &SineSpec{Amplitude: perSecond(199), Period: inSeconds(7)}}},
	{"steps", &ShapeSpec{Steps: []StepSpec{{inSeconds(30), perSecond(300)}, {inSeconds(45), perSecond(10)}, {inSeconds(50), perSecond(200)}}}},
}

func withShape(s *ShapeSpec, arrivals string) Spec {
	spec := valid()
	spec.Shape, spec.Arrivals = s, arrivals
	return spec
}

func TestShapesInvert(t *testing.T) {
	for _, tt := range shaped {
		t.Run(tt.name, func(t *testing.T) {
			s := withShape(tt.shape, "").shape()
			before := 0.0
			for n := 0.5; n < 1e7; n *= 1.01 {
				at := s.when(n)
				if back := s.due(at); math.Abs(back-n) > 1e-9*n+1e-7 {
					t.Fatalf("%g are due at %g s, when %.9f are", n, at, back)
				}
				if at <= before {
					t.Fatalf("%g are due at %g s, and fewer at %g s", n, at, before)
				}
				before = at
			}
		})
	}
}

// TestShapesAddUp checks Λ against λ, by the midpoints of small steps, and that λ stays
// between what it is said to.
func TestShapesAddUp(t *testing.T) {
	const step = 1e-3
	for _, tt := range shaped {
		t.Run(tt.name, func(t *testing.T) {
			s := withShape(tt.shape, "").shape()
			lowest, highest := s.extremes()
			sum := 0.0
			for i := range 130_000 {
				now := (float64(i) + .5) * step
				rate := s.rate(now)
				if rate < lowest-1e-9 || rate > highest+1e-9 || rate <= 0 {
					t.Fatalf("%g/s at %g s, out of %g to %g", rate, now, lowest, highest)
				}
				sum += rate * step
				if i%1000 == 999 && math.Abs(sum-s.due(now+step/2)) > 1e-3 {
					t.Fatalf("%.4f are due at %g s, and the rate adds up to %.4f", s.due(now+step/2), now, sum)
				}
			}
			if first := s.rate(0); first != 200 {
				t.Errorf("begins with %g/s, want load.rate", first)
			}
		})
	}
}

// offsets are the arrivals within so many seconds.
func offsets(t *testing.T, spec Spec, seed int64, seconds float64) []float64 {
	t.Helper()
	p := (&Attack{Host: "shop", Seed: seed}).newPlan(spec.WithDefaults())
	var all []float64
	for {
		a, err := p.next()
		if err != nil {
			t.Fatal(err)
		}
		if a.offset.Seconds() > seconds {
			return all
		}
		all = append(all, a.offset.Seconds())
	}
}

func TestConstantArrivalsFollowTheShape(t *testing.T) {
	for _, tt := range shaped {
		t.Run(tt.name, func(t *testing.T) {
			spec := withShape(tt.shape, Constant)
			all := offsets(t, spec, 1, 130)
			for until := 1.0; until <= 130; until++ {
				n := 0
				for n < len(all) && all[n] <= until {
					n++
				}
				if due := spec.shape().due(until); math.Abs(float64(n)-due) > 1 {
					t.Fatalf("%d came in %g s, and %.3f were due", n, until, due)
				}
			}
		})
	}
}

// distance is how far samples, in order, are from a distribution: the statistic of
// Kolmogorov and Smirnov, times √n. Above 1.95 it has a chance of 0.1 %.
func distance(samples []float64, cdf func(float64) float64) float64 {
	n, most := float64(len(samples)), 0.0
	for i, x := range samples {
		p := cdf(x)
		most = max(most, p-float64(i)/n, float64(i+1)/n-p)
	}
	return most * math.Sqrt(n)
}

const far = 1.95

func exponential(x float64) float64 { return 1 - math.Exp(-x) }

// TestPoissonArrivalsFollowTheShape: given how many come, their instants are drawn from
// the shape; and in terms of how many are due, gaps are exponential.
func TestPoissonArrivalsFollowTheShape(t *testing.T) {
	const seconds = 130
	for _, tt := range shaped {
		t.Run(tt.name, func(t *testing.T) {
			spec := withShape(tt.shape, Poisson)
			s := spec.shape()
			all := offsets(t, spec, 11, seconds)
			if d := distance(all, func(at float64) float64 { return s.due(at) / s.due(seconds) }); d > far {
				t.Errorf("instants are %.2f from the shape", d)
			}
			if n, due := float64(len(all)), s.due(seconds); math.Abs(n-due) > 4*math.Sqrt(due) {
				t.Errorf("%g came, and %.0f were due", n, due)
			}
			if d := distance(gaps(s, all), exponential); d > far {
				t.Errorf("gaps are %.2f from exponential ones", d)
			}
		})
	}
}

// gaps are how many were due between one arrival and the next, by size.
func gaps(s shape, all []float64) []float64 {
	var gaps []float64
	last := 0.0
	for _, at := range all {
		gaps = append(gaps, s.due(at)-last)
		last = s.due(at)
	}
	slices.Sort(gaps)
	return gaps
}

// TestOtherArrivalsAreToldApart shows the tests above what they must not pass.
func TestOtherArrivalsAreToldApart(t *testing.T) {
	const seconds = 130
	for _, tt := range shaped[1:] {
		if tt.name == "ramp that hardly rises" {
			continue
		}
		all := offsets(t, withShape(tt.shape, Poisson), 11, seconds)
		if d := distance(all, func(at float64) float64 { return at / seconds }); d <= far {
			t.Errorf("%s: only %.2f from a rate that stays", tt.name, d)
		}
	}
	even := offsets(t, withShape(shaped[1].shape, Constant), 11, seconds)
	if d := distance(gaps(withShape(shaped[1].shape, "").shape(), even), exponential); d <= far {
		t.Errorf("even gaps are only %.2f from exponential ones", d)
	}
}

func TestShapedPlanIsAFunctionOfItsSeed(t *testing.T) {
	for _, tt := range shaped {
		for _, how := range []string{Poisson, Constant} {
			spec := withShape(tt.shape, how)
			one, again, other := offsets(t, spec, 7, 20), offsets(t, spec, 7, 20), offsets(t, spec, 8, 20)
			if !slices.Equal(one, again) {
				t.Errorf("%s, %s: the same seed gives other arrivals", tt.name, how)
			}
			if slices.Equal(one, other) != (how == Constant) {
				t.Errorf("%s, %s: another seed gives the same arrivals: %v", tt.name, how, how != Constant)
			}
		}
	}
}

// TestPacersArePaced asks as vegeta's attackers do: late, on time, and for its rates.
func TestPacersArePaced(t *testing.T) {
	for _, tt := range shaped {
		for _, how := range []string{Poisson, Constant} {
			spec := withShape(tt.shape, how)
			p := spec.Pacer(3)
			first, stop := p.Pace(0, 0)
			if first <= 0 || stop {
				t.Errorf("%s, %s: the first hit after %s, stop %v", tt.name, how, first, stop)
			}
			if wait, stop := p.Pace(first/2, 0); stop || (wait-(first-first/2)).Abs() > 1 {
				t.Errorf("%s, %s: asked half way, the first hit after another %s of %s", tt.name, how, wait, first)
			}
			if wait, stop := p.Pace(time.Hour, 5); wait != 0 || stop {
				t.Errorf("%s, %s: an hour behind, waits for %s, stop %v", tt.name, how, wait, stop)
			}
			if rate, want := p.Rate(40*time.Second), spec.shape().rate(40); rate != want {
				t.Errorf("%s, %s: rate %g, want %g", tt.name, how, rate, want)
			}
		}
	}
	if _, stop := (evenly{flat(1)}).Pace(0, math.MaxInt64); !stop {
		t.Error("a hit in 292 years is waited for")
	}
}

// TestShapesAreThoseOfVegeta compares with vegeta's own pacers where there are such. What
// they find by steps is exact to a thousandth of a hit.
func TestShapesAreThoseOfVegeta(t *testing.T) {
	sine := shaped[4].shape
	for _, tt := range []struct {
		name  string
		ours  vegeta.Pacer
		peers vegeta.Pacer
	}{
		{"constant", withShape(nil, Constant).Pacer(1), vegeta.ConstantPacer{Freq: 200, Per: time.Second}},
		{"sine", withShape(sine, Constant).Pacer(1), vegeta.SinePacer{Period: time.Minute, Mean: vegeta.Rate{Freq: 200, Per: time.Second}, Amp: vegeta.Rate{Freq: 50, Per: time.Second}}},
	} {
		var ours, peers time.Duration
		for hits := range uint64(20_000) {
			mine, _ := tt.ours.Pace(ours, hits)
			theirs, _ := tt.peers.Pace(peers, hits)
			ours, peers = ours+mine, peers+theirs
			if (ours - peers).Abs() > 10*time.Microsecond {
				t.Fatalf("%s: hit %d at %s, and vegeta's at %s", tt.name, hits, ours, peers)
			}
		}
	}
}

func TestShapesRefused(t *testing.T) {
	ramp := func(to Rate, over float64) *ShapeSpec { return &ShapeSpec{Ramp: &RampSpec{to, inSeconds(over)}} }
	sine := func(amplitude Rate, period float64) *ShapeSpec {
		return &ShapeSpec{Sine: &SineSpec{amplitude, inSeconds(period)}}
	}
	steps := func(all ...StepSpec) *ShapeSpec { return &ShapeSpec{Steps: append([]StepSpec{}, all...)} }
	for _, tt := range []struct {
		name  string
		shape *ShapeSpec
		want  string
	}{
		// None, or two at once.
		{"none", &ShapeSpec{}, "load.shape has 0 forms: write exactly one"},
		{"two", &ShapeSpec{Ramp: ramp(perSecond(1), 1).Ramp, Steps: steps(StepSpec{inSeconds(1), perSecond(1)}).Steps}, "load.shape has 2 forms"},
		// What is missing.
		{"ramp to nowhere", ramp(Rate{}, 60), "load.shape.ramp.to is missing"},
		{"ramp in no time", ramp(perSecond(400), 0), "load.shape.ramp.over is 0s"},
		{"sine of nothing", sine(Rate{}, 60), "load.shape.sine.amplitude is missing"},
		{"sine without a period", sine(perSecond(50), 0), "load.shape.sine.period is 0s"},
		{"no steps", steps(), "load.shape.steps is empty"},
		{"step to nowhere", steps(StepSpec{At: inSeconds(1)}), "load.shape.steps[0].rate is missing"},
		// Steps out of their order, or where the load begins with load.rate.
		{"step at once", steps(StepSpec{0, perSecond(1)}), "load.shape.steps[0].at 0s is not after 0s"},
		{"two steps at a time", steps(StepSpec{inSeconds(1), perSecond(1)}, StepSpec{inSeconds(1), perSecond(2)}), "load.shape.steps[1].at 1s is not after 1s"},
		// A rate that falls to zero or below it.
		{"sine to zero", sine(perSecond(200), 60), "load.shape.sine.amplitude 200/s is not below load.rate 200/s: the rate would fall to zero"},
		{"sine below zero", sine(perSecond(201), 60), "would fall to zero"},
		// A rate that hardly stays above zero is one.
		{"sine that falls to almost nothing", sine(perSecond(199), 60), ""},
		// A rate that nobody can send. The sine is tested below.
		{"ramp above the cap", ramp(perSecond(100_001), 60), "load.shape comes to 100001 requests a second, and more than 100000"},
		{"step above the cap", steps(StepSpec{inSeconds(1), perSecond(200_000)}), "load.shape comes to 200000 requests a second"},
	} {
		err := withShape(tt.shape, "").Validate()
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: error %v, want %q", tt.name, err, tt.want)
		}
	}
	high := withShape(sine(perSecond(50_000), 60), "")
	high.Rate = perSecond(90_000)
	if err := high.Validate(); err == nil || !strings.Contains(err.Error(), "comes to 140000 requests a second") {
		t.Errorf("a sine above the cap: %v", err)
	}
	replayed := withShape(ramp(perSecond(1), 1), Replay)
	if err := replayed.Validate(); err == nil || !strings.Contains(err.Error(), "load.shape is not for arrivals: replay") {
		t.Errorf("a recording with a shape: %v", err)
	}
}

func TestLowestRate(t *testing.T) {
	for i, want := range []float64{200, 200, 1, 200, 150, 1, 10} {
		if got := withShape(shaped[i].shape, "").LowestRate(); got != want {
			t.Errorf("%s: %g, want %g", shaped[i].name, got, want)
		}
	}
}
