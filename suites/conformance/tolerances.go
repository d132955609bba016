package conformance

// Tolerance is how far a figure may be from what was asked for, and why so far.
type Tolerance struct {
	Of    string
	Below float64 // in the figure's unit, or as a part of what was asked for if Parts
	Above float64
	Parts bool
	Why   string
}

// The tolerances. What cannot be off has none: a connect to a pod whose program has
// ended is refused, each time.
var (
	delayed = Tolerance{Of: "a delay", Below: 0.5, Above: 8,
		Why: "median error 0.1 to 0.3 ms beside compilers (make bench-delay); the rest is the way there and back on a busy machine, which only ever adds"}
	jittered = Tolerance{Of: "the 10th and 90th percentile of a delay with jitter", Below: 22, Above: 22,
		Why: "of 30 draws from ± 40 ms either is within 22 ms of its place in 99.9 of 100 trials"}
	middle = Tolerance{Of: "the median of a delay with jitter", Below: 26, Above: 26,
		Why: "of 30 draws from ± 40 ms it is within 26 ms of its place in 99.9 of 100 trials"}
	undelayed = Tolerance{Of: "a round trip without a fault, beside the one before", Below: 8, Above: 8,
		Why: "the least delay tried is 150 ms; medians of healthy pods were seen to move by up to 0.3 ms beside compilers"}
	rated = Tolerance{Of: "the share of packets that suffer", Below: 0.02, Above: 0.02,
		Why: "on top of chance, which an exact binomial test at 0.1 % allows for: a full socket buffer on a busy machine loses some, too"}
	limited = Tolerance{Of: "a bandwidth", Below: 0.4, Above: 0.15, Parts: true,
		Why: "headers take 5 %, TCP's losses at a short queue up to a third; above, the queue's own buffer goes at once"}
	busy = Tolerance{Of: "busy cores", Below: 0.6, Above: 0.5, Parts: true,
		Why: "a stressor gets what the machine has left: on 2 cores beside compilers about half; above, its own starting and stopping is counted"}
	filled = Tolerance{Of: "used memory", Below: 0.1, Above: 0.4, Parts: true,
		Why: "the stressor's own pages, some 10 to 20 MB, come on top of what it is asked to fill"}
	idle = Tolerance{Of: "cores without a fault, beside before", Below: 0.15, Above: 0.15,
		Why: "a pod of the trial does nothing but answer, and is measured at it: 0.00 to 0.01 cores were seen"}
	emptied = Tolerance{Of: "memory without a fault, beside before", Below: 24, Above: 24,
		Why: "what the pod's program grows by while it is measured; a stressor takes 128 MB"}
)

// Tolerances are all of them.
func Tolerances() []Tolerance {
	return []Tolerance{delayed, jittered, middle, undelayed, rated, limited, busy, filled, idle, emptied}
}

// around what was asked for.
func (t Tolerance) around(asked float64) span {
	if t.Parts {
		return span{asked * (1 - t.Below), asked * (1 + t.Above)}
	}
	return span{asked - t.Below, asked + t.Above}
}

// span is what a figure may be, both ends included.
type span struct{ from, to float64 }

func (s span) has(value float64) bool { return value >= s.from && value <= s.to }

func exactly(value float64) span { return span{value, value} }
