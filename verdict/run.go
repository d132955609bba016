package verdict

// Schema names the format of run.json.
const Schema = "cutover.run/v1alpha1"

// Verdict is what we say about a run. The zero value is Invalid: what nobody has
// judged has not passed.
type Verdict string

// The verdicts. Error means that the harness broke, not the release.
const (
	Invalid Verdict = "invalid"
	Pass    Verdict = "pass"
	Fail    Verdict = "fail"
	Skipped Verdict = "skipped"
	Error   Verdict = "error"
)

// Outcome is what the release did, read from traffic at the end.
type Outcome string

// The outcomes; see DESIGN.md §2.
const (
	Promoted   Outcome = "promoted"
	RolledBack Outcome = "rolled-back"
	Stuck      Outcome = "stuck"
	Failed     Outcome = "failed"
)

// Run is run.json: the summary of one run. Times are milliseconds since the run
// began; null means that it did not happen or was not measured.
type Run struct {
	Schema   string  `json:"schema"`
	Scenario string  `json:"scenario"`
	Seed     int64   `json:"seed"`
	PlanHash string  `json:"planHash"`
	Provider string  `json:"provider"`
	Verdict  Verdict `json:"verdict"`
	Because  string  `json:"because"` // one sentence for the verdict
	// Step is where a run that failed went wrong: the step under way when users first
	// got bad answers, or the last one that began if they got none.
	Step      string     `json:"step,omitempty"`
	Outcome   *Outcome   `json:"outcome"`
	MTTR      *MTTR      `json:"mttr"` // null without an incident
	Instants  Instants   `json:"instants"`
	Incidents []Incident `json:"incidents"`
	Requests  Requests   `json:"requests"`
	// Availability is good / all from release start to the end of confirmation.
	Availability *float64       `json:"availability"`
	Steps        []Step         `json:"steps"`
	Faults       []Fault        `json:"faults"`
	Gate         Gate           `json:"gate"`
	Diff         *Diff          `json:"diff,omitempty"` // absent unless the versions' answers were compared
	Residue      []string       `json:"residue"`        // null if nobody looked
	Checks       []Finding      `json:"checks"`
	Findings     []string       `json:"findings,omitempty"` // what else is worth knowing: escapes, disagreements, warnings
	Control      *ControlResult `json:"control,omitempty"`
	Replay       string         `json:"replay"`
}

// ControlResult says whether a scenario that must not pass got the verdict it
// must get.
type ControlResult struct {
	Want Verdict `json:"want"`
	Met  bool    `json:"met"`
}

// MTTR is recovered − onset of the longest incident and its four parts. They add up
// to it exactly, in whole microseconds.
type MTTR struct {
	TotalMs float64 `json:"totalMs"`
	// TotalMsCI holds the true MTTR with a chance of at least 95 %; absent if it never
	// recovered.
	TotalMsCI   *Bounds  `json:"totalMsCI,omitempty"`
	Segments    Segments `json:"segments"`
	LagMs       *float64 `json:"lagMs"`       // onset − applied; null without a fault before it
	RecoveredBy string   `json:"recoveredBy"` // rollback, promotion, self, fault-end; "" if it never did
	Relapses    int      `json:"relapses"`
	// Censored: nothing reacted before the fault ended, or it never recovered, so
	// the total is a bound and no measurement of a reaction.
	Censored bool `json:"censored"`
}

// Bounds are the ends of a confidence interval of 95 %: of an instant, after the first and
// not after the second. They are absent where what they are of is null, and in records that
// were judged before there were any.
type Bounds [2]float64

// Segments cut the MTTR; a null one has its time in the next.
type Segments struct {
	DetectMs  *float64 `json:"detectMs"`
	DecideMs  *float64 `json:"decideMs"`
	ActuateMs *float64 `json:"actuateMs"`
	RecoverMs *float64 `json:"recoverMs"`
}

// Instants of the incident the MTTR is about; see DESIGN.md §7.
type Instants struct {
	AppliedMs    *float64 `json:"appliedMs"`
	ProvenMs     *float64 `json:"provenMs"`
	OnsetMs      *float64 `json:"onsetMs"`
	DetectedMs   *float64 `json:"detectedMs"`
	DecidedMs    *float64 `json:"decidedMs"`
	ActuatedMs   *float64 `json:"actuatedMs"`
	RecoveredMs  *float64 `json:"recoveredMs"`
	FaultEndedMs *float64 `json:"faultEndedMs"`
	// OnsetMsCI and RecoveredMsCI hold the true instants with a chance of at least 95 % each.
	OnsetMsCI     *Bounds `json:"onsetMsCI,omitempty"`
	RecoveredMsCI *Bounds `json:"recoveredMsCI,omitempty"`
	// ReleaseMs and EndMs bound the stretch that availability is counted over.
	ReleaseMs *float64 `json:"releaseMs"`
	EndMs     *float64 `json:"endMs"`
}

// Incident is a stretch in which users got bad answers.
type Incident struct {
	OnsetMs       *float64 `json:"onsetMs"`
	OnsetMsCI     *Bounds  `json:"onsetMsCI,omitempty"`
	RecoveredMs   *float64 `json:"recoveredMs"` // null if it never did
	RecoveredMsCI *Bounds  `json:"recoveredMsCI,omitempty"`
	Bad           int      `json:"bad"`
	Cause         string   `json:"cause"` // "fault:0", "step:weight-25", "unknown"
}

// Requests are counted over the stretch of availability, so that good and bad are
// its two parts; planned and sent over all of the load. What was due while the load
// generator stalled is void, neither good nor bad.
type Requests struct {
	Planned      int64 `json:"planned"`
	Sent         int64 `json:"sent"`
	Good         int64 `json:"good"`
	Bad          int64 `json:"bad"`
	Candidate    int64 `json:"candidate"` // answered by the candidate
	CandidateBad int64 `json:"candidateBad"`
	Unattributed int64 `json:"unattributed"` // answered by a version that nobody could tell
	// LatencyP99Ms is by nearest rank, from the intended arrival; null if fewer than 99 %
	// were ever over with, well or badly.
	LatencyP99Ms *float64 `json:"latencyP99Ms"`
	// LostWrites were answered well and are gone; null unless all were looked for.
	LostWrites        *int64 `json:"lostWrites"`
	ReleaseErrorP99Us int64  `json:"releaseErrorP99Us"`
}

// Step is one step of the cutover.
type Step struct {
	Name    string   `json:"name"`
	Title   string   `json:"title,omitempty"` // what it is, where the name does not say
	BeginMs *float64 `json:"beginMs"`
	LiveMs  *float64 `json:"liveMs"`
	EndMs   *float64 `json:"endMs"`
}

// Fault is one fault and what became of it.
type Fault struct {
	Name       string   `json:"name"`
	Kind       string   `json:"kind"`
	Step       string   `json:"step"`
	Driver     string   `json:"driver,omitempty"` // who did it: chaos-mesh or agent; "" in old records
	InjectedMs *float64 `json:"injectedMs"`       // the API took it
	HealedMs   *float64 `json:"healedMs"`
	Proven     bool     `json:"proven"`
	EffectMs   *float64 `json:"effectMs"`
	Because    string   `json:"because"`
	Pods       []string `json:"pods"`
	Escaped    []string `json:"escaped"` // pods of the target that answered unfaulted meanwhile
}

// Gate counts what the gate said.
type Gate struct {
	Readings int `json:"readings"`
	Failures int `json:"failures"`
	NoData   int `json:"noData"`
}

// What a check can say. The zero value counts as unjudged.
const (
	CheckPass     = "pass"
	CheckFail     = "fail"
	CheckUnjudged = "unjudged"
)

// Finding is the answer of one check.
type Finding struct {
	Name    string `json:"name"`
	Status  string `json:"status"` // CheckPass, CheckFail, CheckUnjudged
	Want    string `json:"want"`
	Got     string `json:"got"`
	Because string `json:"because"`
}
