package verdict

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/cutover-dev/cutover/history"
)

// Closed forms: E⁺ = 3^n/(n+1) · (1 − 3^−(n+1)) / (2/3), if the candidate's answer was the
// odd one n times and the baseline's never.
func TestOddEvidence(t *testing.T) {
	for n := range 20 {
		k := float64(n)
		want := k*math.Log(3) - math.Log(k+1) + math.Log1p(-math.Pow(3, -k-1)) - math.Log(2.0/3)
		if got := logOdd(int64(n), 0); math.Abs(got-want) > 1e-9 {
			t.Errorf("ln E of %d: got %.12f, want %.12f", n, got, want)
		}
	}
	// What noise is expected to look like is no evidence, and less than that is against it.
	if even, less := logOdd(100, 200), logOdd(10, 290); even > 0 || less > even {
		t.Errorf("ln E is %g and %g", even, less)
	}
	// However much there is of it: the summary is JSON, which has no infinity.
	for _, f := range []history.OddField{{Baseline: 1e9}, {Candidate: 1, Baseline: 1e9}, {Candidate: 1e9}, {AllDiffer: 1e9}} {
		if got := logOdd(f.Candidate, f.Baseline); math.IsInf(got, 0) || math.IsNaN(got) {
			t.Errorf("ln E of %+v is %g", f, got)
		}
	}
	if got := neededOdd(1); got != 6 {
		t.Errorf("one field is found after %d, want 6", got)
	}
}

// What comes of comparing answers that are the same, and of answers of which one field is
// wrong in one of a hundred.
var (
	same    = history.Diff{Chosen: 1500, Compared: 1500, Requests: map[string]int64{"GET /cart": 1500}, Fields: 5}
	another = history.Diff{Chosen: 1500, Compared: 1500, Requests: map[string]int64{"GET /cart": 1500}, Fields: 5,
		Odd: []history.OddField{{Request: "GET /cart", Field: "body.total", Candidate: 15}}}
)

// compared is the calm story whose answers were compared.
func compared(d history.Diff) *story {
	s := calm()
	s.plan.Expect = history.Expect{Diff: "none"}
	s.at(20.4, d)
	return s
}

func TestDiffCheck(t *testing.T) {
	found := history.OddField{Request: "GET /cart", Field: "body.total", Candidate: 100, Sample: &history.OddSample{ID: "r1-7", Baseline: "7", Candidate: "8"}}
	noisy := history.OddField{Request: "GET /cart", Field: "body.at", Candidate: 40, Baseline: 75}
	of := func(n int64, odd ...history.OddField) history.Diff {
		return history.Diff{Chosen: n + 5, Compared: n, Dropped: map[string]int64{"no pod": 5}, Requests: map[string]int64{"GET /cart": n}, Fields: 10, Odd: odd}
	}
	unbalanced := of(100)
	unbalanced.Chosen++
	rare := of(100)
	rare.Requests["GET /rare"] = 3
	for _, row := range []struct {
		comment              string
		tell                 *story
		status, got, because string
	}{
		{"nothing differs", compared(of(100)), CheckPass, "none", "100 requests compared in 10 fields; one that differs in 12.7 % of the answers to GET /cart would have been found"},
		{"noise", compared(of(300, noisy)), CheckPass, "none", "300 requests compared"},
		{"one field", compared(of(300, noisy, found)), CheckFail, "body.total", "body.total of GET /cart: of three answers the candidate's was the odd one 100 times, the baseline's 0 times; 7 became 8"},
		// Each assumption.
		{"no release", compared(of(100)).without(history.ReleaseBegan{}), CheckUnjudged, "none", "release began"},
		{"too few to say anything", compared(of(3)), CheckUnjudged, "none", "3 compared of GET /cart, and it takes 8 to find a field that always differs; most others: no pod (5)"},
		{"too few of one kind", compared(rare), CheckUnjudged, "none", "3 compared of GET /rare"},
		{"books that do not balance", compared(unbalanced), CheckUnjudged, "none", "the books of the comparison do not balance: 106 chosen, 105 compared or dropped"},
		{"never told", compared(of(1)).without(history.Diff{}), CheckUnjudged, "", "the load was not brought to an end, or compared nothing"},
	} {
		got := Judge(row.tell.tell()).check("diff")
		if got.Status != row.status || got.Got != row.got || !strings.Contains(got.Because, row.because) {
			t.Errorf("%s: got %+v\nwant %s %q %q", row.comment, got, row.status, row.got, row.because)
		}
	}
}

// What differs is said also where nobody expects that nothing does.
func TestDiffIsAFinding(t *testing.T) {
	s := compared(another)
	s.plan.Expect = history.Expect{Outcome: "promoted"}
	run := Judge(s.tell())
	if run.Verdict != Pass || !slices.Contains(run.Findings, "the versions answer differently: body.total") {
		t.Errorf("%s, with findings %q", run.Verdict, run.Findings)
	}
	if run.Diff == nil || len(run.Diff.Differing) != 1 || math.Abs(run.Diff.Differing[0].LogE-logOdd(15, 0)) > 1e-12 {
		t.Errorf("the summary has %+v", run.Diff)
	}
}

// What is taken for noise is listed as well, the most suspicious first, and no more of it
// than a summary holds.
func TestNoiseIsListed(t *testing.T) {
	seen := history.Diff{Chosen: 300, Compared: 300, Requests: map[string]int64{"GET /cart": 300, "GET /never": 0}, Large: 3, Fields: 200}
	for i := range 150 {
		seen.Odd = append(seen.Odd, history.OddField{Request: "GET /cart", Field: fmt.Sprint("body.id", i), AllDiffer: 300})
	}
	seen.Odd = append(seen.Odd, history.OddField{Request: "GET /cart", Field: "body.flag", Candidate: 4}, history.OddField{Request: "GET /cart", Field: "body.total", Candidate: 300})
	d := JudgeDiff(seen)
	if len(d.Differing) != 1 || d.Differing[0].Field != "body.total" || d.Large != 3 {
		t.Errorf("got %+v", d)
	}
	if d.NoiseFields != 151 || len(d.Noise) != maxNoise || d.Noise[0].Field != "body.flag" || d.Noise[1].LogE != 0 {
		t.Errorf("%d fields of noise, %d listed, first %+v", d.NoiseFields, len(d.Noise), d.Noise[:2])
	}
	if d.Findable["GET /never"] != 1 || math.Abs(d.Findable["GET /cart"]-0.06) > 0.01 {
		t.Errorf("found would be %v", d.Findable)
	}
}

// TestDiffOperatingCharacteristics draws answers: fields that differ by chance, however
// they do it, are hardly ever said to differ, and one that the candidate has wrong in one
// answer of a hundred is found.
func TestDiffOperatingCharacteristics(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	noises := []func() string{
		func() string { return fmt.Sprint(r.Uint64()) },       // an id
		func() string { return fmt.Sprint(r.IntN(2)) },        // a coin
		func() string { return fmt.Sprint(r.IntN(100) == 0) }, // rarely another
		func() string { return fmt.Sprint(r.IntN(1000) / 900) },
	}
	const runs, requests = 200, 1500
	wrongly, missed := 0, 0
	for range runs {
		counts := make([]history.OddField, len(noises)+1)
		for i := range counts {
			counts[i].Field = fmt.Sprint("noise", i)
		}
		counts[len(noises)].Field = "broken"
		for range requests {
			for i, noise := range noises {
				a, b, c := noise(), noise(), noise()
				switch {
				case a == b && b != c:
					counts[i].Candidate++
				case a != b && (a == c || b == c):
					counts[i].Baseline++
				}
			}
			if r.IntN(100) == 0 {
				counts[len(noises)].Candidate++
			}
		}
		names := differing(new(JudgeDiff(history.Diff{Compared: requests, Fields: len(counts), Odd: counts})))
		if slices.ContainsFunc(names, func(name string) bool { return name != "broken" }) {
			wrongly++
		}
		if !slices.Contains(names, "broken") {
			missed++
		}
	}
	if wrongly > 8 { // the chance of more is below one in a thousand at 2 in 200
		t.Errorf("noise is said to differ in %d of %d runs", wrongly, runs)
	}
	if missed > runs/20 {
		t.Errorf("a field that is wrong in 1 %% is missed in %d of %d runs of %d requests", missed, runs, requests)
	}
}

// TestNoiseInManyFields looks again and again at a thousand fields that all differ at times:
// none of them may ever be said to differ, but in one run of a hundred.
func TestNoiseInManyFields(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 11))
	const runs, looks, fields = 20, 25, 1000
	for run := range runs {
		counts := make([]history.OddField, fields)
		for look := range looks {
			for i := range counts {
				for range 1 + i%40 { // rare in some, frequent in others
					if r.IntN(3) == 0 {
						counts[i].Candidate++
					} else {
						counts[i].Baseline++
					}
				}
			}
			if names := differing(new(JudgeDiff(history.Diff{Fields: fields, Odd: counts}))); names != nil {
				t.Fatalf("run %d, look %d: %d fields are said to differ", run, look, len(names))
			}
		}
	}
}
