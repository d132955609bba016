package history

// The payloads, in the order in which a run produces them.

// Plan is what the run set out to do: all that judging the record needs to know
// of the scenario. It is the first event.
type Plan struct {
	Scenario   string            `json:"scenario"`
	Path       string            `json:"path"` // as given on the command line
	Labels     []string          `json:"labels,omitempty"`
	Why        string            `json:"why"`
	RunID      string            `json:"runId"`
	Started    string            `json:"started"` // RFC 3339, for people
	Seed       int64             `json:"seed"`
	PlanHash   string            `json:"planHash"` // sha256 of the scenario's normalised form
	Provider   string            `json:"provider"`
	Replay     string            `json:"replay"` // the command that does it again
	Strategy   string            `json:"strategy"`
	Steps      []string          `json:"steps"`
	Deadline   Duration          `json:"deadline"` // release.deadline
	SLO        SLO               `json:"slo"`
	GateEvery  Duration          `json:"gateEvery"` // 0 without a gate
	GateFails  int               `json:"gateFails"`
	GateLimits string            `json:"gateLimits"`      // "errors <= 1%, p99 <= 500ms"
	Rate       float64           `json:"rate"`            // requests per second, on average; where the load has a shape, when it begins
	Shape      string            `json:"shape,omitempty"` // how the rate goes on from there, in words; "" if it stays
	Faults     []PlannedFault    `json:"faults"`
	Recover    Recover           `json:"recover"`
	Expect     Expect            `json:"expect"`
	Control    *Control          `json:"control,omitempty"`
	Facts      map[string]string `json:"facts,omitempty"` // environment, for the report
}

// SLO is what a user is promised.
type SLO struct {
	Latency      Duration `json:"latency" yaml:"latency"`
	Availability Fraction `json:"availability" yaml:"availability"`
}

// PlannedFault is a fault as the scenario asks for it.
type PlannedFault struct {
	Name    string   `json:"name"` // "NetworkChaos delay 600ms"
	Kind    string   `json:"kind"` // Chaos Mesh's kind
	Step    string   `json:"step"` // the step it is pinned to; "" if to an offset or event
	When    string   `json:"when"` // before, begin, live; or "after 2s", "event rollback"
	For     Duration `json:"for"`  // 0 for a one-shot fault
	Target  string   `json:"target"`
	OneShot bool     `json:"oneShot"`
	Driver  string   `json:"driver,omitempty"` // who is to do it: chaos-mesh, agent; "" if nobody can, or in old records
}

// Recover says when an incident counts as over.
type Recover struct {
	Confirm Duration `json:"confirm" yaml:"confirm"` // the SLO must hold this long
	Within  Duration `json:"within" yaml:"within"`   // how long recovery is awaited
}

// Expect is what the scenario asserts. A nil or empty field asserts nothing.
type Expect struct {
	Outcome           string           `json:"outcome,omitempty" yaml:"outcome"` // promoted, rolled-back, stuck, failed
	Procedure         *ExpectProcedure `json:"procedure,omitempty" yaml:"procedure"`
	MTTR              *Duration        `json:"mttr,omitempty" yaml:"mttr"`
	Detection         *Duration        `json:"detection,omitempty" yaml:"detection"`
	Availability      *Fraction        `json:"availability,omitempty" yaml:"availability"`
	RecoverAfterFault *Duration        `json:"recoverAfterFault,omitempty" yaml:"recoverAfterFault"`
	LostWrites        *int             `json:"lostWrites,omitempty" yaml:"lostWrites"` // so many that were answered well may be gone at the end
	Diff              string           `json:"diff,omitempty" yaml:"diff"`             // none: no field of the answers differs between the versions
}

// ExpectProcedure is what the scenario asserts of the procedure itself, whatever it did
// to the traffic.
type ExpectProcedure struct {
	Exit int `json:"exit" yaml:"exit"` // the code that it ends with in the end
}

// Control marks a scenario that must not pass: it tests the tester.
type Control struct {
	Verdict string `json:"verdict" yaml:"verdict"` // the verdict it must get
	Check   string `json:"check" yaml:"check"`     // the check that must say so; "" for any
	// Step is where it must have gone wrong: the one under way when users first got
	// bad answers, or the last one that began if they got none; "" for anywhere.
	Step string `json:"step,omitempty" yaml:"step"`
}

// Phase is the beginning of a part of the run.
type Phase struct {
	Name string `json:"name"` // preflight, baseline, load, steady-state, drill, release, recovery, heal
}

// Dependency is one that runs beside the cluster and is ready.
type Dependency struct {
	Name    string         `json:"name"`
	Image   string         `json:"image"`  // as the scenario calls it
	Digest  string         `json:"digest"` // of what ran
	Address string         `json:"address"`
	Ports   map[string]int `json:"ports,omitempty"`
	TookMs  float64        `json:"tookMs"` // to be ready
}

// SteadyState is the verdict on the baseline before anything was touched.
type SteadyState struct {
	From     Micros `json:"fromUs"`
	N        int    `json:"n"`
	Bad      int    `json:"bad"`
	P99Us    int64  `json:"p99Us"`
	Rejected bool   `json:"rejected"` // an exact one-sided test at 1 % rejects the SLO
	Because  string `json:"because"`
}

// Drill is the rehearsal of the undo on a pod of our own.
type Drill struct {
	Kind    string  `json:"kind"`
	Proven  bool    `json:"proven"`
	UndoMs  float64 `json:"undoMs"`
	OK      bool    `json:"ok"`
	Because string  `json:"because"`
}

// ReleaseBegan marks the start of the release; availability counts from here.
type ReleaseBegan struct{}

// StepBegan is the instant a step's action starts.
type StepBegan struct {
	Name  string `json:"name"`
	Title string `json:"title,omitempty"` // what it is, where the name does not say: "patch Service/shop"
}

// StepLive is the instant a step's effect was observed, not merely accepted.
type StepLive struct {
	Name   string `json:"name"`
	Title  string `json:"title,omitempty"`  // as in StepBegan
	Weight int    `json:"weight"`           // candidate's share in per cent; -1 if the step does not move traffic
	Mirror int    `json:"mirror,omitempty"` // share of the requests that are copied to it, in per cent
}

// StepEnded is the instant a step was left.
type StepEnded struct {
	Name string `json:"name"`
	Err  string `json:"err,omitempty"`
}

// Superseded is the instant a third version took the candidate's place.
type Superseded struct {
	Step string `json:"step"` // that was live
	Err  string `json:"err,omitempty"`
}

// FaultApplied is the instant the API took a fault.
type FaultApplied struct {
	Fault  int    `json:"fault"`            // index into Plan.Faults
	Driver string `json:"driver,omitempty"` // who does it; "" in old records
}

// FaultInjected says that one pod is under the fault, or was hit by it.
type FaultInjected struct {
	Fault int    `json:"fault"`
	Pod   string `json:"pod"`
}

// FaultProven is the measurement at the target.
type FaultProven struct {
	Fault    int      `json:"fault"`
	Proven   bool     `json:"proven"`
	Pods     []string `json:"pods"`
	EffectMs *float64 `json:"effectMs"` // added delay, milliseconds; null if the kind has none
	Because  string   `json:"because"`
}

// FaultEnded is the instant a lasting fault was off again, observed.
type FaultEnded struct {
	Fault int    `json:"fault"`
	By    string `json:"by"` // "expiry" or "undo"
}

// Reading is one answer of a gate.
type Reading struct {
	Gate    string  `json:"gate"`
	Step    string  `json:"step"`
	From    Micros  `json:"fromUs"`
	To      Micros  `json:"toUs"`
	Status  string  `json:"status"` // pass, fail, no-data
	N       int     `json:"n"`
	Bad     int     `json:"bad"`
	ErrRate float64 `json:"errRate"`
	Q       float64 `json:"quantile"`  // which quantile LatUs is; 0 if none is limited
	LatUs   int64   `json:"latencyUs"` // at that quantile
	Streak  int     `json:"streak"`    // failing readings in a row, this one included
	Because string  `json:"because"`   // "p99 611ms > 500ms (n=120)"
	// Value is what a gate that asks somebody else compared with its limit.
	Value *float64 `json:"value,omitempty"`
}

// ApprovalAsked says that a gate waits for a person.
type ApprovalAsked struct {
	Gate    string   `json:"gate"`
	Step    string   `json:"step"`
	Ask     string   `json:"ask,omitempty"` // what the person is to look at
	Timeout Duration `json:"timeout"`
	How     string   `json:"how"` // the command that answers
}

// Decision is what the gate policy did with its readings.
type Decision struct {
	Step    string `json:"step"`
	Action  string `json:"action"` // proceed, rollback
	Because string `json:"because"`
	First   Micros `json:"firstUs"` // first failing reading of the streak; Never if none
}

// Routed says that the router was asked for a split, under a generation.
type Routed struct {
	Gen    int64 `json:"generation"`
	Weight int   `json:"weight"`           // candidate's share in per cent
	Mirror int   `json:"mirror,omitempty"` // share of the requests that are copied to it, in per cent
}

// Mirrored is what became of the copies of requests that the candidate got under one
// generation of the route, as far as they had been answered when the next was asked for.
type Mirrored struct {
	Gen      int64 `json:"generation"`
	Answered int64 `json:"answered"`
	Failed   int64 `json:"failed"` // of these, with a status of 5xx, the gateway's own included
}

// PodSeen is a change in a pod's life.
type PodSeen struct {
	Pod      string  `json:"pod"`
	Version  Version `json:"version"`
	Phase    string  `json:"phase"`              // starting, ready, unready, terminating, gone
	Restarts int     `json:"restarts,omitempty"` // of its containers, so far
	Killed   bool    `json:"killed,omitempty"`   // ended without its time to terminate, or by the node
	Reason   string  `json:"reason,omitempty"`   // of the last restart or of the kill, where it is known
}

// ClusterEvent is a Kubernetes event in the run's namespace.
type ClusterEvent struct {
	Object  string `json:"object"`
	Reason  string `json:"reason"`
	Message string `json:"message"`
	Warning bool   `json:"warning"`
}

// ReleaseEnded is the return of the strategy.
type ReleaseEnded struct {
	Err string `json:"err,omitempty"`
}

// Stall is a stretch in which the load generator itself was late: what falls in it
// says nothing about the release.
type Stall struct {
	From Micros `json:"fromUs"`
	To   Micros `json:"toUs"`
}

// LoadEnded closes the books on the load.
type LoadEnded struct {
	Planned           int64 `json:"planned"`
	Sent              int64 `json:"sent"`
	Unsent            int64 `json:"unsent"`
	ReleaseErrorP99Us int64 `json:"releaseErrorP99Us"` // send instant minus intended instant
}

// Undone is one confirmed undo, or one that failed.
type Undone struct {
	Action string `json:"action"`
	Err    string `json:"err,omitempty"`
}

// Residue is what was found left behind after healing.
type Residue struct {
	Items []string `json:"items"`
}

// Broken says that the harness itself failed; it overrides every verdict.
type Broken struct {
	Because string `json:"because"`
}

// Skipped says that this cluster cannot run the scenario.
type Skipped struct {
	Because string `json:"because"`
}

// RunEnded is the last event.
type RunEnded struct {
	Interrupted bool `json:"interrupted"`
}

// EventType implementations: the names that stand in the record.

func (Plan) EventType() string          { return "plan" }
func (Phase) EventType() string         { return "phase" }
func (Dependency) EventType() string    { return "dependency" }
func (SteadyState) EventType() string   { return "steady-state" }
func (Drill) EventType() string         { return "drill" }
func (ReleaseBegan) EventType() string  { return "release-began" }
func (StepBegan) EventType() string     { return "step-began" }
func (StepLive) EventType() string      { return "step-live" }
func (StepEnded) EventType() string     { return "step-ended" }
func (Superseded) EventType() string    { return "superseded" }
func (FaultApplied) EventType() string  { return "fault-applied" }
func (FaultInjected) EventType() string { return "fault-injected" }
func (FaultProven) EventType() string   { return "fault-proven" }
func (FaultEnded) EventType() string    { return "fault-ended" }
func (Reading) EventType() string       { return "gate-reading" }
func (ApprovalAsked) EventType() string { return "approval-asked" }
func (Decision) EventType() string      { return "decision" }
func (Routed) EventType() string        { return "routed" }
func (Mirrored) EventType() string      { return "mirrored" }
func (PodSeen) EventType() string       { return "pod" }
func (ClusterEvent) EventType() string  { return "cluster-event" }
func (ReleaseEnded) EventType() string  { return "release-ended" }
func (Stall) EventType() string         { return "stall" }
func (LoadEnded) EventType() string     { return "load-ended" }
func (Undone) EventType() string        { return "undone" }
func (Residue) EventType() string       { return "residue" }
func (Broken) EventType() string        { return "broken" }
func (Skipped) EventType() string       { return "skipped" }
func (RunEnded) EventType() string      { return "run-ended" }
