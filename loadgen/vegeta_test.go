package loadgen

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"

	"github.com/cutover-dev/cutover/history"
)

// withVegeta attacks for a third of a second with what a program has of vegeta's.
func withVegeta(t *testing.T, dial Dialer, change func(*Attack)) (*memory, error) {
	t.Helper()
	sink := &memory{began: map[int64]int{}, answered: map[int64]int{}}
	a := &Attack{
		Spec: Spec{SLO: valid().SLO}, RunID: "run", Host: "shop", Dial: dial, Clock: history.NewClock(), Sink: sink,
		Pacer:    vegeta.ConstantPacer{Freq: 100, Per: time.Second},
		Targeter: vegeta.NewStaticTargeter(vegeta.Target{Method: "GET", URL: "http://goku:8080/a?b=c"}, vegeta.Target{Method: "POST", URL: "http://goku:8080/b", Body: []byte("x")}),
	}
	change(a)
	ctx, cancel := context.WithTimeout(t.Context(), 350*time.Millisecond)
	defer cancel()
	err := a.Run(ctx)
	slices.SortFunc(sink.requests, func(a, b history.Request) int { return int(a.Seq - b.Seq) })
	return sink, err
}

func TestVegetaPacesAndTargets(t *testing.T) {
	var mu sync.Mutex
	asked := map[string]int{}
	dial := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		asked[r.Method+" "+r.Host+r.URL.String()]++
	})
	sink, err := withVegeta(t, dial, func(*Attack) {})
	if err != nil {
		t.Fatal(err)
	}
	n := len(sink.requests)
	if n < 4 || n > 36 || asked["GET goku:8080/a?b=c"]+asked["POST goku:8080/b"] != n {
		t.Errorf("%d requests, of which %v were asked for", n, asked)
	}
	for i, r := range sink.requests {
		want := "GET /a"
		if i%2 == 1 {
			want = "POST /b"
		}
		gap := r.Intended.Sub(sink.requests[0].Intended) - time.Duration(i)*10*time.Millisecond
		if r.Name != want || r.Write != (i%2 == 1) || !r.Expected || gap.Abs() > 2*time.Microsecond {
			t.Errorf("request %d is %+v, %s off its pace", i, r, gap)
		}
	}
}

// What vegeta has no more of is over; what it cannot do, too.
func TestVegetaEndsAndRefuses(t *testing.T) {
	for _, tt := range []struct {
		comment string
		change  func(*Attack)
		n       int    // requests, exactly; -1 for any
		want    string // of the error; "" for none
	}{
		{"a targeter that has two", func(a *Attack) {
			a.Targeter = vegeta.NewJSONTargeter(strings.NewReader(`{"method":"GET","url":"http://goku/1"}`+"\n"+`{"method":"GET","url":"http://goku/2"}`+"\n"), nil, nil)
		}, 2, ""},
		{"a targeter that stumbles", func(a *Attack) {
			a.Targeter = vegeta.NewHTTPTargeter(strings.NewReader("GET http://goku/1\n\nFETCH\n"), nil, nil)
		}, 1, "load: bad target: FETCH"},
		{"a pacer that stops", func(a *Attack) { a.Pacer = stopAfter{5} }, 5, ""},
		{"as fast as possible", func(a *Attack) { a.Pacer = vegeta.ConstantPacer{} }, 0, "as fast as possible is no plan"},
		{"TLS", func(a *Attack) {
			a.Targeter = vegeta.NewStaticTargeter(vegeta.Target{Method: "GET", URL: "https://goku/"})
		}, 0, "only http is spoken here"},
		{"a pacer alone", func(a *Attack) { a.Targeter = nil }, 0, "load.requests is empty"},
		{"a targeter alone", func(a *Attack) { a.Pacer = nil }, 0, "load.rate is missing"},
		{"a pacer, and requests of the spec", func(a *Attack) { a.Targeter, a.Spec.Requests = nil, valid().Requests }, -1, ""},
		{"a targeter, and a rate of the spec", func(a *Attack) { a.Pacer, a.Spec.Rate, a.Spec.Arrivals = nil, perSecond(20), Constant }, -1, ""},
	} {
		sink, err := withVegeta(t, serve(t, nothing), tt.change)
		if (err != nil) != (tt.want != "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v, want %q", tt.comment, err, tt.want)
		}
		if n := len(sink.requests); n != tt.n && tt.n >= 0 || tt.n < 0 && n == 0 {
			t.Errorf("%s: %d requests, want %d", tt.comment, n, tt.n)
		}
	}
}

// stopAfter is a pacer that stops.
type stopAfter struct{ hits uint64 }

func (p stopAfter) Pace(_ time.Duration, hits uint64) (time.Duration, bool) {
	return time.Millisecond, hits >= p.hits
}

func (p stopAfter) Rate(time.Duration) float64 { return 1000 }

// TestVegetaIsPacedByOurs: a shape is a pacer like any other.
func TestVegetaIsPacedByOurs(t *testing.T) {
	spec := withShape(&ShapeSpec{Ramp: &RampSpec{To: perSecond(400), Over: inSeconds(1)}}, Constant)
	attacker := vegeta.NewAttacker(vegeta.Workers(8))
	n := 0
	targeter := vegeta.NewStaticTargeter(vegeta.Target{Method: "GET", URL: "http://127.0.0.1:1/"})
	for range attacker.Attack(targeter, spec.Pacer(1), 300*time.Millisecond, "ours") {
		n++
	}
	if due := spec.shape().due(.3); n < 2 || float64(n) > due*1.2+2 { // fewer, if the machine stood still
		t.Errorf("%d hits, and %.0f were due", n, due)
	}
}
