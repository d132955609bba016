package verdict

import (
	"math"
	"strings"
	"testing"
)

// repeats makes a set's runs, one for each letter: pass, fail, invalid, skipped, error.
// Small letters are sham runs, in pairs with the capital before or after.
func repeats(letters string) []Repeat {
	verdicts := map[string]Verdict{"P": Pass, "F": Fail, "I": Invalid, "S": Skipped, "E": Error, "?": ""}
	pairs := map[bool]int{}
	var runs []Repeat
	for _, letter := range strings.Split(letters, "") {
		sham := letter != strings.ToUpper(letter)
		pairs[sham]++
		runs = append(runs, Repeat{Pair: pairs[sham], Sham: sham, Run: Run{Verdict: verdicts[strings.ToUpper(letter)]}})
	}
	return runs
}

func TestJudgeSet(t *testing.T) {
	for _, row := range []struct {
		why     string
		planned int
		sham    bool
		runs    []Repeat
		want    Verdict
		invalid int
		exit    int
	}{
		{"all passed", 3, false, repeats("PPP"), Pass, 0, 0},
		{"one failed: a failure is no chance", 3, false, repeats("PFP"), Fail, 0, 1},
		{"a tenth may show nothing", 10, false, repeats("PPPPPPPPPI"), Pass, 1, 0},
		{"more than a tenth may not", 9, false, repeats("PPPPPPPPI"), Invalid, 1, 2},
		{"a verdict that is not known is invalid", 1, false, repeats("?"), Invalid, 1, 2},
		{"what was not run shows nothing either", 10, false, repeats("PPPPPPPP"), Invalid, 2, 2},
		{"nothing was run", 5, false, nil, Invalid, 5, 2},
		{"a failure is worth more than doubts, as elsewhere", 4, false, repeats("FIII"), Fail, 3, 1},
		{"a broken harness overrides a failure", 3, false, repeats("PFE"), Error, 0, 3},
		{"skipped, and ended there", 9, false, repeats("S"), Skipped, 9, 2},
		{"skipped once is not skipped", 3, false, repeats("PPS"), Invalid, 1, 2},
		{"sham runs may fail: they need no fault to be bad", 2, true, repeats("PffP"), Pass, 0, 0},
		{"sham runs that show nothing leave nothing to compare with", 2, true, repeats("PiPp"), Invalid, 0, 2},
		{"a harness that broke in a sham run", 2, true, repeats("PePp"), Error, 0, 3},
		{"a sham run could be made, but not the faults", 2, true, repeats("pS"), Skipped, 2, 2},
		{"a sham run was the first, and was skipped", 2, true, repeats("s"), Skipped, 2, 2},
	} {
		set := JudgeSet(SetPlan{Repeats: row.planned, Sham: row.sham}, row.runs)
		if set.Verdict != row.want || set.Repeats.Invalid != row.invalid || set.Because == "" {
			t.Errorf("%s: %s, %d invalid (%s)", row.why, set.Verdict, set.Repeats.Invalid, set.Because)
		}
		if code := ExitCode(set.Standing()); code != row.exit {
			t.Errorf("%s: exit code %d, want %d", row.why, code, row.exit)
		}
		if len(set.Runs) != len(row.runs) {
			t.Errorf("%s: %d of %d runs are listed", row.why, len(set.Runs), len(row.runs))
		}
	}
}

func TestSetOfControls(t *testing.T) {
	control := func(v Verdict, met bool) Repeat {
		return Repeat{Run: Run{Verdict: v, Control: &ControlResult{Want: Fail, Met: met}}}
	}
	for _, row := range []struct {
		why          string
		planned      int
		runs         []Repeat
		met          bool
		named, suite int
	}{
		{"met in each", 2, []Repeat{control(Fail, true), control(Fail, true)}, true, 1, 0},
		{"once not: the tester cannot be trusted", 2, []Repeat{control(Fail, true), control(Pass, false)}, false, 1, 1},
		{"one was not run", 2, []Repeat{control(Fail, true)}, false, 1, 1},
	} {
		set := JudgeSet(SetPlan{Repeats: row.planned}, row.runs)
		if set.Control == nil || set.Control.Met != row.met || ExitCode(set.Standing()) != row.named || SuiteExitCode(set.Standing()) != row.suite {
			t.Errorf("%s: %+v, exit codes %d and %d", row.why, set.Control, ExitCode(set.Standing()), SuiteExitCode(set.Standing()))
		}
	}
	if set := JudgeSet(SetPlan{Repeats: 1}, repeats("P")); set.Control != nil {
		t.Error("no control was made into one")
	}
}

// incidents gives runs their MTTR in milliseconds: negative is censored, 0 none.
func incidents(runs []Repeat, mttrs ...float64) []Repeat {
	for i, ms := range mttrs {
		if ms != 0 {
			runs[i].Run.MTTR = &MTTR{TotalMs: math.Abs(ms), Censored: ms < 0}
		}
	}
	return runs
}

func TestRecoveryOfSets(t *testing.T) {
	all := func(n int, ms float64) []Repeat {
		runs := repeats(strings.Repeat("P", n))
		for i := range runs {
			incidents(runs[i:], ms+float64(i))
		}
		return runs
	}
	unjudgeable := incidents(repeats("FP"), 9000, 100)
	unjudgeable[0].Run.Checks = []Finding{{Name: "outcome", Status: CheckFail}, {Name: "mttr", Status: CheckUnjudged}}
	for _, row := range []struct {
		why                          string
		runs                         []Repeat
		incidents, censored, without int
		p50, p95, high               float64 // −1 for null
		missed                       float64
	}{
		{"59 clean runs prove the 0.95-quantile at 95 %", all(59, 1000), 59, 0, 0, 1029, 1056, 1058, 0.0495},
		{"58 do not", all(58, 1000), 58, 0, 0, 1028, 1055, -1, 0.0503},
		{"what was censored lasted longer: the median is not reached", incidents(repeats("PPPP"), 100, -200, -200, -200), 4, 3, 0, -1, -1, -1, 0.5271},
		{"none had an incident", repeats("PPPPP"), 0, 0, 5, -1, -1, -1, 0.4507},
		{"invalid ones are left out, whatever they measured", incidents(repeats("PIE"), 100, 9000, 9000), 1, 0, 0, 100, 100, -1, 0.95},
		{"one that failed counts like any other", incidents(repeats("PFP"), 100, 900, 200), 3, 0, 0, 200, 900, -1, 0.8646},
		{"but not if its MTTR could not be judged", unjudgeable, 1, 0, 0, 100, 100, -1, 0.9747},
	} {
		set := JudgeSet(SetPlan{Repeats: len(row.runs)}, row.runs)
		m := set.MTTR
		if m.Incidents != row.incidents || m.Censored != row.censored || m.Without != row.without {
			t.Errorf("%s: %+v", row.why, m)
		}
		for name, pair := range map[string][2]float64{"p50": {orNull(m.P50.Ms), row.p50}, "p95": {orNull(m.P95.Ms), row.p95}, "the bound of p95": {orNull(m.P95.HighMs), row.high}} {
			if pair[0] != pair[1] {
				t.Errorf("%s: %s is %v, want %v", row.why, name, pair[0], pair[1])
			}
		}
		if got := orNull(set.MissedAtMost); math.Abs(got-row.missed) > 5e-5 {
			t.Errorf("%s: at most %.4f miss it, want %.4f", row.why, got, row.missed)
		}
	}
}

func orNull(value *float64) float64 {
	if value == nil {
		return -1
	}
	return *value
}

func TestComparisonWithSham(t *testing.T) {
	bad := func(letters string, counts ...int64) []Repeat {
		runs := repeats(letters)
		for i, n := range counts {
			runs[i].Run.Requests.Bad = n
		}
		return runs
	}
	for _, row := range []struct {
		why               string
		runs              []Repeat
		pairs             int
		median, low, high float64
		p                 float64
	}{
		{"worse in each of five pairs", bad("PppPPppPPp", 110, 0, 10, 130, 120, 0, 5, 115, 125, 5), 5, 120, 110, 120, 0.0625},
		{"drift is the same for both runs of a pair, and goes out", bad("PpPpPpPpPp", 10, 10, 20, 20, 30, 30, 40, 40, 50, 50), 5, 0, 0, 0, 1},
		{"half a pair is no pair", bad("PpIpPi", 100, 0, 100, 0, 100, 0), 1, 100, math.NaN(), math.NaN(), 1},
		{"none is left", bad("Pi", 100, 0), 0, math.NaN(), math.NaN(), math.NaN(), math.NaN()},
	} {
		got := JudgeSet(SetPlan{Repeats: len(row.runs) / 2, Sham: true}, row.runs).Comparison.BadRequests
		for name, pair := range map[string][2]float64{"median": {orNaN(got.Median), row.median}, "low": {orNaN(got.Low), row.low}, "high": {orNaN(got.High), row.high}, "p": {orNaN(got.P), row.p}} {
			if pair[0] != pair[1] && !(math.IsNaN(pair[0]) && math.IsNaN(pair[1])) {
				t.Errorf("%s: %s is %v, want %v", row.why, name, pair[0], pair[1])
			}
		}
		if got.Pairs != row.pairs {
			t.Errorf("%s: %d pairs, want %d", row.why, got.Pairs, row.pairs)
		}
	}
	set := JudgeSet(SetPlan{Repeats: 1, Sham: true}, incidents(repeats("Pp"), 3000))
	if d := set.Comparison.MTTRMs; d.Pairs != 0 || d.Median != nil {
		t.Errorf("a sham run without an incident has no MTTR, and that is not 0: %+v", d)
	}
	if set := JudgeSet(SetPlan{Repeats: 1}, repeats("P")); set.Comparison != nil || set.Sham != nil {
		t.Error("there is a comparison, and nothing to compare with")
	}
}

func orNaN(value *float64) float64 {
	if value == nil {
		return math.NaN()
	}
	return *value
}

// TestLatencyOfRuns: what was never over with is no latency of 0.
func TestLatencyOfRuns(t *testing.T) {
	if got := Judge(calm().tell()).Requests.LatencyP99Ms; got == nil || *got <= 0 {
		t.Errorf("a calm run has a p99 of %v", orNaN(got))
	}
}
