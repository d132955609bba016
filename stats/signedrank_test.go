package stats

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestSignedRank(t *testing.T) {
	for _, row := range []struct {
		why         string
		differences []float64
		want        float64
	}{
		{"Hollander and Wolfe's depression scores: V = 40, 0.01953 on one side", []float64{0.952, -0.147, 1.022, 0.43, 0.62, 0.59, 0.49, -0.08, 0.01}, 2 * 0.01953125},
		{"five of one sign: 2/32", []float64{1, 2, 3, 4, 5}, 0.0625},
		{"the sign does not matter", []float64{-1, -2, -3, -4, -5}, 0.0625},
		{"ties share a rank: 2 of 16 orders, on both sides", []float64{7, 7, 7, 7}, 0.125},
		{"pairs without a difference are left out", []float64{0, 0, 1, 2, 3, 4, 5}, 0.0625},
		{"balanced: nothing", []float64{1, -1, 2, -2}, 1},
		{"no difference at all", []float64{0, 0}, 1},
		{"no pairs", nil, 1},
	} {
		if got := SignedRank(row.differences); math.Abs(got-row.want) > 1e-12 {
			t.Errorf("%s: %v, want %v", row.why, got, row.want)
		}
	}
}

// TestSignedRankAlarms: where both are alike it raises no more alarms than it says, and
// where they are not it does.
func TestSignedRankAlarms(t *testing.T) {
	const runs, n = 2000, 20
	random := rand.New(rand.NewPCG(3, 4))
	alarms, found := 0, 0
	for range runs {
		alike, shifted := make([]float64, n), make([]float64, n)
		for i := range n {
			alike[i] = math.Round(3 * random.NormFloat64()) // with ties and zeros
			shifted[i] = alike[i] + 4
		}
		if SignedRank(alike) <= 0.05 {
			alarms++
		}
		if SignedRank(shifted) <= 0.05 {
			found++
		}
	}
	if most := 0.05*runs + 3*math.Sqrt(runs*0.05*0.95); float64(alarms) > most {
		t.Errorf("%d false alarms in %d, at most %.0f are expected", alarms, runs, most)
	}
	if found < runs*9/10 {
		t.Errorf("a difference was found %d times in %d: this would not notice a test that finds nothing", found, runs)
	}
}
