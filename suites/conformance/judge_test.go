package conformance

import (
	"math"
	"strings"
	"testing"

	"github.com/cutover-dev/cutover/stats"
)

// story is the trial of a delay as it should be. Each row of a test spoils one thing.
func story() Trial {
	at := func(phase Phase, role Role, quantity Quantity, is float64) Figure {
		return Figure{Phase: phase, Pod: string(role) + "-1", Role: role, Quantity: quantity, Value: &is, N: 30}
	}
	t := Trial{Case: Cases()[0], Driver: "agent", Said: Said{Injected: true, Proven: true, Because: "seen"}}
	for _, c := range Cases() {
		if c.Fault == "NetworkChaos delay" {
			t.Case = c
			break
		}
	}
	for _, phase := range []Phase{Before, During, After} {
		for _, role := range []Role{Target, Bystander} {
			trip := 0.3
			if phase == During && role == Target {
				trip = 150.5
			}
			t.Figures = append(t.Figures, at(phase, role, RoundTrip, trip), at(phase, role, Answered, 1))
		}
	}
	t.Figures = append(t.Figures, at(After, Target, Healed, 0.2))
	return t
}

// figure of a story, to be changed.
func (t *Trial) figure(phase Phase, role Role, quantity Quantity) *Figure {
	for i := range t.Figures {
		if f := &t.Figures[i]; f.Phase == phase && f.Role == role && f.Quantity == quantity {
			return f
		}
	}
	panic("the story has no such figure")
}

func TestJudge(t *testing.T) {
	for _, row := range []struct {
		why   string
		spoil func(*Trial)
		want  string // a part of one reason; "" if it is ok
	}{
		{"as asked for", func(*Trial) {}, ""},
		{"at the edge of the tolerance", func(t *Trial) { t.figure(During, Target, RoundTrip).Value = new(150.3 + delayed.Above) }, ""},
		{"said to be injected, without an effect", func(t *Trial) { t.figure(During, Target, RoundTrip).Value = new(0.3) }, "its object says AllInjected, and what was asked for is not there"},
		{"half of what was asked for", func(t *Trial) { t.figure(During, Target, RoundTrip).Value = new(75.0) }, "it is 75.0 ms, and was 0.30 ms"},
		{"twice what was asked for", func(t *Trial) { t.figure(During, Target, RoundTrip).Value = new(300.0) }, "it is 300.0 ms"},
		{"it does not end", func(t *Trial) { t.figure(After, Target, RoundTrip).Value = new(150.5) }, "after, target: round trip"},
		{"it ends late", func(t *Trial) { t.figure(After, Target, Healed).Value = new(20.0) }, "healed after 0.00 to 3.00 s"},
		{"it is on the bystander", func(t *Trial) { t.figure(During, Bystander, RoundTrip).Value = new(150.5) }, "during, bystander"},
		{"the pod did not answer before", func(t *Trial) { t.figure(Before, Target, Answered).Value = new(0.0) }, "before, target: answered"},
		{"the target was not measured", func(t *Trial) { *t.figure(During, Target, RoundTrip) = Figure{} }, "nothing was measured"},
		{"stalls spoiled it", func(t *Trial) {
			f := t.figure(During, Target, RoundTrip)
			f.Value, f.Because = nil, "stalls of the machine spoiled 20 of 30 exchanges"
		}, "not measured: stalls"},
		{"before is unknown", func(t *Trial) { t.figure(Before, Target, RoundTrip).Value = nil }, "what it was before is unknown"},
		{"one pod of two is not hit", func(t *Trial) {
			other := *t.figure(During, Target, RoundTrip)
			other.Pod, other.Value = "target-2", new(0.3)
			t.Figures = append(t.Figures, other)
		}, "pod target-2"},
		{"its own proof does not see it", func(t *Trial) { t.Said = Said{Injected: true, Because: "nothing to see"} }, "its own proof does not see it: nothing to see"},
		{"something is left", func(t *Trial) { t.Left = []string{"a qdisc"} }, "left behind: a qdisc"},
		{"it broke", func(t *Trial) { t.Broken = "inject: no" }, "inject: no"},
	} {
		trial := story()
		row.spoil(&trial)
		got := Judge(trial)
		because := strings.Join(got.Because, "\n")
		switch {
		case row.want == "" && (got.Result != OK || because != ""):
			t.Errorf("%s: %s: %s", row.why, got.Result, because)
		case row.want != "" && (got.Result != Failed || !strings.Contains(because, row.want)):
			t.Errorf("%s: %s: %s; want %q", row.why, got.Result, because, row.want)
		}
	}
}

// A sound driver's shares are accepted but for one trial in a thousand, and what is
// off by more than chance and tolerance is not.
func TestShares(t *testing.T) {
	within := Want{During, Target, Lost, chance, rated.around(portion)}
	none := Want{Before, Target, Lost, chance, span{0, rated.Above}}
	for _, row := range []struct {
		why     string
		want    Want
		hits, n int
		ok      bool
	}{
		{"what was asked for", within, 300, 1000, true},
		{"within chance", within, 345, 1000, true},
		{"too many", within, 400, 1000, false},
		{"too few", within, 220, 1000, false},
		{"none", within, 0, 1000, false},
		{"all", within, 1000, 1000, false},
		{"of ten nobody can tell", within, 5, 10, true},
		{"none is lost without a fault", none, 0, 1000, true},
		{"a busy machine loses some", none, 20, 1000, true},
		{"a fault is still on", none, 300, 1000, false},
	} {
		if got := row.want.test(row.hits, row.n); (got == "") != row.ok {
			t.Errorf("%s: %q", row.why, got)
		}
	}
}

// A pod that was born under the fault has no figure before it.
func TestNewbornIsComparedWithTheBystander(t *testing.T) {
	w := Want{During, Newborn, RoundTrip, more, delayed.around(latency)}
	trial := story()
	newborn := Figure{Phase: During, Pod: "target-9", Role: Newborn, Quantity: RoundTrip, Value: new(150.6), N: 30}
	if wrong := w.judge(append(trial.Figures, newborn)); len(wrong) > 0 {
		t.Error(wrong)
	}
	newborn.Value = new(0.4)
	if wrong := w.judge(append(trial.Figures, newborn)); len(wrong) != 1 {
		t.Errorf("it escaped, and nobody says so: %v", wrong)
	}
}

func TestWantsAreReadable(t *testing.T) {
	for _, row := range []struct {
		want Want
		text string
	}{
		{Want{During, Target, RoundTrip, more, delayed.around(150)}, "during, target: round trip 149.5 to 158.0 ms more than before"},
		{Want{Before, Target, Lost, chance, span{0, 0.02}}, "before, target: lost 0 to 2 %"},
		{want(During, Target, ExitCode, exactly(137)), "during, target: exit code 137"},
		{want(During, Target, Throughput, span{20, math.Inf(1)}), "during, target: throughput at least 20.0 MB/s"},
		{want(During, Target, Refused, exactly(1)), "during, target: refused 100 to 100 %"},
	} {
		if got := row.want.String(); got != row.text {
			t.Errorf("got %q, want %q", got, row.text)
		}
	}
}

// The tolerances of a jitter leave out one sound trial in a thousand: the chance that
// the order statistic which a percentile is lies beyond them.
func TestJitterTolerances(t *testing.T) {
	for _, row := range []struct {
		why       string
		q         float64
		tolerance Tolerance
	}{
		{"the 90th percentile", 0.9, jittered},
		{"the median", 0.5, middle},
	} {
		rank := int(math.Ceil(row.q * exchangesEach))
		// It is too low if so many draws are below the tolerance's end.
		least := row.q - row.tolerance.Below/(2*jitter)
		if p := stats.BinomialTail(rank, exchangesEach, least); p > rejects {
			t.Errorf("%s: %.2g of sound trials are too low", row.why, p)
		}
	}
}
