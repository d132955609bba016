package stats

import (
	"errors"
	"math"
)

// Labels tests, at any time, whether events carry a label no more often than they
// should, or no less often, while how often they should may change from call to call.
// Where an event carries the label with chance ρ, that its odds are m times as great is
// worth
//
//	LR(m) = m^[label] / (1 − ρ + ρ·m)
//
// an event, whose expectation is at most 1 for m > 1 and any chance up to ρ, and for m < 1
// and any chance from ρ on. E is the mean over a grid of m (a mixture e-process; Robbins,
// Annals of Mathematical Statistics 1970). Unlike with a Beta prior, ρ need not stay the
// same: evidence goes on when the weights of a canary change.
//
// It takes many events at once, allocates nothing and needs O(1) memory.
type Labels struct {
	odds *[grid]float64 // ln m
	logs [grid]float64  // ln of the likelihood ratio so far
	// Of the share that was seen last: ln(1 − ρ + ρ·m).
	share float64
	norms [grid]float64
}

const grid = 8

// The odds that are told from the expected ones, from 1.25 to 100 times as great or small.
var moreOdds, lessOdds = func() (more, less [grid]float64) {
	for i := range grid {
		more[i] = math.Log(1.25) + float64(i)/(grid-1)*math.Log(100/1.25)
		less[i] = -more[i]
	}
	return more, less
}()

// MoreOften is a test against "the label comes no more often than it should".
func MoreOften() Labels { return Labels{odds: &moreOdds} }

// LessOften is a test against "the label comes no less often than it should".
func LessOften() Labels { return Labels{odds: &lessOdds} }

// Observe takes n events, of which labelled carry the label, where each should carry it
// with chance share. A share of 0 or 1 says nothing.
func (l *Labels) Observe(labelled, n, share float64) error {
	if !(labelled >= 0 && labelled <= n) || math.IsInf(n, 0) || !(share >= 0 && share <= 1) {
		return errNoLabels
	}
	if share == 0 || share == 1 {
		return nil
	}
	if share != l.share {
		l.share = share
		for i, odds := range l.odds {
			l.norms[i] = math.Log1p(share * math.Expm1(odds))
		}
	}
	for i, odds := range l.odds {
		l.logs[i] += labelled*odds - n*l.norms[i]
	}
	return nil
}

// LogE is ln E.
func (l *Labels) LogE() float64 {
	if l.odds == nil {
		return 0
	}
	most := l.logs[0]
	for _, log := range l.logs[1:] {
		most = max(most, log)
	}
	sum := 0.0
	for _, log := range l.logs {
		sum += math.Exp(log - most)
	}
	return most + math.Log(sum/grid)
}

var errNoLabels = errors.New("labels are counted from none to all of the events, and a chance lies between 0 and 1")
