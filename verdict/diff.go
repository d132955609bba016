package verdict

import (
	"cmp"
	"maps"
	"math"
	"slices"

	"github.com/cutover-dev/cutover/history"
	"github.com/cutover-dev/cutover/stats"
)

// Diff says in which fields the candidate's answers truly differ from the baseline's.
type Diff struct {
	Chosen   int64            `json:"chosen"` // compared and all dropped
	Compared int64            `json:"compared"`
	Dropped  map[string]int64 `json:"dropped"`         // by the reason
	Requests map[string]int64 `json:"requests"`        // compared, by kind of request
	Large    int64            `json:"large,omitempty"` // compared of which a body was compared by its hash alone, for its size
	Fields   int              `json:"fields"`          // that were compared
	// Findable is, by kind of request, the smallest part of the answers that a field may be
	// wrong in and be found all the same, with a chance of 95 %; 1 if there is none.
	Findable map[string]float64 `json:"findable"`
	// Differing are those that differ by more than chance, as e-values that control the
	// expected part of wrong ones among them at 1 %.
	Differing []DifferingField `json:"differing"`
	// Noise are the other fields of which some answers differed, those with the most
	// evidence first: maxNoise of them at most. NoiseFields is how many there are.
	Noise       []DifferingField `json:"noise"`
	NoiseFields int              `json:"noiseFields"`
}

// DifferingField is a field of the answers to one kind of request.
type DifferingField struct {
	history.OddField
	LogE float64 `json:"logE"` // natural logarithm of the e-value
}

const (
	// diffAlpha is the expected part of the fields that are said to differ and do not.
	diffAlpha = 0.01
	// maxNoise bounds the summary; the record holds them all.
	maxNoise = 100
)

// readDiff judges what the record has counted; nil of one that has not.
func (e *Evidence) readDiff() *Diff {
	event, ok := history.First[history.Diff](e.Events)
	if !ok {
		return nil
	}
	return new(JudgeDiff(event.Data))
}

// JudgeDiff judges what was counted. Of two answers of the baseline and one of the
// candidate, the candidate's is the odd one in no more than a third of the cases if it
// does not differ, whatever else it is that makes answers differ: what always differs,
// such as an id, is never odd, and what does at times is so for all three alike. So
// "whose was the odd one" is a sequence of labels with a known share: the test A.
func JudgeDiff(seen history.Diff) Diff {
	d := Diff{
		Chosen: seen.Chosen, Compared: seen.Compared, Dropped: seen.Dropped, Requests: seen.Requests, Large: seen.Large, Fields: seen.Fields,
		Findable: map[string]float64{}, Differing: []DifferingField{}, Noise: []DifferingField{},
	}
	logs := make([]float64, max(seen.Fields, len(seen.Odd))) // of a field without an odd answer, ln 1
	for i, f := range seen.Odd {
		logs[i] = logOdd(f.Candidate, f.Baseline)
	}
	differing := stats.EBH(logs, diffAlpha)
	for i, f := range seen.Odd {
		if slices.Contains(differing, i) {
			d.Differing = append(d.Differing, DifferingField{f, logs[i]})
		} else {
			d.Noise = append(d.Noise, DifferingField{f, logs[i]})
		}
	}
	slices.SortStableFunc(d.Noise, func(a, b DifferingField) int { return cmp.Compare(b.LogE, a.LogE) })
	d.NoiseFields = len(d.Noise)
	d.Noise = d.Noise[:min(len(d.Noise), maxNoise)]
	for request, n := range seen.Requests {
		d.Findable[request] = findable(n, seen.Fields)
	}
	return d
}

// logOdd is the evidence that the candidate's answer is the odd one more often than it
// should be. Counts that are none are no evidence.
func logOdd(candidate, baseline int64) float64 {
	log, err := stats.LogWorse(
		stats.Arms{Candidate: float64(candidate), Baseline: float64(baseline)}, stats.Arms{Candidate: 1, Baseline: 1}, 1.0/3)
	if err != nil {
		return 0
	}
	return log
}

// neededOdd is how often the candidate's answer must be the odd one, and the baseline's
// never, for a field to be found among so many.
func neededOdd(fields int) int {
	limit := math.Log(float64(max(fields, 1)) / diffAlpha)
	needed := 1
	for logOdd(int64(needed), 0) < limit {
		needed++
	}
	return needed
}

// findable is the smallest part of the answers that a field may be wrong in and be found
// all the same, with a chance of 95 %, after so many comparisons of so many fields; 1 if
// there is none.
func findable(compared int64, fields int) float64 {
	low, high := 0.0, 1.0
	for needed := neededOdd(fields); high-low > 1e-6; {
		middle := (low + high) / 2
		if stats.BinomialTail(needed, int(compared), middle) >= 0.95 {
			high = middle
		} else {
			low = middle
		}
	}
	return high
}

// leastCompared is the kind of request that was compared least often, and how often.
func (d *Diff) leastCompared() (request string, n int64) {
	for _, name := range slices.Sorted(maps.Keys(d.Requests)) {
		if request == "" || d.Requests[name] < n {
			request, n = name, d.Requests[name]
		}
	}
	return request, n
}
