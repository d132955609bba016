package verdict

import (
	"cmp"
	"fmt"
	"math"
	"time"

	"github.com/cutover-dev/cutover/stats"
)

// SetSchema names the format of set.json.
const SetSchema = "cutover.set/v1alpha1"

// maxInvalid is the share of the runs of a set that may be invalid. They are not
// replaced: the more there are, the more the others are a choice.
const maxInvalid = 0.10

// doubt is the chance that a bound of a set is wrong, each by itself.
const doubt = 0.05

// SetPlan is what a set was to be.
type SetPlan struct {
	Scenario string
	Seed     int64 // of the set, from which those of its runs are derived
	Repeats  int
	Sham     bool // as many runs without the faults
	Replay   string
}

// Repeat is one run of a set.
type Repeat struct {
	Record string // its folder, below the set's
	Pair   int    // from 1; the two runs of a pair have the same seed
	Sham   bool   // without the faults
	Run    Run
}

// Set is set.json: what the repeats of one scenario show together.
type Set struct {
	Schema   string         `json:"schema"`
	Scenario string         `json:"scenario"`
	Seed     int64          `json:"seed"`
	Provider string         `json:"provider"`
	Verdict  Verdict        `json:"verdict"`
	Because  string         `json:"because"`           // one sentence for the verdict
	Control  *ControlResult `json:"control,omitempty"` // met if it was in every repeat
	Repeats  Arm            `json:"repeats"`
	Sham     *Arm           `json:"sham"` // null without such runs
	MTTR     Recovery       `json:"mttr"`
	// MissedAtMost is what share of all releases misses what is expected of them, at most
	// and with a confidence of 95 %; null if no repeat was judged.
	MissedAtMost *float64    `json:"missedAtMost"`
	Comparison   *Comparison `json:"comparison"` // with the sham runs; null without them
	Runs         []SetRun    `json:"runs"`       // in the order in which they ran
	Replay       string      `json:"replay"`
}

// Arm counts runs that were made in the same way.
type Arm struct {
	Planned int `json:"planned"`
	NotRun  int `json:"notRun"` // the set ended before their turn
	// Invalid are those that show nothing: invalid, skipped, or not run.
	Invalid   int             `json:"invalid"`
	Incidents int             `json:"incidents"` // judged ones in which users got bad answers
	Verdicts  map[Verdict]int `json:"verdicts"`
	Outcomes  map[Outcome]int `json:"outcomes"` // of the judged; "" is one that nobody could tell
}

// Recovery is how long the incidents of the judged repeats lasted.
type Recovery struct {
	Incidents  int   `json:"incidents"`
	Censored   int   `json:"censored"`   // of those: nothing reacted, so they would have lasted longer
	Without    int   `json:"without"`    // judged repeats without an incident
	Unmeasured int   `json:"unmeasured"` // judged repeats whose MTTR could not be judged
	P50        Bound `json:"p50"`
	P95        Bound `json:"p95"`
}

// Bound is a quantile with its lower and its upper bound, each at 95 %; null is what
// so many repeats cannot tell.
type Bound struct {
	Ms     *float64 `json:"ms"`
	LowMs  *float64 `json:"lowMs"`
	HighMs *float64 `json:"highMs"`
}

// Comparison is what the faults did, beside runs without them.
type Comparison struct {
	BadRequests  Difference `json:"badRequests"`
	Availability Difference `json:"availability"`
	LatencyP99Ms Difference `json:"latencyP99Ms"`
	MTTRMs       Difference `json:"mttrMs"`
}

// Difference is of a figure, over the pairs of which both runs were judged and have it.
type Difference struct {
	Pairs int      `json:"pairs"`
	With  *float64 `json:"with"` // median, with the faults; null without pairs
	Sham  *float64 `json:"sham"` // median, without them
	// Median of the differences within pairs, with the faults minus without them, and its
	// bounds, each at 95 %; null is what so many pairs cannot tell.
	Median *float64 `json:"median"`
	Low    *float64 `json:"low"`
	High   *float64 `json:"high"`
	// P is the chance of a difference so clear or clearer if the faults did nothing: the
	// exact signed-rank test.
	P *float64 `json:"p"`
}

// SetRun is one run of a set, in short.
type SetRun struct {
	Record       string   `json:"record"`
	Pair         int      `json:"pair"`
	Sham         bool     `json:"sham"`
	Seed         int64    `json:"seed"`
	Verdict      Verdict  `json:"verdict"`
	Outcome      *Outcome `json:"outcome"`
	MTTRMs       *float64 `json:"mttrMs"`
	Censored     bool     `json:"censored"`
	BadRequests  int64    `json:"badRequests"`
	Availability *float64 `json:"availability"`
	LatencyP99Ms *float64 `json:"latencyP99Ms"`
}

// JudgeSet says what the runs of a set mean together.
func JudgeSet(plan SetPlan, runs []Repeat) Set {
	repeats, sham := split(runs)
	s := Set{
		Schema: SetSchema, Scenario: plan.Scenario, Seed: plan.Seed, Replay: plan.Replay,
		Repeats: newArm(plan.Repeats, repeats), MTTR: recoveryOf(repeats), Runs: []SetRun{},
	}
	for _, r := range runs {
		s.Provider = cmp.Or(s.Provider, r.Run.Provider)
		s.Runs = append(s.Runs, inShort(r))
	}
	if judged := s.Repeats.judged(); judged > 0 {
		s.MissedAtMost = new(stats.UpperRate(s.Repeats.Verdicts[Fail], judged, doubt))
	}
	if plan.Sham {
		arm := newArm(plan.Repeats, sham)
		s.Sham, s.Comparison = &arm, compare(repeats, sham)
	}
	s.Verdict, s.Because = s.decide()
	s.Control = s.judgeControl(repeats)
	return s
}

// Standing is the run that stands for the set where runs are counted.
func (s Set) Standing() Run {
	return Run{Schema: Schema, Scenario: s.Scenario, Seed: s.Seed, Provider: s.Provider, Verdict: s.Verdict, Because: s.Because, Control: s.Control, Replay: s.Replay}
}

// decide is the precedence of verdicts, as of one run: a broken harness says nothing, and
// a repeat that failed failed, however many others show nothing. What sham runs are judged
// to be is no matter: they only have to show something.
func (s Set) decide() (Verdict, string) {
	broken := s.Repeats.Verdicts[Error]
	if s.Sham != nil {
		broken += s.Sham.Verdicts[Error]
	}
	switch {
	case broken > 0:
		return Error, fmt.Sprintf("The harness broke in %s of the set.", plural(int64(broken), "run"))
	case s.Repeats.skipped(), s.Repeats.ran() == 0 && s.Sham != nil && s.Sham.skipped():
		return Skipped, "This cluster cannot run the scenario."
	case s.Repeats.Verdicts[Fail] > 0:
		return Fail, fmt.Sprintf("%d of %s failed.%s", s.Repeats.Verdicts[Fail], plural(int64(s.Repeats.judged()), "judged repeat"), s.howSure())
	case s.Repeats.tooMany():
		return Invalid, fmt.Sprintf("%d of %s show nothing, more than a tenth.", s.Repeats.Invalid, plural(int64(s.Repeats.Planned), "repeat"))
	case s.Sham != nil && s.Sham.tooMany():
		return Invalid, fmt.Sprintf("%d of %s show nothing, more than a tenth.", s.Sham.Invalid, plural(int64(s.Sham.Planned), "sham run"))
	}
	return Pass, fmt.Sprintf("All of %s passed.%s", plural(int64(s.Repeats.judged()), "judged repeat"), s.howSure())
}

// howSure is what the repeats show of all releases that are like them.
func (s Set) howSure() string {
	if s.MissedAtMost == nil {
		return ""
	}
	text := fmt.Sprintf(" At 95 %% confidence, at most %s of such releases miss what is expected", percent(math.Ceil(*s.MissedAtMost*1000)/1000))
	if high := s.MTTR.P95.HighMs; high != nil {
		text += fmt.Sprintf(", and 95 of 100 incidents are over within %s", seconds(time.Duration(*high*float64(time.Millisecond))))
	}
	return text + "."
}

// judgeControl: a set of a control is met if each of its repeats was run and met.
func (s Set) judgeControl(repeats []Repeat) *ControlResult {
	var control *ControlResult
	for _, r := range repeats {
		if r.Run.Control == nil {
			return nil
		}
		if control == nil {
			control = &ControlResult{Want: r.Run.Control.Want, Met: s.Repeats.NotRun == 0}
		}
		control.Met = control.Met && r.Run.Control.Met
	}
	return control
}

func split(runs []Repeat) (repeats, sham []Repeat) {
	for _, r := range runs {
		if r.Sham {
			sham = append(sham, r)
		} else {
			repeats = append(repeats, r)
		}
	}
	return repeats, sham
}

func newArm(planned int, runs []Repeat) Arm {
	arm := Arm{Planned: planned, NotRun: planned - len(runs), Verdicts: map[Verdict]int{}, Outcomes: map[Outcome]int{}}
	arm.Invalid = arm.NotRun
	for _, r := range runs {
		verdict := cmp.Or(r.Run.Verdict, Invalid)
		arm.Verdicts[verdict]++
		switch {
		case r.judged():
			var outcome Outcome
			if r.Run.Outcome != nil {
				outcome = *r.Run.Outcome
			}
			arm.Outcomes[outcome]++
			if r.Run.MTTR != nil {
				arm.Incidents++
			}
		case verdict != Error:
			arm.Invalid++
		}
	}
	return arm
}

// judged counts the runs that show something.
func (a Arm) judged() int { return a.Verdicts[Pass] + a.Verdicts[Fail] }

func (a Arm) ran() int { return a.Planned - a.NotRun }

// skipped reports whether all that ran were. Sham runs may be possible where faults are not.
func (a Arm) skipped() bool { return a.ran() > 0 && a.Verdicts[Skipped] == a.ran() }

// tooMany reports whether more than a tenth show nothing.
func (a Arm) tooMany() bool { return float64(a.Invalid) > maxInvalid*float64(a.Planned) }

// judged reports whether the run shows something.
func (r Repeat) judged() bool { return r.Run.Verdict == Pass || r.Run.Verdict == Fail }

// recoveryOf estimates how long incidents last. One that was censored lasted at least so
// long. A repeat without an incident had none to recover from: it is counted beside.
func recoveryOf(repeats []Repeat) Recovery {
	var r Recovery
	var lifetimes []stats.Lifetime
	for _, repeat := range repeats {
		switch m := repeat.Run.MTTR; {
		case !repeat.judged():
		case unjudged(repeat.Run, mttrCheck{}.Name()):
			r.Unmeasured++
		case m == nil:
			r.Without++
		default:
			r.Incidents++
			if m.Censored {
				r.Censored++
			}
			lifetimes = append(lifetimes, stats.Lifetime{Length: m.TotalMs, Censored: m.Censored})
		}
	}
	survival := stats.KaplanMeier(lifetimes)
	r.P50, r.P95 = bound(survival, 0.5), bound(survival, 0.95)
	return r
}

// unjudged reports whether the run has such a check and it could not be judged.
func unjudged(run Run, check string) bool {
	for _, finding := range run.Checks {
		if finding.Name == check {
			return finding.Status != CheckPass && finding.Status != CheckFail
		}
	}
	return false
}

func bound(survival stats.Survival, q float64) Bound {
	b := survival.Quantile(q, doubt)
	return Bound{Ms: b.Value, LowMs: b.Low, HighMs: b.High}
}

// compare takes the differences within pairs: what drifts while a set runs is nearly the
// same for both runs of one.
func compare(repeats, sham []Repeat) *Comparison {
	without := map[int]Repeat{}
	for _, r := range sham {
		without[r.Pair] = r
	}
	over := func(figure func(SetRun) *float64) Difference {
		var with, alone, differences []float64
		for _, r := range repeats {
			other, ran := without[r.Pair]
			if !ran || !r.judged() || !other.judged() {
				continue
			}
			if a, b := figure(inShort(r)), figure(inShort(other)); a != nil && b != nil {
				with, alone, differences = append(with, *a), append(alone, *b), append(differences, *a-*b)
			}
		}
		return newDifference(with, alone, differences)
	}
	return &Comparison{
		BadRequests:  over(func(r SetRun) *float64 { return new(float64(r.BadRequests)) }),
		Availability: over(func(r SetRun) *float64 { return r.Availability }),
		LatencyP99Ms: over(func(r SetRun) *float64 { return r.LatencyP99Ms }),
		MTTRMs:       over(func(r SetRun) *float64 { return r.MTTRMs }),
	}
}

func newDifference(with, sham, differences []float64) Difference {
	d := Difference{Pairs: len(differences)}
	if d.Pairs == 0 {
		return d
	}
	median := medianOf(differences)
	d.With, d.Sham = medianOf(with).Value, medianOf(sham).Value
	d.Median, d.Low, d.High = median.Value, median.Low, median.High
	d.P = new(stats.SignedRank(differences))
	return d
}

func medianOf(figures []float64) stats.Bounded {
	lifetimes := make([]stats.Lifetime, len(figures))
	for i, f := range figures {
		lifetimes[i].Length = f
	}
	return stats.KaplanMeier(lifetimes).Quantile(0.5, doubt)
}

func inShort(r Repeat) SetRun {
	short := SetRun{
		Record: r.Record, Pair: r.Pair, Sham: r.Sham, Seed: r.Run.Seed, Verdict: cmp.Or(r.Run.Verdict, Invalid), Outcome: r.Run.Outcome,
		BadRequests: r.Run.Requests.Bad, Availability: r.Run.Availability, LatencyP99Ms: r.Run.Requests.LatencyP99Ms,
	}
	if m := r.Run.MTTR; m != nil {
		short.MTTRMs, short.Censored = new(m.TotalMs), m.Censored
	}
	return short
}
