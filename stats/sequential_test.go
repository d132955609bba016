package stats

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// near compares with a value that was computed elsewhere.
func near(t *testing.T, what string, got, want, within float64) {
	t.Helper()
	if !(math.Abs(got-want) <= within) {
		t.Errorf("%s: got %.12g, want %.12g", what, got, want)
	}
}

// Computed exactly, with rational arithmetic.
func TestMultinomialVectors(t *testing.T) {
	third := []float64{1.0 / 3, 1.0 / 3, 1.0 / 3}
	for _, row := range []struct {
		comment              string
		counts, prior, share []float64
		want                 float64
	}{
		{"as the split has it", []float64{10, 10}, []float64{1, 1}, []float64{.5, .5}, -1.308370141},
		{"ten times as often in one arm", []float64{2, 20}, []float64{1, 1}, []float64{.5, .5}, 6.671326046},
		{"seven in one arm: 2⁷/8", []float64{0, 7}, []float64{1, 1}, []float64{.5, .5}, math.Log(16)},
		{"a canary of a tenth", []float64{90, 30}, []float64{9, 1}, []float64{.9, .1}, 8.689254753},
		{"the same, with a vaguer prior", []float64{90, 30}, []float64{.9, .1}, []float64{.9, .1}, 7.726333786},
		{"three arms", []float64{5, 5, 20}, []float64{1, 1, 1}, third, 4.004156331},
		{"nothing happened", []float64{0, 0}, []float64{1, 1}, []float64{.5, .5}, 0},
	} {
		m, err := NewMultinomial(row.prior, row.share)
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Add(row.counts); err != nil {
			t.Fatal(err)
		}
		near(t, row.comment, m.LogE(), row.want, 1e-9)
		// One by one, in an order of its own, it comes to the same.
		one, _ := NewMultinomial(row.prior, row.share)
		for arm := len(row.counts) - 1; arm >= 0; arm-- {
			for range int(row.counts[arm]) {
				one.Observe(arm)
			}
		}
		near(t, row.comment+", one by one", one.LogE(), row.want, 1e-9)
	}
}

func TestArmsVectors(t *testing.T) {
	for _, row := range []struct {
		comment       string
		events, prior Arms
		share, want   float64
	}{
		{"ten times as bad", Arms{20, 2}, Arms{1, 1}, .5, 7.364440205},
		{"a canary of a tenth", Arms{30, 90}, Arms{1, 9}, .1, 9.637496235},
		{"a better one gains nothing: 1/8", Arms{0, 7}, Arms{1, 1}, .5, -math.Log(8)},
	} {
		got, err := LogWorse(row.events, row.prior, row.share)
		if err != nil {
			t.Fatal(err)
		}
		near(t, row.comment, got, row.want, 1e-9)
	}
	// At equal rates, a candidate that is not twice as bad is told from one that is after
	// some 78 errors, on average.
	equal, _ := LogNoWorse(Arms{39, 39}, Arms{1, 1}, .5, 2)
	if equal < 2.5 || equal > 5.5 {
		t.Errorf("39 errors each: ln E⁻ is %g, of about %g", equal, math.Log(100))
	}
	if twice, _ := LogNoWorse(Arms{52, 26}, Arms{1, 1}, .5, 2); twice > 0 {
		t.Errorf("twice as bad: ln E⁻ is %g, which speaks for it", twice)
	}
}

// The products of stages are those of the closed forms.
func TestStaged(t *testing.T) {
	s, err := NewStaged(2, 2)
	if err != nil {
		t.Fatal(err)
	}
	var differs, worse, noWorse float64
	for _, stage := range []struct {
		share  float64
		events Arms
	}{{.1, Arms{3, 9}}, {.5, Arms{8, 2}}, {.5, Arms{}}, {.9, Arms{40, 1}}} {
		if err := s.Stage(stage.share); err != nil {
			t.Fatal(err)
		}
		for range int(stage.events.Candidate) {
			s.Observe(true)
		}
		for range int(stage.events.Baseline) {
			s.Observe(false)
		}
		prior := Arms{2 * stage.share, 2 * (1 - stage.share)}
		a, _ := LogDiffers(stage.events, prior, stage.share)
		b, _ := LogWorse(stage.events, prior, stage.share)
		c, _ := LogNoWorse(stage.events, prior, stage.share, 2)
		differs, worse, noWorse = differs+a, worse+b, noWorse+c
		near(t, "E", s.LogDiffers(), differs, 1e-9)
		near(t, "E⁺", s.LogWorse(), worse, 1e-9)
		near(t, "E⁻", s.LogNoWorse(), noWorse, 1e-9)
		if !s.MayBeWorse(s.LogWorse() - 1e-9) {
			t.Error("the bound of E⁺ is below it")
		}
	}
}

func TestBlocksVector(t *testing.T) {
	ten := Arms{10, 10}
	for _, flip := range []bool{false, true} {
		var b Blocks
		for _, hits := range []Arms{{0, 3}, {1, 4}, {0, 5}} {
			if flip {
				hits = Arms{hits.Baseline, hits.Candidate}
			}
			if err := b.Observe(Counted{N: ten, Hits: hits}); err != nil {
				t.Fatal(err)
			}
		}
		near(t, "three blocks", b.LogE(), 3.995541208, 1e-9)
	}
}

func TestBand(t *testing.T) {
	for _, row := range []struct{ alpha, want float64 }{
		{.05, 8.1227}, {.025, 8.6226}, {.01, 9.2835}, {.005, 9.7834}, {.001, 10.9431},
	} {
		near(t, "C", bandC(row.alpha), row.want, 5e-5)
	}
	band, err := NewBand(.05, 100)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "width after 1000", band.Width(1000), 0.08204769, 2e-7)
	if w := band.Width(99); !math.IsInf(w, 1) {
		t.Errorf("before the first 100 it is %g wide", w)
	}
	r := rand.New(rand.NewPCG(3, 4))
	values := func(shift float64) []float64 {
		all := make([]float64, 4000)
		for i := range all {
			all[i] = r.NormFloat64() + shift
		}
		return all
	}
	for _, row := range []struct {
		shift float64
		want  bool
	}{{0, false}, {.5, true}, {-.5, false}} {
		if got, err := SlowerAnywhere(values(row.shift), values(0), .01, 100); err != nil || got != row.want {
			t.Errorf("a shift of %g: %v, %v", row.shift, got, err)
		}
	}
}

// The vectors of confseq's unit tests, which are of a reference in R.
func TestConfseqVectors(t *testing.T) {
	near(t, "ρ*", mixtureRho(100), 12.60056, 1e-5)
	near(t, "beta mixture", newBetaMixture(100, .2, .8).log(10, 100), -0.6941012, 1e-7)
	sample := func(shift float64) []float64 {
		all := make([]float64, 1000)
		for i := range all {
			all[i] = float64(i+1) + shift
		}
		return all
	}
	for _, row := range []struct{ q, shift, want float64 }{
		{.5, 70, .814704}, {.5, 85, .0838055}, {.5, 100, .0054947}, {.9, 55, .0340463},
	} {
		for _, flip := range []float64{1, -1} {
			got, err := QuantilesDiffer(sample(0), sample(flip*row.shift), row.q, 100)
			if err != nil {
				t.Fatal(err)
			}
			if row.q == .5 || flip > 0 {
				near(t, "p-value", got, row.want, 1e-5)
			}
		}
	}
	for _, row := range []struct{ hits, n, nOpt, low, high float64 }{
		{700, 1000, 100, .651629, .745949}, {15, 50, 50, .129556, .511896}, {1, 50, 50, 0, .13489},
	} {
		low, high, err := RateInterval(row.hits, row.n, .05, row.nOpt)
		if err != nil {
			t.Fatal(err)
		}
		near(t, "lower end", low, row.low, 1e-5)
		near(t, "upper end", high, row.high, 1e-5)
	}
}

func TestCombinations(t *testing.T) {
	near(t, "mean of 1 and 3", LogMean(0, math.Log(3)), math.Log(2), 1e-12)
	near(t, "mean of huge ones", LogMean(2000, 2000), 2000, 1e-9)
	if got := LogMean(math.Inf(-1), math.Inf(-1)); !math.IsInf(got, -1) {
		t.Errorf("mean of zeros: ln E %g", got)
	}
	near(t, "mean of none", LogMean(), 0, 0)
	logs := []float64{math.Log(10), math.Log(500), math.Log(130), 0}
	// 4/0.01 = 400; e-BH: 500 ≥ 400, 130 < 200.
	if got := Bonferroni(logs, .01); !slices.Equal(got, []int{1}) {
		t.Errorf("Bonferroni: %v", got)
	}
	if got := EBH(logs, .01); !slices.Equal(got, []int{1}) {
		t.Errorf("e-BH at 1 %%: %v", got)
	}
	// At 2 %: 500 ≥ 200, 130 ≥ 100, 10 < 66.
	if got := EBH(logs, .02); !slices.Equal(got, []int{1, 2}) {
		t.Errorf("e-BH at 2 %%: %v", got)
	}
	if got := EBH(nil, .01); got != nil {
		t.Errorf("e-BH of none: %v", got)
	}
}

// What is not a number, and what cannot be, is refused and changes nothing.
func TestSequentialRefuses(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	refuse := func(what string, err error) {
		t.Helper()
		if err == nil {
			t.Errorf("%s is taken", what)
		}
	}
	for _, bad := range []float64{nan, inf, -1, 0} {
		_, err := NewMultinomial([]float64{bad, 1}, []float64{.5, .5})
		refuse("a prior", err)
		_, err = NewMultinomial([]float64{1, 1}, []float64{bad, .5})
		refuse("a share", err)
		_, err = LogDiffers(Arms{1, 1}, Arms{bad, 1}, .5)
		refuse("a prior", err)
		_, err = LogNoWorse(Arms{1, 1}, Arms{1, 1}, .5, bad)
		refuse("a ratio", err)
		_, err = NewStaged(bad, 2)
		refuse("a mass", err)
		_, err = NewRates(bad, .01)
		refuse("a ratio", err)
		_, err = NewRates(2, bad)
		refuse("a tolerated rate", err)
		_, err = NewBand(bad, 1)
		refuse("an alpha", err)
		_, err = NewBand(.05, bad)
		refuse("a start", err)
		_, _, err = RateInterval(0, bad, .05, 10)
		refuse("a number of trials", err)
	}
	m, _ := NewMultinomial([]float64{1, 1}, []float64{.5, .5})
	staged, _ := NewStaged(2, 2)
	rates, _ := NewRates(2, .01)
	var blocks Blocks
	labels := MoreOften()
	for _, bad := range []float64{nan, inf, -1} {
		refuse("a count", m.Add([]float64{1, bad}))
		_, err := LogWorse(Arms{bad, 1}, Arms{1, 1}, .5)
		refuse("a count", err)
		refuse("a share", staged.Stage(bad))
		refuse("a count", labels.Observe(bad, 1, .5))
		refuse("a number of events", labels.Observe(0, bad, .5))
		refuse("a share", labels.Observe(0, 1, bad))
		for _, block := range []Counted{{N: Arms{bad, 1}}, {N: Arms{1, bad}}, {N: Arms{1, 1}, Hits: Arms{bad, 0}}, {N: Arms{1, 1}, Hits: Arms{0, bad}}} {
			refuse("a block", blocks.Observe(block))
			refuse("a block", rates.Compare(block, AnyRate))
		}
	}
	refuse("more hits than requests", blocks.Observe(Counted{N: Arms{1, 1}, Hits: Arms{2, 0}}))
	refuse("more labels than events", labels.Observe(2, 1, .5))
	refuse("shares beyond 1", func() error { _, err := NewMultinomial([]float64{1, 1}, []float64{.5, .6}); return err }())
	if m.LogE() != 0 || labels.LogE() != 0 || blocks.LogE() != 0 || rates.LogWorse() != 0 {
		t.Error("what was refused left something behind")
	}
	_, err := QuantilesDiffer([]float64{nan}, []float64{1}, .5, 10)
	refuse("NaN", err)
	_, err = SlowerAnywhere([]float64{nan}, []float64{1}, .05, 10)
	refuse("NaN", err)
	_, err = NewSlower(nil, Allowance{}, 2, .01)
	refuse("no baseline", err)
}

// No count is too large, and none at all says nothing.
func TestSequentialExtremes(t *testing.T) {
	half := Arms{1, 1}
	for _, n := range []float64{0, 1, 1e3, 1e6, 1e9, 1e12} {
		even, err := LogWorse(Arms{n, n}, half, .5)
		if err != nil || math.IsNaN(even) || even > .5 {
			t.Errorf("%g events each: ln E⁺ %g, %v", n, even, err)
		}
		all, err := LogWorse(Arms{n, 0}, half, .5)
		// 2ⁿ/(n+1), and twice as much for the half of the prior that is cut off, of which 2⁻ⁿ⁻¹ is lost.
		if want := n*math.Ln2 - math.Log(n+1) + math.Ln2 + math.Log1p(-math.Exp2(-n-1)); err != nil || math.Abs(all-want) > 1e-9*max(1, want) {
			t.Errorf("%g events of the candidate: ln E⁺ %g, want %g, %v", n, all, want, err)
		}
		none, err := LogWorse(Arms{0, n}, half, .5)
		if want := -math.Log(n + 1); err != nil || math.Abs(none-want) > 1e-9+n*1e-15 {
			t.Errorf("%g events of the baseline: ln E⁺ %g, want %g, %v", n, none, want, err)
		}
		labels := MoreOften()
		if err := labels.Observe(n, 2*n, .5); err != nil || math.IsNaN(labels.LogE()) || labels.LogE() > 1e-9 {
			t.Errorf("%g of %g labelled: ln E %g, %v", n, 2*n, labels.LogE(), err)
		}
	}
	var nothing Labels
	if nothing.LogE() != 0 {
		t.Error("a test of nothing says something")
	}
}

// The incomplete beta function agrees with the binomial tail, and in its far tails with
// the first term of the sum.
func TestLogIncBeta(t *testing.T) {
	for _, row := range []struct{ a, b, x float64 }{{1, 1, .3}, {5, 3, .5}, {100, 3, .9}, {3, 100, .01}, {.2, .7, .6}} {
		below, above := logIncBeta(row.a, row.b, row.x)
		near(t, "sum of both", math.Exp(below)+math.Exp(above), 1, 1e-12)
		mirror, _ := logIncBeta(row.b, row.a, 1-row.x)
		near(t, "mirrored", above, mirror, 1e-9)
	}
	below, _ := logIncBeta(5, 16, .1) // P(X ≥ 5), X of 20 at 0.1
	near(t, "binomial tail", math.Exp(below), BinomialTail(5, 20, .1), 1e-12)
	far, _ := logIncBeta(2000, 1, .5) // 0.5²⁰⁰⁰ is below the smallest number there is
	near(t, "far tail", far, -2000*math.Ln2, 1e-8)
}

func TestSlower(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	draw := func(n int, factor float64) []time.Duration {
		all := make([]time.Duration, n)
		for i := range all {
			all[i] = time.Duration(factor * float64(50*time.Millisecond) * math.Exp(.3*r.NormFloat64()))
		}
		return all
	}
	for _, row := range []struct {
		comment           string
		factor            float64
		alone             bool // all traffic is the candidate's
		worse, acceptable bool
	}{
		{"the same", 1, false, false, true},
		{"a tenth slower is allowed", 1.1, false, false, true},
		{"half as much again is not", 1.5, false, true, false},
		{"three times as slow", 3, false, true, false},
		{"faster", .5, false, false, true},
		{"the same, alone", 1, true, false, true},
		{"three times as slow, alone: not shown, nor acceptable", 3, true, false, false},
	} {
		s, err := NewSlower(draw(1000, 1), Allowance{Part: .25, Slack: 5 * time.Millisecond}, 2, .01)
		if err != nil {
			t.Fatal(err)
		}
		var worse, acceptable bool
		for range 60 {
			baseline := draw(75, 1)
			if row.alone {
				baseline = nil
			}
			if err := s.Observe(draw(25, row.factor), baseline); err != nil {
				t.Fatal(err)
			}
			w, _ := s.LogWorse()
			a, _ := s.LogAcceptable()
			worse, acceptable = worse || w >= math.Log(100), acceptable || a >= math.Log(100)
		}
		if worse != row.worse || acceptable != row.acceptable {
			t.Errorf("%s: worse %v, acceptable %v", row.comment, worse, acceptable)
		}
		s.Restart()
		if w, _ := s.LogWorse(); w != 0 {
			t.Errorf("%s: evidence is left after a new start", row.comment)
		}
	}
}

func TestMannWhitney(t *testing.T) {
	ramp := func(n int, from, step float64) []float64 {
		all := make([]float64, n)
		for i := range all {
			all[i] = from + step*float64(i)
		}
		return all
	}
	for _, row := range []struct {
		comment       string
		first, second []float64
		u, p, within  float64
	}{
		{"all greater: 1 of 20 orders", []float64{4, 5, 6}, []float64{1, 2, 3}, 9, 1.0 / 20, 1e-12},
		{"all less: every order", []float64{1, 2, 3}, []float64{4, 5, 6}, 0, 1, 1e-12},
		{"one pair the other way: 2 of 20", []float64{3, 5, 6}, []float64{1, 2, 4}, 8, 2.0 / 20, 1e-12},
		{"of unequal sizes: 1 of 6", []float64{9, 10}, []float64{1, 2}, 4, 1.0 / 6, 1e-12},
		{"all equal says nothing", []float64{1, 1, 1}, []float64{1, 1}, 3, 1, 1e-12},
		// R: wilcox.test(c(1,2,2,3), c(0,1,1,2), alternative = "greater", exact = FALSE), by hand:
		// U = 13, mean 8, variance 16/12·(9 − 48/56).
		{"with ties", []float64{1, 2, 2, 3}, []float64{0, 1, 1, 2}, 13, math.Erfc(4.5/math.Sqrt(16.0/12*(9-48.0/56))/math.Sqrt2) / 2, 1e-12},
		{"large samples, shifted by a tenth", ramp(200, 20, 1), ramp(200, 0, 1), 0, 0.0002, 0.0008},
	} {
		got, err := MannWhitney(row.first, row.second)
		if err != nil {
			t.Fatal(err)
		}
		if row.u != 0 || len(row.first) < 100 {
			near(t, row.comment+", U", got.U, row.u, 1e-12)
		}
		near(t, row.comment+", P", got.P, row.p, row.within)
	}
	// The exact distribution and the normal one agree where both may be used.
	first, second := ramp(20, 3.3, 1), ramp(20, 0, 1)
	exact, _ := MannWhitney(first, second)
	near(t, "normal", normalRank(20, 20, exact.U, 0), exact.P, 0.005)
	for _, bad := range [][2][]float64{{nil, {1}}, {{1}, nil}, {{math.NaN()}, {1}}} {
		if _, err := MannWhitney(bad[0], bad[1]); err == nil {
			t.Errorf("%v is taken", bad)
		}
	}
}

func TestRateOf(t *testing.T) {
	if got := RateOf(0, 0); got != AnyRate {
		t.Errorf("without trials: %v", got)
	}
	none := RateOf(0, 1000)
	near(t, "none of 1000", none.Low, 0, 0)
	near(t, "none of 1000: 1 − α^(1/n)", none.High, 1-math.Pow(unlikely, 1.0/1000), 1e-9)
	all := RateOf(1000, 1000)
	near(t, "all of 1000", all.High, 1, 0)
	near(t, "all of 1000: α^(1/n)", all.Low, math.Pow(unlikely, 1.0/1000), 1e-9)
	some := RateOf(7, 200)
	near(t, "upper end", 1-BinomialTail(8, 200, some.High), unlikely, 1e-9)
	near(t, "lower end", BinomialTail(7, 200, some.Low), unlikely, 1e-9)
}

// alarms counts the runs in which a test that is looked at after every request raises an
// alarm, while both arms fail at the same rate, which changes as rate says.
func alarms(seed uint64, runs, requests int, share float64, rate func(i int) float64, begin func() func(candidate, failed bool) bool) int {
	r := rand.New(rand.NewPCG(seed, seed))
	count := 0
	for range runs {
		look := begin()
		for i := range requests {
			if look(r.Float64() < share, r.Float64() < rate(i)) {
				count++
				break
			}
		}
	}
	return count
}

const looked = 0.05 // alpha

// The tests keep their promise when they are looked at after each of 2,000 requests; the
// one that is made for one look does not.
func TestFalseAlarmsUnderContinuousLooks(t *testing.T) {
	const runs, requests, share = 400, 2000, .25
	limit := math.Log(1 / looked)
	tests := map[string]func() func(candidate, failed bool) bool{
		"differs": func() func(candidate, failed bool) bool {
			m, _ := NewMultinomial([]float64{.5, 1.5}, []float64{share, 1 - share})
			return func(candidate, failed bool) bool {
				if failed {
					arm := 1
					if candidate {
						arm = 0
					}
					m.Observe(arm)
				}
				return m.LogE() >= limit
			}
		},
		"worse": func() func(candidate, failed bool) bool {
			s, _ := NewStaged(2, 2)
			_ = s.Stage(share)
			return func(candidate, failed bool) bool {
				if failed {
					s.Observe(candidate)
				}
				return failed && s.MayBeWorse(limit) && s.LogWorse() >= limit
			}
		},
		"labels": func() func(candidate, failed bool) bool {
			l := MoreOften()
			return func(candidate, failed bool) bool {
				if !failed {
					return false
				}
				labelled := 0.0
				if candidate {
					labelled = 1
				}
				_ = l.Observe(labelled, 1, share)
				return l.LogE() >= limit
			}
		},
		"blocks of 50": func() func(candidate, failed bool) bool {
			var b Blocks
			return inBlocks(func(block Counted) bool {
				_ = b.Observe(block)
				return b.LogE() >= limit
			})
		},
		"rates, blocks of 50": func() func(candidate, failed bool) bool {
			c, _ := NewRates(2, .001)
			return inBlocks(func(block Counted) bool {
				_ = c.Compare(block, AnyRate)
				return c.LogWorse() >= limit
			})
		},
	}
	// Three standard deviations beyond the promise.
	most := int(looked*runs + 3.1*math.Sqrt(runs*looked*(1-looked)))
	for kind, rate := range map[string]func(i int) float64{
		"constant":   func(int) float64 { return .1 },
		"sinusoidal": func(i int) float64 { return .15 + .15*math.Sin(float64(i)/100) },
		"in steps":   func(i int) float64 { return []float64{.01, .3}[i/500%2] },
	} {
		for name, begin := range tests {
			if got := alarms(11, runs, requests, share, rate, begin); got > most {
				t.Errorf("%s at a %s rate: %d alarms in %d runs, more than %d", name, kind, got, runs, most)
			}
		}
		if got := alarms(11, runs, requests, share, rate, naive); got <= 2*most {
			t.Errorf("the test made for one look, at a %s rate: %d alarms in %d runs: this would not notice one that is wrong", kind, got, runs)
		}
	}
}

// A candidate that is exactly as bad as is not acceptable passes no more often than
// promised, also where rates are so high that hits are no rare events.
func TestFalsePassesUnderContinuousLooks(t *testing.T) {
	const runs, requests, share = 400, 2000, .5
	limit := math.Log(1 / looked)
	most := int(looked*runs + 3.1*math.Sqrt(runs*looked*(1-looked)))
	for _, baseline := range []float64{.02, .4} {
		r := rand.New(rand.NewPCG(9, 9))
		passes := 0
		for range runs {
			c, _ := NewRates(2, 2*baseline)
			look := inBlocks(func(block Counted) bool {
				_ = c.Compare(block, AnyRate)
				return c.LogAcceptable() >= limit
			})
			for range requests {
				candidate := r.Float64() < share
				rate := baseline
				if candidate {
					rate = 2 * baseline
				}
				if look(candidate, r.Float64() < rate) {
					passes++
					break
				}
			}
		}
		if passes > most {
			t.Errorf("twice %g passes in %d of %d runs, more than %d", baseline, passes, runs, most)
		}
	}
}

// inBlocks gathers blocks of 50 requests.
func inBlocks(look func(Counted) bool) func(candidate, failed bool) bool {
	var block Counted
	return func(candidate, failed bool) bool {
		arm, hits := &block.N.Baseline, &block.Hits.Baseline
		if candidate {
			arm, hits = &block.N.Candidate, &block.Hits.Candidate
		}
		*arm++
		if failed {
			*hits++
		}
		if block.N.Candidate+block.N.Baseline < 50 {
			return false
		}
		done := block
		block = Counted{}
		return look(done)
	}
}

// naive is the z-test of two proportions, from the fifth error on.
func naive() func(candidate, failed bool) bool {
	var n, hits Arms
	return func(candidate, failed bool) bool {
		if candidate {
			n.Candidate++
		} else {
			n.Baseline++
		}
		if failed && candidate {
			hits.Candidate++
		} else if failed {
			hits.Baseline++
		}
		all := hits.Candidate + hits.Baseline
		if !failed || all < 5 {
			return false
		}
		pooled := all / (n.Candidate + n.Baseline)
		z := (hits.Candidate/n.Candidate - hits.Baseline/n.Baseline) / math.Sqrt(pooled*(1-pooled)*(1/n.Candidate+1/n.Baseline))
		return math.Erfc(math.Abs(z)/math.Sqrt2) < looked
	}
}

func BenchmarkSequential(b *testing.B) {
	b.Run("Multinomial", func(b *testing.B) {
		m, _ := NewMultinomial([]float64{1, 1}, []float64{.5, .5})
		b.ReportAllocs()
		for i := range b.N {
			m.Observe(i & 1)
		}
	})
	b.Run("Staged", func(b *testing.B) {
		s, _ := NewStaged(2, 2)
		_ = s.Stage(.25)
		b.ReportAllocs()
		for i := range b.N {
			s.Observe(i&3 == 0)
		}
	})
	b.Run("StagedWorse", func(b *testing.B) { // with a look at each event
		s, _ := NewStaged(2, 2)
		_ = s.Stage(.25)
		b.ReportAllocs()
		for i := range b.N {
			s.Observe(i&3 == 0)
			s.MayBeWorse(4.6)
		}
	})
	b.Run("Labels", func(b *testing.B) {
		l := MoreOften()
		b.ReportAllocs()
		for i := range b.N {
			_ = l.Observe(float64(i&1), 1, .5)
		}
	})
	b.Run("LabelsLook", func(b *testing.B) {
		l := MoreOften()
		b.ReportAllocs()
		sum := 0.0
		for i := range b.N {
			_ = l.Observe(float64(i&1), 1, .5)
			sum += l.LogE()
		}
	})
	b.Run("Blocks", func(b *testing.B) { // of 100 requests
		var blocks Blocks
		b.ReportAllocs()
		for i := range b.N {
			_ = blocks.Observe(Counted{N: Arms{50, 50}, Hits: Arms{float64(i & 1), 1}})
		}
	})
	b.Run("SlowerPerRequest", func(b *testing.B) {
		latencies := make([]time.Duration, 1000)
		for i := range latencies {
			latencies[i] = time.Duration(i) * time.Millisecond
		}
		s, _ := NewSlower(latencies, Allowance{}, 2, .01)
		b.ReportAllocs()
		for i := 0; i < b.N; i += 1000 {
			_ = s.Observe(latencies[:500], latencies[500:])
		}
	})
}
