package gates

import (
	"context"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/cutover-dev/cutover/history"
)

func TestCompare(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	// some requests, of an exponential latency beyond 10 ms.
	some := func(n, errors int, factor float64) history.Tally {
		made := history.Tally{N: n, Errors: errors, Bad: errors}
		for range n {
			made.Latencies = append(made.Latencies, time.Duration(factor*float64(10*time.Millisecond)*(1+r.ExpFloat64())))
		}
		return made
	}
	none := history.Tally{}
	tight := Compare{Slower: .1, Slack: history.Duration(time.Nanosecond)}
	for _, row := range []struct {
		name                        string
		spec                        Compare
		baseline, candidate, nobody history.Tally
		before                      history.Tally // of the baseline
		status, because             string
	}{
		// HAPPY: the same.
		{"good", Compare{}, some(300, 0, 1), some(100, 0, 1), none, none, Pass, "errors 0% (0) against 0% (0), p 1, p50 "},
		// HAPPY: slower by no more than is allowed.
		{"a little slower", Compare{}, some(300, 0, 1), some(100, 0, 1.4), none, none, Pass, "is allowed"},
		// SAD: slower by more.
		{"slow", Compare{}, some(300, 0, 1), some(100, 0, 4), none, none, Fail, "p50 "},
		{"slower than a tenth", tight, some(300, 0, 1), some(300, 0, 1.5), none, none, Fail, "p50 "},
		// HAPPY: nobody asks.
		{"slow, errors alone", Compare{Metrics: []string{"errors"}}, some(300, 0, 1), some(100, 0, 4), none, none, Pass, "errors 0%"},
		// SAD: it fails more often.
		{"errors", Compare{}, some(300, 3, 1), some(100, 10, 1), none, none, Fail, "errors 10% (10) against 1% (3), p "},
		// HAPPY: as often, or hardly.
		{"both fail", Compare{}, some(300, 30, 1), some(100, 12, 1), none, none, Pass, "errors 12% (12) against 10% (30)"},
		{"within what is borne", Compare{Tolerate: .15}, some(300, 0, 1), some(100, 12, 1), none, none, Pass, "errors 12% (12) against 0% (0)"},
		// SAD: black hole.
		{"black hole", Compare{}, some(300, 0, 1), none, unanswered(60, slow), none, Fail, "errors 100% (60) against 0% (0), p "},
		{"black hole, latency alone", Compare{Metrics: []string{"latency"}}, some(300, 0, 1), none, unanswered(60, slow), none, Fail, "p50 unknown, unanswered against"},
		// HAPPY, SAD: without traffic of the baseline, what it did before counts.
		{"alone, good", Compare{}, none, some(100, 0, 1), none, some(300, 0, 1), Pass, "(n=100, the baseline's 300 from before)"},
		{"alone, slow", Compare{}, none, some(100, 0, 4), none, some(300, 0, 1), Fail, " from before)"},
		{"nearly alone", Compare{}, some(10, 10, 9), some(100, 0, 1), none, some(300, 0, 1), Pass, " from before)"},
		// NO DATA: too few of either.
		{"too few", Compare{}, some(300, 0, 1), some(49, 49, 9), none, none, NoData, "49 requests of the candidate, fewer than 50"},
		{"no baseline", Compare{}, none, some(100, 0, 1), none, some(49, 0, 1), NoData, "49 requests of the baseline, fewer than 50, now as well as before"},
	} {
		t.Run(row.name, func(t *testing.T) {
			live := twoWindows{before: row.before, now: map[history.Version]history.Tally{
				history.Baseline: row.baseline, history.Candidate: row.candidate, history.Unattributed: row.nobody}}
			got := row.spec.WithDefaults().gate("compare").Read(context.Background(), live, Span{From: 5, To: 9, Min: 50})
			if got.Status != row.status || !strings.Contains(got.Because, row.because) {
				t.Errorf("%s because %q, want %s because %q", got.Status, got.Because, row.status, row.because)
			}
			if got.From != 5 || got.To != 9 || got.Gate != "compare" {
				t.Errorf("reading %+v does not say what it covers", got)
			}
		})
	}
}

// The baseline that is remembered is the last one that had enough requests.
func TestCompareRemembers(t *testing.T) {
	gate := Compare{}.WithDefaults().gate("compare")
	read := func(baseline history.Tally) history.Reading {
		live := twoWindows{before: tally(100, 0, 0, time.Millisecond), now: map[history.Version]history.Tally{
			history.Baseline: baseline, history.Candidate: tally(100, 0, 0, 300*time.Millisecond)}}
		return gate.Read(t.Context(), live, Span{From: 5, To: 9, Min: 50})
	}
	for _, row := range []struct {
		comment  string
		baseline history.Tally
		want     string
	}{
		{"quick before the release, and nothing since", history.Tally{}, Fail},
		{"as slow, now", tally(100, 0, 0, 300*time.Millisecond), Pass},
		{"as slow, last", history.Tally{}, Pass},
	} {
		if got := read(row.baseline); got.Status != row.want {
			t.Errorf("%s: %s because %s", row.comment, got.Status, got.Because)
		}
	}
}

// twoWindows is a live view of what was before 5 µs, and of what has been since.
type twoWindows struct {
	history.Live
	before history.Tally // of the baseline
	now    map[history.Version]history.Tally
}

func (l twoWindows) Window(from, to history.Micros) history.Window {
	w := history.Window{From: from, To: to, Versions: l.now}
	if to <= 5 {
		w.Versions = map[history.Version]history.Tally{history.Baseline: l.before}
	}
	return w
}
