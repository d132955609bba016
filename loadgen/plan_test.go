package loadgen

import (
	"math"
	"testing"
	"time"
)

func arrivals(t *testing.T, spec Spec, seed int64, n int) []arrival {
	t.Helper()
	p := (&Attack{Host: "shop", Seed: seed}).newPlan(spec.WithDefaults())
	all := make([]arrival, n)
	for i := range all {
		var err error
		if all[i], err = p.next(); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

func TestPlanIsAFunctionOfItsSeed(t *testing.T) {
	spec := valid()
	spec.Requests = []RequestSpec{{Path: "/a"}, {Path: "/b"}}
	one, again, other := arrivals(t, spec, 7, 1000), arrivals(t, spec, 7, 1000), arrivals(t, spec, 8, 1000)
	same := 0
	for i := range one {
		if one[i].seq != int64(i) || one[i].offset != again[i].offset || one[i].spec.Path != again[i].spec.Path {
			t.Fatalf("arrival %d: %+v, then %+v", i, one[i], again[i])
		}
		if one[i].offset == other[i].offset {
			same++
		}
	}
	if same > 0 {
		t.Errorf("another seed gives %d arrivals at the same offset", same)
	}
}

// A plan goes on without asking for memory: what collects it would delay arrivals.
func TestPlanAllocatesNothing(t *testing.T) {
	for _, shaped := range shaped {
		for _, how := range []string{Poisson, Constant} {
			p := (&Attack{Host: "shop"}).newPlan(withShape(shaped.shape, how).WithDefaults())
			if n := testing.AllocsPerRun(1000, func() { _, _ = p.next() }); n > 0 {
				t.Errorf("%s, %s: %g allocations for each arrival", shaped.name, how, n)
			}
		}
	}
}

func TestConstantArrivals(t *testing.T) {
	spec := valid()
	spec.Arrivals = Constant
	for i, a := range arrivals(t, spec, 1, 1000) {
		if want := time.Duration(i+1) * 5 * time.Millisecond; a.offset != want {
			t.Fatalf("arrival %d at %s, want %s", i, a.offset, want)
		}
	}
}

func TestPoissonArrivals(t *testing.T) {
	const n = 200_000
	all := arrivals(t, valid(), 3, n)
	var sum, squares, last float64
	long := 0
	for _, a := range all {
		gap := a.offset.Seconds()*200 - last // in means
		last += gap
		sum += gap
		squares += gap * gap
		if gap > 1 {
			long++
		}
	}
	mean, deviation := sum/n, math.Sqrt(squares/n-sum/n*sum/n)
	if math.Abs(mean-1) > .01 || math.Abs(deviation-1) > .02 {
		t.Errorf("gaps have mean %.4f and deviation %.4f, want 1 and 1", mean, deviation)
	}
	if share := float64(long) / n; math.Abs(share-math.Exp(-1)) > .01 {
		t.Errorf("%.4f of the gaps are above the mean, want 1/e", share)
	}
}

func TestMixFollowsTheWeights(t *testing.T) {
	spec := valid()
	spec.Requests = []RequestSpec{{Path: "/a", Weight: 3}, {Method: "POST", Path: "/b", Body: "x"}}
	count := map[string]int{}
	for _, a := range arrivals(t, spec, 5, 40_000) {
		count[a.spec.Name()]++
		if want := "http://shop" + a.spec.Path; a.target.URL != want || string(a.target.Body) != a.spec.Body {
			t.Fatalf("target %+v of %+v", a.target, a.spec)
		}
	}
	if share := float64(count["GET /a"]) / 40_000; math.Abs(share-.75) > .01 {
		t.Errorf("weight 3 of 4 got %.3f", share)
	}
	if len(count) != 2 {
		t.Errorf("chosen: %v", count)
	}
}
