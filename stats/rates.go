package stats

import (
	"errors"
	"math"
)

// Rates compares the rates of two arms when it is known how many requests each got, as
// blocks that are fixed before what becomes of the requests. It answers two questions,
// each at any time: whether the candidate's rate is higher, and whether it is acceptable.
// Acceptable is one below ratio times the baseline's or below a tolerated rate.
//
// Within a block in which the arms got n_c and n_b requests, a hit is taken for the
// candidate's with chance ρ = n_c/(n_c + n_b), or ρ·r/(ρ·r + 1 − ρ) for a ratio r of
// rates, as [Labels] has it. That is on the safe side although hits are no more than
// requests: with rates p, the expectation of the product over a block is
//
//	(1 − p_c + p_c·m/k)^{n_c} · (1 − p_b + p_b/k)^{n_b},  k = 1 − ρ + ρ·m
//
// and, by ln(1 + x) ≤ x, at most exp((m − 1)·(p_c − r·p_b)·n_c·n_b / (k·(r·n_c + n_b))): at most 1
// for m > 1 and p_c ≤ r·p_b, and for m < 1 and p_c ≥ r·p_b. The rates may change from
// block to block, and differ between the requests of a block: only their means matter. So
// neither the weights of a canary need be known, nor need connections be spread evenly.
type Rates struct {
	ratio, tolerated float64
	seen             Counted

	worse     Labels // than the baseline
	noWorse   Labels // than ratio times the baseline
	tolerable Labels // below the tolerated rate
}

// NewRates is a comparison in which a rate is acceptable below ratio times the
// baseline's, or below tolerated, a rate that is positive and below 1.
func NewRates(ratio, tolerated float64) (*Rates, error) {
	if !(ratio > 1) || math.IsInf(ratio, 0) || !between(tolerated) {
		return nil, errors.New("a ratio is greater than 1, and a tolerated rate lies strictly between 0 and 1")
	}
	return &Rates{ratio: ratio, tolerated: tolerated, worse: MoreOften(), noWorse: LessOften(), tolerable: LessOften()}, nil
}

// Compare takes a block. Where the baseline got no request, the candidate is compared
// with what is known of the baseline's rate; then the promise holds as far as that did
// not change meanwhile.
func (r *Rates) Compare(block Counted, baseline Interval) error {
	if err := block.check(); err != nil {
		return err
	}
	r.seen.N, r.seen.Hits = r.seen.N.plus(block.N), r.seen.Hits.plus(block.Hits)
	hits, n := block.Hits.Candidate, block.N.Candidate
	err := r.tolerable.Observe(hits, n, r.tolerated)
	if block.N.Baseline == 0 {
		// What no rate can reach is never reached.
		unacceptable := min(r.ratio*baseline.Low, 1-1e-3)
		return errors.Join(err, r.worse.Observe(hits, n, baseline.High), r.noWorse.Observe(hits, n, unacceptable))
	}
	share := n / (n + block.N.Baseline)
	all := hits + block.Hits.Baseline
	return errors.Join(err, r.worse.Observe(hits, all, share), r.noWorse.Observe(hits, all, tilted(share, r.ratio)))
}

// Seen is the sum of all blocks.
func (r *Rates) Seen() Counted { return r.seen }

// LogWorse is ln E against "the candidate's rate is no higher than the baseline's".
func (r *Rates) LogWorse() float64 { return r.worse.LogE() }

// LogAcceptable is ln E against "the candidate's rate is neither below ratio times the
// baseline's nor below the tolerated one": the mean of the e-values against each part.
func (r *Rates) LogAcceptable() float64 { return LogMean(r.noWorse.LogE(), r.tolerable.LogE()) }
