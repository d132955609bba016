package reports

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/cutover-dev/cutover/history"
	"github.com/cutover-dev/cutover/verdict"
)

func TestRowOf(t *testing.T) {
	for _, row := range []struct {
		d    time.Duration
		want int
	}{
		{-time.Second, 0},           // no latency is negative, and none may fall off the chart
		{0, 0},                      // faster than the clock can tell
		{fastest, 0},                // the lower edge
		{134 * time.Microsecond, 1}, // the first row above it
		{time.Millisecond, 8},       // powers of ten begin a decade
		{100 * time.Millisecond, 24},
		{time.Second, 32},                // also where the logarithm rounds down
		{999_999 * time.Microsecond, 31}, // just below
		{10 * time.Second, 39},           // the upper edge counts in the last row
		{time.Hour, 39},                  // and so does what lies beyond
	} {
		if got := rowOf(row.d, 5); got != row.want {
			t.Errorf("rowOf(%v) = %d, want %d", row.d, got, row.want)
		}
	}
}

func TestDecadesUpTo(t *testing.T) {
	for _, row := range []struct {
		most time.Duration
		want int
	}{
		{0, 1},           // there is always a decade
		{time.Second, 4}, // 0.1 ms to 1 s, which counts in the last row
		{1001 * time.Millisecond, 5},
		{time.Hour, 8}, // the slowest that anybody waits
	} {
		if got := decadesUpTo(row.most); got != row.want {
			t.Errorf("decadesUpTo(%v) = %d, want %d", row.most, got, row.want)
		}
	}
}

func TestHeatLevels(t *testing.T) {
	for _, row := range []struct {
		most   int
		want   []int
		counts []string
	}{
		{0, []int{1}, []string{"1"}},                                              // an empty chart still has a key
		{1, []int{1}, []string{"1"}},                                              // one request
		{3, []int{1, 2, 3}, []string{"1", "2", "3"}},                              // fewer counts than shades
		{40, []int{1, 2, 4, 9, 20}, []string{"1", "2–3", "4–8", "9–19", "20–40"}}, // an ordinary run
		{9999, []int{1, 6, 40, 251, 1585}, []string{"1–5", "6–39", "40–250", "251–1,584", "1,585–9,999"}}, // a hard one
	} {
		m := heatmap{most: row.most, levels: heatLevels(row.most)}
		if !slices.Equal(m.levels, row.want) {
			t.Errorf("heatLevels(%d) = %v, want %v", row.most, m.levels, row.want)
			continue
		}
		for i, want := range row.counts {
			if got := m.counts(i); got != want {
				t.Errorf("shade %d of %d is for %q, want %q", i, row.most, got, want)
			}
		}
		if m.level(0) != -1 || m.level(row.most) != max(len(m.levels)-1, 0)*min(row.most, 1)-1+min(row.most, 1) {
			t.Errorf("of %d: none has shade %d, the most has %d", row.most, m.level(0), m.level(row.most))
		}
	}
}

// story of plain requests, to be drawn.
func plainStory(requests []history.Request) (history.History, verdict.Run) {
	return history.History{Plan: plan(), Requests: requests}, verdict.Run{Schema: verdict.Schema, Verdict: verdict.Pass}
}

func TestHeatmap(t *testing.T) {
	ok := func(r *rand.Rand, _ float64, q *history.Request) { answer(q, history.Baseline, healthy(r)) }
	for _, row := range []struct {
		name     string
		requests []history.Request
		columns  int
		answers  int // with a latency
		failed   int
		pending  int
	}{
		{"empty", nil, 4, 0, 0, 0}, // a story without requests is a second long
		{"one request", traffic(1, 1, 5, 5.5, ok)[:1], 4, 1, 0, 0},
		{"all failed", []history.Request{
			{Intended: at(1), Done: at(1.001), Err: "refused"},    // fails fast, and is not fast
			{Intended: at(2), Done: at(2.001), Status: 500},       // so is a wrong answer
			{Intended: at(2.1), Done: at(32.1), Err: "timed out"}, // nor is it slow
		}, 125, 0, 3, 0},
		{"all pending", []history.Request{{Intended: at(1), Done: history.Never}, {Intended: at(3), Done: history.Never}}, 9, 0, 0, 2},
		{"late beyond the chart", []history.Request{{Intended: at(1), Done: at(301), Expected: true, Version: history.Candidate}}, 300, 1, 0, 0},
		{"at the same instant", []history.Request{
			{Intended: at(1), Done: at(1), Expected: true}, {Intended: at(1), Done: at(1), Expected: true}}, 4, 2, 0, 0},
		{"a minute", traffic(1, 50, 0, 60, ok), 240, len(traffic(1, 50, 0, 60, ok)), 0, 0},
		{"an hour", traffic(1, 2, 0, 3600, ok), 120, len(traffic(1, 2, 0, 3600, ok)), 0, 0},
	} {
		h, r := plainStory(row.requests)
		s := newStory(record{h: h, r: r})
		answers, failed, pending := 0, 0, 0
		for _, c := range s.heat.columns {
			failed, pending = failed+c.failed, pending+c.pending
			for i := range s.heat.decades {
				answers += c.decade(i)
			}
		}
		if len(s.heat.columns) != row.columns || answers != row.answers || failed != row.failed || pending != row.pending {
			t.Errorf("%s: %d columns, %d answers, %d failed, %d pending; want %d, %d, %d, %d", row.name,
				len(s.heat.columns), answers, failed, pending, row.columns, row.answers, row.failed, row.pending)
		}
		if len(row.requests) == 0 {
			r.Steps = []verdict.Step{{Name: "weight-5", BeginMs: ms(0)}} // or there is no story to draw
		}
		page := drawn(t, HTML(h, r))
		checkBalanced(t, row.name, page)
		if bad := regexp.MustCompile(`NaN|Inf\b|="-\d`).Find(figureOf(page)); bad != nil {
			t.Errorf("%s: the drawing has a %s in it", row.name, bad)
		}
		if got := bytes.Contains(page, []byte(">pending<")); got != (row.pending > 0) {
			t.Errorf("%s: a row of pending requests: %v", row.name, got)
		}
	}
}

// figureOf is the story's drawing alone.
func figureOf(page []byte) []byte {
	i := bytes.Index(page, []byte(`<svg id="story-figure"`))
	return page[i : i+bytes.Index(page[i:], []byte("</svg>"))]
}

// Every request on the axis is in one cell, whatever became of it.
func TestHeatmapHoldsWhatTheLaneOfRequestsHolds(t *testing.T) {
	h, r := killed()
	s := newStory(record{h: h, r: r})
	flow, heat := 0, 0
	for _, b := range s.flow.bins {
		flow += b.n()
	}
	for _, c := range s.heat.columns {
		heat += c.failed + c.pending
		for _, n := range c.rows {
			heat += n
		}
	}
	if flow != heat || flow == 0 {
		t.Errorf("the lane of requests has %d, the heat map %d", flow, heat)
	}
}

// A quick failure must pull neither the cells nor the lines down.
func TestFailuresHaveNoLatency(t *testing.T) {
	h, r := plainStory(traffic(1, 50, 0, 10, func(_ *rand.Rand, _ float64, q *history.Request) {
		answer(q, history.Baseline, 0.1)
		if q.Seq%2 == 0 {
			answer(q, history.Baseline, 0.001)
			q.Status, q.Expected = 503, false
		}
	}))
	for _, c := range newStory(record{h: h, r: r}).heat.columns {
		if c.latency[history.Baseline].n == 0 {
			continue
		}
		if c.failed == 0 || c.latency[history.Baseline].p50 != 100*time.Millisecond || c.decade(1) != 0 {
			t.Fatalf("%d failed, p50 %v, %d below 10 ms", c.failed, c.latency[history.Baseline].p50, c.decade(1))
		}
	}
}

// The shades must go one way from the paper, in both themes, or more looks like less.
func TestShadesAreInOrder(t *testing.T) {
	value := func(hex string) (sum int) {
		var r, g, b int
		if _, err := fmt.Sscanf(hex, "#%02x%02x%02x", &r, &g, &b); err != nil {
			t.Fatal(err)
		}
		return 2*r + 7*g + b
	}
	named := map[string]hue{}
	for _, h := range palette {
		named[h.name] = h
	}
	last := named["paper"]
	for i := 1; i <= maxLevels; i++ {
		h := named[fmt.Sprintf("heat%d", i)]
		if value(h.light) >= value(last.light) || value(h.dark) <= value(last.dark) {
			t.Errorf("%s does not stand out more than %s", h.name, last.name)
		}
		last = h
	}
}
