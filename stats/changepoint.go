package stats

import (
	"math"
	"slices"
)

// Segment is a stretch [From, To) of a 0/1 sequence over which the rate of ones is
// taken to be constant.
type Segment struct {
	From, To int // indices into the sequence
	Ones     int
}

// Len is the number of elements in the segment.
func (s Segment) Len() int { return s.To - s.From }

// Segments cuts a 0/1 sequence where its rate changes: it minimises the sum of
//
//	−(k·ln(k/n) + (n−k)·ln(1−k/n))
//
// over the segments (n elements, k ones), the negative log-likelihood at each
// segment's own rate, plus penalty for each cut. A penalty of c·ln N for N elements
// is usual: c = 3 hardly ever cuts where nothing changed, c = 1 finds bursts of a
// few ones and leaves it to the caller to ask whether they matter. The segments
// cover the sequence; there are none for an empty one.
//
// It is optimal partitioning with functional pruning (FPOP; Maidstone, Hocking,
// Rigaill and Fearnhead, Statistics and Computing 2017): for every rate it keeps the
// one beginning of the last segment that is best should that be its rate. The
// pruning of PELT finds the same optimum, but drops next to nothing while the rate
// stays the same, and takes seconds for what this does in a tenth of one.
func Segments(ones []bool, penalty float64) []Segment {
	runs := borders(ones)
	if len(runs) == 0 {
		return nil
	}
	p := partition{runs: runs, penalty: penalty, best: make([]float64, len(runs)), from: make([]int, len(runs))}
	p.best[0] = -penalty // the first segment has no cut before it
	pieces, spare := []piece{{lo: 0, hi: 1}}, []piece(nil)
	for t := 1; t < len(runs); t++ {
		p.choose(t, pieces)
		pieces, spare = p.divide(t, pieces, spare[:0]), pieces
	}
	return p.trace()
}

// Split returns the index that best cuts a 0/1 sequence in two of different rates:
// the maximum-likelihood change point, the first element of the second part. It is
// 0 when no cut explains the sequence better than none.
func Split(ones []bool) int {
	runs := borders(ones)
	if len(runs) == 0 {
		return 0
	}
	first, end := runs[0], runs[len(runs)-1]
	index, least := 0, span(first, end).least()
	for _, cut := range runs[1 : len(runs)-1] {
		if cost := span(first, cut).least() + span(cut, end).least(); cost < least {
			index, least = cut.at, cost
		}
	}
	return index
}

// border is a place where a run of equal elements ends and the next begins, with
// the number of ones before it.
type border struct{ at, ones int }

// borders are the only places that an optimal cut can be: n·H(k/n) is concave along
// (k, n), so the cost of a cut that moves through a run of equal elements is concave
// as well, and least at one of the run's ends. A run of 60,000 requests with one
// outage is a handful of borders.
func borders(ones []bool) []border {
	if len(ones) == 0 {
		return nil
	}
	found, count := []border{{}}, 0
	for i, one := range ones {
		if i > 0 && one != ones[i-1] {
			found = append(found, border{at: i, ones: count})
		}
		if one {
			count++
		}
	}
	return append(found, border{at: len(ones), ones: count})
}

// counts are the ones and zeros of a segment.
type counts struct{ ones, zeros float64 }

func span(a, b border) counts {
	ones := b.ones - a.ones
	return counts{ones: float64(ones), zeros: float64(b.at - a.at - ones)}
}

// rate is the maximum-likelihood rate of ones.
func (c counts) rate() float64 { return c.ones / (c.ones + c.zeros) }

// least is the cost at the segment's own rate.
func (c counts) least() float64 { return c.cost(c.rate()) }

// cost is the negative log-likelihood at a given rate; it is convex in it.
func (c counts) cost(rate float64) float64 {
	cost := 0.0
	if c.ones > 0 { // 0·ln 0 is 0
		cost -= c.ones * math.Log(rate)
	}
	if c.zeros > 0 {
		cost -= c.zeros * math.Log1p(-rate)
	}
	return cost
}

// piece is an interval of rates at which a last segment that begins at border from
// costs least.
type piece struct {
	from   int
	lo, hi float64
}

func (p piece) clamp(rate float64) float64 { return min(max(rate, p.lo), p.hi) }

// partition is the state of the search: best[t] is what the best partition up to
// border t costs, and from[t] where its last segment begins.
type partition struct {
	runs    []border
	penalty float64
	best    []float64
	from    []int
}

// choose finds the best beginning for a last segment that ends at border t.
func (p *partition) choose(t int, pieces []piece) {
	p.best[t] = math.Inf(1)
	for _, candidate := range pieces {
		seen := span(p.runs[candidate.from], p.runs[t])
		cost := p.best[candidate.from] + p.penalty + seen.cost(candidate.clamp(seen.rate()))
		if cost < p.best[t] {
			p.best[t], p.from[t] = cost, candidate.from
		}
	}
}

// divide appends to rest the pieces trimmed to the rates at which they still beat a
// segment that begins afresh at border t, and between them the pieces of that one.
func (p *partition) divide(t int, pieces, rest []piece) []piece {
	edge := 0.0
	for _, old := range pieces {
		seen := span(p.runs[old.from], p.runs[t])
		level := p.best[t] - p.best[old.from] // both would pay the penalty
		inside := old.clamp(seen.rate())
		if seen.cost(inside) >= level {
			continue
		}
		old.lo, old.hi = crossing(seen, level, inside, old.lo), crossing(seen, level, inside, old.hi)
		if old.lo > edge {
			rest = append(rest, piece{from: t, lo: edge, hi: old.lo})
		}
		rest, edge = append(rest, old), old.hi
	}
	if edge < 1 {
		rest = append(rest, piece{from: t, lo: edge, hi: 1})
	}
	return rest
}

// crossing finds, between a rate inside (cost below level) and one at the edge, the
// last that is still inside. Rates are fractions of whole numbers of elements, so
// 2⁻⁴⁰ tells any two of them apart that matter.
func crossing(seen counts, level, inside, edge float64) float64 {
	if seen.cost(edge) <= level {
		return edge
	}
	for range 40 {
		middle := (inside + edge) / 2
		if seen.cost(middle) <= level {
			inside = middle
		} else {
			edge = middle
		}
	}
	return inside
}

// trace follows the best beginnings back from the end.
func (p *partition) trace() []Segment {
	var segments []Segment
	for t := len(p.runs) - 1; t > 0; t = p.from[t] {
		a, b := p.runs[p.from[t]], p.runs[t]
		segments = append(segments, Segment{From: a.at, To: b.at, Ones: b.ones - a.ones})
	}
	slices.Reverse(segments)
	return segments
}
