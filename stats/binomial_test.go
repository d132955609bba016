package stats

import (
	"math"
	"testing"
)

func TestBinomialTail(t *testing.T) {
	for _, row := range []struct {
		comment string
		k, n    int
		p, want float64
	}{
		{"no hit rejects nothing", 0, 1000, 0.001, 1},
		{"one hit in a thousand at one in a thousand: 1−0.999^1000", 1, 1000, 0.001, 1 - math.Pow(0.999, 1000)},
		{"all of them: p^n", 5, 5, 0.001, 1e-15},
		{"fair coin, 8 of 10: 56/1024", 8, 10, 0.5, 56.0 / 1024},
		{"more hits than trials cannot be", 11, 10, 0.5, 0},
		{"a rate of 0 allows no hit", 1, 1000, 0, 0},
		{"a rate of 1 allows everything", 1000, 1000, 1, 1},
		{"no trial rejects nothing", 0, 0, 0.5, 1},
	} {
		if got := BinomialTail(row.k, row.n, row.p); math.Abs(got-row.want) > 1e-12*max(row.want, 1e-3) {
			t.Errorf("%s: got %g, want %g", row.comment, got, row.want)
		}
	}
}

// The incomplete beta function must agree with the sum that it stands for.
func TestBinomialTailIsTheSum(t *testing.T) {
	const n, p = 60, 0.03
	sum, term := 0.0, math.Pow(p, n) // P(X = k), from k = n down
	for k := n; k >= 0; k-- {
		sum += term
		if got := BinomialTail(k, n, p); math.Abs(got-sum) > 1e-9*sum {
			t.Errorf("P(X ≥ %d): got %g, want %g", k, got, sum)
		}
		term *= float64(k) / float64(n-k+1) * (1 - p) / p
	}
}

func TestUpperRate(t *testing.T) {
	for _, row := range []struct {
		k, n        int
		alpha, want float64
	}{
		{0, 59, 0.05, 0.0495076},  // 1 − 0.05^(1/59): 59 clean runs show 5 %
		{0, 58, 0.05, 0.0503393},  // 58 do not
		{0, 299, 0.05, 0.0099692}, // and 299 show 1 %
		{1, 10, 0.05, 0.3941633},  // Clopper and Pearson
		{0, 1, 0.05, 0.95},        // one clean run
		{3, 3, 0.05, 1},           // all of them
	} {
		if got := UpperRate(row.k, row.n, row.alpha); math.Abs(got-row.want) > 1e-6 {
			t.Errorf("%d of %d at %g: %.7f, want %.7f", row.k, row.n, row.alpha, got, row.want)
		}
	}
}
