package main

import (
	"math"
	"testing"
	"time"

	"github.com/cutover-dev/cutover/loadgen"
)

func TestErrorsOf(t *testing.T) {
	const n = 100_000
	for i, s := range shapes {
		for k, e := range errorsOf(latencies(s, n, 1, uint64(i))) {
			if e.ours > 0.001 {
				t.Errorf("%s: ours is %.3g off at p%g", s.name, e.ours, 100*quantiles[k])
			}
		}
	}
	// What interpolates between two modes is far off: or else this would notice nothing.
	worst := 0.0
	for i, s := range shapes {
		for _, e := range errorsOf(latencies(s, n, 1, uint64(i))) {
			worst = max(worst, e.peer)
		}
	}
	if worst < 0.05 {
		t.Errorf("a t-digest is off by %.3g at most", worst)
	}
}

func TestShapes(t *testing.T) {
	for i, row := range []struct{ median, p999 time.Duration }{
		{5 * time.Millisecond, 110 * time.Millisecond},
		{7 * time.Millisecond, 69 * time.Millisecond},
		{1900 * time.Microsecond, 534 * time.Millisecond},
		{0, 34 * time.Second}, // one mode or the other, as it falls
		{time.Millisecond, 33500 * time.Millisecond},
	} {
		h := loadgen.NewHistogram()
		for _, latency := range latencies(shapes[i], 100_000, 2, 3) {
			if err := h.RecordValue(latency.Microseconds()); err != nil {
				t.Fatal(err)
			}
		}
		for q, want := range map[float64]time.Duration{50: row.median, 99.9: row.p999} {
			got := time.Duration(h.ValueAtQuantile(q)) * time.Microsecond
			if want > 0 && math.Abs(float64(got)/float64(want)-1) > 0.15 {
				t.Errorf("%s: p%g is %v, want about %v", shapes[i].name, q, got, want)
			}
		}
	}
}

func TestRank(t *testing.T) {
	for _, row := range []struct {
		n    int
		q    float64
		want int
	}{{10_000_000, 0.5, 5_000_000}, {10_000_000, 0.99999, 9_999_900}, {1000, 0.999, 999}, {3, 0.5, 2}, {1, 0.5, 1}, {10, 0, 1}} {
		if got := rank(row.n, row.q); got != row.want {
			t.Errorf("rank of %g in %d is %d, want %d", row.q, row.n, got, row.want)
		}
	}
}

func TestMergedDiffers(t *testing.T) {
	drawn := latencies(shapes[3], 10_000, 1, 1)
	if n, err := mergedDiffers(drawn, 64); n != 0 || err != nil {
		t.Errorf("%d counts differ (%v)", n, err)
	}
	// One more, and one that is elsewhere.
	a, b := loadgen.NewHistogram(), loadgen.NewHistogram()
	for _, us := range []int64{1, 5000, 30_000_000} {
		if err := a.RecordValue(us); err != nil {
			t.Fatal(err)
		}
	}
	for _, us := range []int64{1, 5000, 60_000_000} {
		if err := b.RecordValue(us); err != nil {
			t.Fatal(err)
		}
	}
	if countsDiffer(a, b) == 0 || countsDiffer(a, a) != 0 {
		t.Error("a histogram of other latencies is told to be the same, or one not to be like itself")
	}
	empty := loadgen.NewHistogram()
	if countsDiffer(a, empty) == 0 {
		t.Error("nothing is told to be the same as something")
	}
}
