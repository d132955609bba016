package stats

import (
	"math"
	"math/rand/v2"
	"testing"
)

// remission is in weeks, of two arms of 21 patients: Freireich et al., Blood 1963, as it
// stands in Gehan, Biometrika 1965. Negative ones are censored.
var (
	treated = lifetimes(6, 6, 6, -6, 7, -9, 10, -10, -11, 13, 16, -17, -19, -20, 22, 23, -25, -32, -32, -34, -35)
	placebo = lifetimes(1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23)
)

func lifetimes(lengths ...float64) []Lifetime {
	var list []Lifetime
	for _, length := range lengths {
		list = append(list, Lifetime{Length: math.Abs(length), Censored: length < 0})
	}
	return list
}

func upTo(n int) []Lifetime {
	var list []Lifetime
	for i := range n {
		list = append(list, Lifetime{Length: float64(i + 1)})
	}
	return list
}

// TestKaplanMeier compares with the table that textbooks print of the treated arm, such
// as Collett, Modelling Survival Data in Medical Research: shares and standard errors.
func TestKaplanMeier(t *testing.T) {
	want := []struct {
		at              float64
		risk, ended     int
		share, standard float64
	}{
		{6, 21, 3, 0.8571, 0.0764}, {7, 17, 1, 0.8067, 0.0869}, {10, 15, 1, 0.7529, 0.0963}, {13, 12, 1, 0.6902, 0.1068},
		{16, 11, 1, 0.6275, 0.1141}, {22, 7, 1, 0.5378, 0.1282}, {23, 6, 1, 0.4482, 0.1346},
	}
	got := KaplanMeier(treated).Steps()
	if len(got) != len(want) {
		t.Fatalf("%d steps, want %d: %+v", len(got), len(want), got)
	}
	for i, w := range want {
		g := got[i]
		if g.At != w.at || g.AtRisk != w.risk || g.Ended != w.ended || math.Abs(g.Share-w.share) > 5e-5 || math.Abs(g.Share*math.Sqrt(g.Greenwood)-w.standard) > 5.1e-5 {
			t.Errorf("step %d: %+v, want %+v", i, g, w)
		}
	}
}

func TestSurvivalQuantile(t *testing.T) {
	none := math.NaN()
	for _, row := range []struct {
		why              string
		of               []Lifetime
		q, alpha         float64
		value, low, high float64
	}{
		{"the textbook's median, and no upper bound: R's survfit with conf.type log-log says 23 (13, NA)", treated, 0.5, 0.025, 23, 13, none},
		{"too many are censored for this one", treated, 0.95, 0.05, none, none, none},
		{"nothing censored: ranks 6 and 16 of 21", placebo, 0.5, 0.025, 8, 4, 12},
		{"59 prove the 0.95-quantile at 95 %", upTo(59), 0.95, 0.05, 57, 53, 59},
		{"58 do not", upTo(58), 0.95, 0.05, 56, 52, none},
		{"299 prove the 0.99-quantile", upTo(299), 0.99, 0.05, 297, 293, 299},
		{"298 do not", upTo(298), 0.99, 0.05, 296, 292, none},
		{"five bound a median, each end at 1/32", upTo(5), 0.5, 0.05, 3, 1, 5},
		{"four do not", upTo(4), 0.5, 0.05, 2, none, none},
		{"one says nothing but itself", upTo(1), 0.5, 0.05, 1, none, none},
		{"all censored: nothing ended", lifetimes(-1, -2, -3), 0.5, 0.05, none, none, none},
		{"none at all", nil, 0.5, 0.05, none, none, none},
		{"the last one ends: a share of 0 has no variance, and bounds nothing", lifetimes(-1, 2), 0.5, 0.05, 2, none, none},
		{"exactly one half has ended, by products of fractions", lifetimes(1, 2, 3, 4, 5, -6, -7, -8, -9, -10), 0.5, 0.05, 5, 2, none},
	} {
		got := KaplanMeier(row.of).Quantile(row.q, row.alpha)
		for name, pair := range map[string][2]float64{"value": {orNaN(got.Value), row.value}, "low": {orNaN(got.Low), row.low}, "high": {orNaN(got.High), row.high}} {
			if pair[0] != pair[1] && !(math.IsNaN(pair[0]) && math.IsNaN(pair[1])) {
				t.Errorf("%s: %s is %v, want %v", row.why, name, pair[0], pair[1])
			}
		}
	}
}

func orNaN(value *float64) float64 {
	if value == nil {
		return math.NaN()
	}
	return *value
}

// TestSurvivalIsNotFooledByCensoring: exponential lifetimes, a third of them censored. The
// estimate and its bounds hold; to drop what was censored would put the median far too low.
func TestSurvivalIsNotFooledByCensoring(t *testing.T) {
	const runs, n = 400, 60
	random := rand.New(rand.NewPCG(1, 2))
	below, above, dropped := 0, 0, 0
	for range runs {
		var all, ended []Lifetime
		for range n {
			life, watched := random.ExpFloat64(), 2*random.ExpFloat64()
			one := Lifetime{Length: min(life, watched), Censored: watched < life}
			all = append(all, one)
			if !one.Censored {
				ended = append(ended, one)
			}
		}
		got, wrong := KaplanMeier(all).Quantile(0.5, 0.05), KaplanMeier(ended).Quantile(0.5, 0.05)
		if got.Low != nil && *got.Low > math.Ln2 {
			below++
		}
		if got.High != nil && *got.High < math.Ln2 {
			above++
		}
		if wrong.High != nil && *wrong.High < math.Ln2 {
			dropped++
		}
	}
	const most = 33 // a twentieth, and three standard deviations
	if below > most || above > most {
		t.Errorf("bounds at 5 %% are wrong %d and %d times in %d", below, above, runs)
	}
	if dropped < 2*most {
		t.Errorf("to drop the censored ones is wrong only %d times: this would not notice it", dropped)
	}
}
