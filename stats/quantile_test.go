package stats

import (
	"testing"
	"time"
)

func TestQuantile(t *testing.T) {
	hundred := make([]int, 100)
	for i := range hundred {
		hundred[i] = 100 - i // 100 … 1: the order must not matter
	}
	for _, row := range []struct {
		comment string
		values  []int
		q       float64
		want    int
	}{
		{"the rank of 0.99 in a hundred is the 99th", hundred, 0.99, 99},
		{"0.07·100 is 7.000000000000001 in binary, yet the 7th", hundred, 0.07, 7},
		{"between two ranks the higher one counts", hundred, 0.985, 99},
		{"the median of an even number is the lower middle", []int{4, 1, 3, 2}, 0.5, 2},
		{"a bimodal p50 is a mode and no mean of both", []int{1, 1, 30000, 30000}, 0.5, 1},
		{"q of 0 is the smallest", hundred, 0, 1},
		{"q of 1 is the largest", hundred, 1, 100},
		{"q beyond 1 is clamped", hundred, 1.5, 100},
		{"one value is every quantile", []int{7}, 0.01, 7},
	} {
		if got, ok := Quantile(row.values, row.q); got != row.want || !ok {
			t.Errorf("%s: got %d, %t; want %d", row.comment, got, ok, row.want)
		}
	}
	if got, ok := Quantile([]time.Duration(nil), 0.5); ok {
		t.Errorf("the median of nothing is %v", got)
	}
	if hundred[0] != 100 {
		t.Error("the caller's values were sorted")
	}
}
