package stats

import (
	"errors"
	"slices"
	"time"
)

// Slower tests, at any time, whether the candidate's latencies are longer than the
// baseline's, without an assumption about their distribution. Quantiles of the baseline
// are frozen beforehand; that a request takes longer than one of them is then a hit like
// an error, and [Rates] compares how often. The evidence of slowness is the mean of the
// e-values at the quantiles, which is an e-value however they depend on each other.
//
// What the candidate is allowed beyond the baseline is not slow: its requests are held
// against the longer limit. Memory is O(1), and nothing is kept of a request.
type Slower struct {
	at    []time.Duration // the baseline's quantiles
	limit []time.Duration // the candidate's
	often []Interval      // how often the baseline exceeds its own
	rates []*Rates
}

// SlowQuantiles are those of [Slower]: between them they see a shift of everything as
// well as a tail of one in a thousand.
var SlowQuantiles = []float64{0.5, 0.9, 0.99, 0.999}

// Allowance is how much slower the candidate may be.
type Allowance struct {
	Part  float64       // of the baseline's latency: 0.25 allows 250 ms where it has 200 ms
	Slack time.Duration // and beyond that
}

// After is what is allowed where the baseline takes d.
func (a Allowance) After(d time.Duration) time.Duration {
	return d + time.Duration(a.Part*float64(d)) + a.Slack
}

// NewSlower freezes the quantiles of the baseline's latencies. Ratio and tolerated are
// those of [NewRates], for how often the candidate takes longer than it is allowed.
func NewSlower(baseline []time.Duration, allowed Allowance, ratio, tolerated float64) (*Slower, error) {
	if len(baseline) == 0 {
		return nil, errors.New("the baseline has no latencies")
	}
	if !(allowed.Part >= 0) || allowed.Slack < 0 {
		return nil, errors.New("what the candidate is allowed beyond the baseline is not negative")
	}
	s := &Slower{}
	for _, q := range SlowQuantiles {
		at, _ := Quantile(baseline, q)
		over := 0
		for _, latency := range baseline {
			if latency > at {
				over++
			}
		}
		rates, err := NewRates(ratio, tolerated)
		if err != nil {
			return nil, err
		}
		s.at, s.limit, s.rates = append(s.at, at), append(s.limit, allowed.After(at)), append(s.rates, rates)
		often := RateOf(over, len(baseline))
		often.High = 1 // see Observe
		s.often = append(s.often, often)
	}
	return s, nil
}

// Restart forgets the evidence, and keeps the quantiles.
func (s *Slower) Restart() {
	for i, r := range s.rates {
		fresh, _ := NewRates(r.ratio, r.tolerated) // they were checked
		s.rates[i] = fresh
	}
}

// Observe takes a block, see [Rates.Compare]. Without requests of the baseline it can be
// shown that the candidate is acceptable beside what the baseline did when its quantiles
// were frozen, but not that it is slower: whatever makes all requests slow for a while
// makes many of them slow at once, and with nothing beside them that looks like evidence.
func (s *Slower) Observe(candidate, baseline []time.Duration) error {
	n := Arms{float64(len(candidate)), float64(len(baseline))}
	for i, r := range s.rates {
		hits := Arms{longer(candidate, s.limit[i]), longer(baseline, s.at[i])}
		if err := r.Compare(Counted{N: n, Hits: hits}, s.often[i]); err != nil {
			return err
		}
	}
	return nil
}

// LogWorse is ln E against "the candidate is nowhere slower than allowed", and the index
// of the quantile that speaks most.
func (s *Slower) LogWorse() (log float64, quantile int) {
	logs := make([]float64, len(s.rates))
	for i, r := range s.rates {
		logs[i] = r.LogWorse()
	}
	return LogMean(logs...), slices.Index(logs, slices.Max(logs))
}

// LogAcceptable is the least ln E of [Rates.LogAcceptable] over the quantiles: all must
// be acceptable; and the index of the quantile that lacks most.
func (s *Slower) LogAcceptable() (log float64, quantile int) {
	logs := make([]float64, len(s.rates))
	for i, r := range s.rates {
		logs[i] = r.LogAcceptable()
	}
	least := slices.Min(logs)
	return least, slices.Index(logs, least)
}

// Limit is the baseline's latency at a quantile, by its index, and what the candidate is
// allowed there.
func (s *Slower) Limit(quantile int) (baseline, allowed time.Duration) {
	return s.at[quantile], s.limit[quantile]
}

// Seen counts all requests, and those beyond their limit at a quantile, by its index.
func (s *Slower) Seen(quantile int) Counted { return s.rates[quantile].Seen() }

// longer counts the latencies beyond a limit.
func longer(latencies []time.Duration, limit time.Duration) float64 {
	count := 0
	for _, latency := range latencies {
		if latency > limit {
			count++
		}
	}
	return float64(count)
}
