package conformance

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/cutover-dev/cutover/faults"
	"github.com/cutover-dev/cutover/history"
)

// Case is one way to ask for a fault, and what must be measured then.
type Case struct {
	Fault   string // one of faults.Supported
	Variant string // tells it from the others of its fault
	Spec    string // Chaos Mesh's, as JSON
	Lasts   time.Duration
	Pods    int      // of the target, before
	Shows   Quantity // what a table shows of it
	Setting Setting
	Wants   []Want
}

// Setting is what happens in a trial beside the fault.
type Setting struct {
	Birth    bool // a pod is born while the fault is on
	ByItself bool // nobody undoes the fault: its time ends it
	Replaced bool // killed pods have successors, which are what is measured after it
}

// Parse makes the case's fault.
func (c Case) Parse() (faults.Fault, error) {
	kind, _, _ := strings.Cut(c.Fault, " ")
	return faults.Parse(faults.Spec{
		For: history.Duration(c.Lasts), Target: "candidate",
		Chaos: faults.Chaos{Kind: kind, Spec: json.RawMessage(c.Spec)},
	})
}

// Quantities are those that the case wants to be measured, each once.
func (c Case) Quantities() []Quantity {
	var all []Quantity
	for _, w := range c.Wants {
		if !slices.Contains(all, w.quantity) {
			all = append(all, w.quantity)
		}
	}
	return all
}

const (
	// longEnough is how long a fault lasts that is undone: longer than its trial.
	longEnough = 3 * time.Minute
	// shortEnough is how long one lasts that ends by itself: time to measure it.
	shortEnough = 20 * time.Second
)

// Cases are all rows, in the order in which they are tried.
func Cases() []Case {
	var all []Case
	for _, shape := range shapes() {
		all = append(all, shape.plain())
		if shape.oneOfThree {
			all = append(all, shape.one())
		}
		if shape.birth {
			all = append(all, shape.born())
		}
		if shape.byItself {
			all = append(all, shape.alone())
		}
	}
	return all
}

// Missing lists the faults that are built and have no case.
func Missing() []string {
	return slices.DeleteFunc(faults.Supported(), func(fault string) bool {
		return slices.ContainsFunc(Cases(), func(c Case) bool { return c.Fault == fault })
	})
}

// shape is what the cases of one spec have in common.
type shape struct {
	fault, variant string
	spec           string // without its mode
	oneShot        bool
	shows          Quantity
	healthy        []condition // of a pod without the fault
	hurt           []condition // of a pod under it
	healedIn       time.Duration
	replaced       bool // killed pods have successors

	// Further cases of the spec.
	oneOfThree, birth, byItself bool
}

// condition is a want without its phase and role.
type condition struct {
	quantity Quantity
	kind     wantKind
	within   span
}

// Conditions that many shapes have.
var (
	answers   = condition{Answered, absolute, exactly(1)}
	isThere   = condition{There, absolute, exactly(1)}
	isItself  = condition{OwnImage, absolute, exactly(1)}
	isPrompt  = condition{RoundTrip, more, undelayed.around(0)}
	isWhole   = []condition{answers, {Lost, chance, span{0, rated.Above}}, {Again, chance, span{0, rated.Above}}, {Damaged, chance, span{0, rated.Above}}}
	isFast    = condition{Throughput, absolute, span{5 * megabytes, math.Inf(1)}}
	isIdle    = condition{Processor, more, idle.around(0)}
	isEmpty   = condition{Memory, more, emptied.around(0)}
	isOld     = condition{Restarts, absolute, exactly(0)}
	isLost    = condition{Lost, absolute, exactly(1)}
	isSilent  = condition{Silent, absolute, exactly(1)}
	gotThere  = condition{Arrived, chance, span{1 - rated.Below, 1}}
	gotNoMore = condition{Arrived, absolute, exactly(0)}
)

// What is asked for.
const (
	latency   = 150 // ms
	jitter    = 40  // ms
	portion   = 0.3 // of packets
	megabytes = 1   // a second
	cores     = 0.5
	memory    = 128 // MB
)

func shapes() []shape {
	return slices.Concat(podShapes(), delayShapes(), packetShapes(), partitionShapes(), stressShapes())
}

func podShapes() []shape {
	// A container that ends again and again is started later and later: after 10 s,
	// and after 20 s.
	const restarted = 60 * time.Second
	return []shape{
		{fault: "PodChaos pod-kill", spec: `{"action": "pod-kill"}`, oneShot: true, replaced: true, oneOfThree: true, healedIn: 20 * time.Second,
			shows:   Answered,
			healthy: []condition{answers, isThere}, hurt: []condition{{There, absolute, exactly(0)}, {Answered, absolute, exactly(0)}}},
		{fault: "PodChaos container-kill", spec: `{"action": "container-kill"}`, oneShot: true, oneOfThree: true, healedIn: restarted,
			shows:   Restarts,
			healthy: []condition{answers, isThere}, hurt: []condition{isThere, {Restarts, absolute, exactly(1)}, {ExitCode, absolute, exactly(137)}}},
		{fault: "PodChaos pod-failure", spec: `{"action": "pod-failure"}`, oneOfThree: true, birth: true, byItself: true, healedIn: restarted,
			shows:   Refused,
			healthy: []condition{answers, isThere, isItself},
			hurt:    []condition{isThere, {Refused, absolute, exactly(1)}, {OwnImage, absolute, exactly(0)}}},
	}
}

// atOnce is when pods are healed whose fault takes nothing down.
const atOnce = 3 * time.Second

func delayShapes() []shape {
	spec := func(more string) string {
		return fmt.Sprintf(`{"action": "delay", "delay": {"latency": "%dms"%s}}`, latency, more)
	}
	return []shape{
		{fault: "NetworkChaos delay", variant: fmt.Sprintf("%d ms", latency), spec: spec(""), shows: RoundTrip, healedIn: atOnce,
			oneOfThree: true, birth: true, byItself: true,
			healthy: []condition{answers, isPrompt}, hurt: []condition{answers, {RoundTrip, more, delayed.around(latency)}}},
		{fault: "NetworkChaos delay", variant: fmt.Sprintf("%d ± %d ms", latency, jitter), spec: spec(fmt.Sprintf(`, "jitter": "%dms"`, jitter)),
			shows: RoundTrip, healedIn: atOnce,
			healthy: []condition{answers, isPrompt},
			hurt: []condition{
				{RoundTrip, more, middle.around(latency)},
				{RoundTripLow, more, jittered.around(latency - 0.8*jitter)}, {RoundTripHigh, more, jittered.around(latency + 0.8*jitter)},
			}},
	}
}

func packetShapes() []shape {
	spec := func(action string) string {
		return fmt.Sprintf(`{"action": %q, %[1]q: {%[1]q: "%g"}}`, action, 100*portion)
	}
	variant := fmt.Sprintf("%g %%", 100*portion)
	suffer := condition{Lost, chance, rated.around(portion)}
	// One bit in twenty is of the headers: such a packet is dropped on its way.
	damaged := condition{Damaged, chance, span{0.9*portion - rated.Below, portion + rated.Above}}
	return []shape{
		{fault: "NetworkChaos loss", variant: variant, spec: spec("loss"), shows: Lost, healedIn: atOnce, birth: true, healthy: isWhole, hurt: []condition{suffer}},
		{fault: "NetworkChaos duplicate", variant: variant, spec: spec("duplicate"), shows: Again, healedIn: atOnce, healthy: isWhole,
			hurt: []condition{{Again, chance, rated.around(portion)}}},
		{fault: "NetworkChaos corrupt", variant: variant, spec: spec("corrupt"), shows: Damaged, healedIn: atOnce, healthy: isWhole, hurt: []condition{damaged}},
		{fault: "NetworkChaos bandwidth", variant: fmt.Sprintf("%d MB/s", megabytes), shows: Throughput, healedIn: atOnce, birth: true,
			spec:    fmt.Sprintf(`{"action": "bandwidth", "bandwidth": {"rate": "%dmbps", "limit": 200000, "buffer": 20000}}`, megabytes),
			healthy: []condition{answers, isFast}, hurt: []condition{{Throughput, absolute, limited.around(megabytes)}}},
	}
}

func partitionShapes() []shape {
	partition := func(direction string, arrived condition) shape {
		return shape{fault: "NetworkChaos partition", variant: direction, shows: Silent, healedIn: atOnce,
			spec:    fmt.Sprintf(`{"action": "partition", "direction": %q}`, direction),
			healthy: isWhole, hurt: []condition{isSilent, isLost, arrived}}
	}
	to := partition("to", gotThere)
	to.oneOfThree, to.birth, to.byItself = true, true, true
	return []shape{to, partition("from", gotNoMore), partition("both", gotNoMore)}
}

func stressShapes() []shape {
	return []shape{
		{fault: "StressChaos", variant: fmt.Sprintf("cpu %g cores", cores), shows: Processor, healedIn: atOnce, oneOfThree: true, birth: true, byItself: true,
			spec:    fmt.Sprintf(`{"stressors": {"cpu": {"workers": 1, "load": %g}}}`, 100*cores),
			healthy: []condition{isIdle}, hurt: []condition{{Processor, more, busy.around(cores)}}},
		{fault: "StressChaos", variant: fmt.Sprintf("memory %d MB", memory), shows: Memory, healedIn: atOnce,
			spec:    fmt.Sprintf(`{"stressors": {"memory": {"workers": 1, "size": "%dMB"}}}`, memory),
			healthy: []condition{isEmpty, isOld}, hurt: []condition{{Memory, more, filled.around(memory)}}},
	}
}

// plain is the case of all pods, undone.
func (s shape) plain() Case {
	c := Case{
		Fault: s.fault, Variant: join(s.variant, "all pods"), Spec: withMode(s.spec, "all"), Lasts: longEnough, Pods: 1, Shows: s.shows,
		Setting: Setting{Replaced: s.replaced},
	}
	if s.oneShot {
		c.Lasts = 0
	}
	healed := Target
	if s.replaced {
		healed = Newborn
	}
	c.Wants = slices.Concat(
		wants(Before, Target, absolutely(s.healthy)), wants(Before, Bystander, absolutely(s.healthy)),
		wants(During, Target, s.hurt), wants(During, Bystander, s.healthy),
		wants(After, healed, s.healthy), wants(After, Bystander, s.healthy),
		[]Want{want(After, healed, Healed, span{0, s.healedIn.Seconds()})},
	)
	return c
}

// one is the case of a fault that is on one of three pods.
func (s shape) one() Case {
	c := s.plain()
	c.Variant, c.Spec, c.Pods = join(s.variant, "one of three pods"), withMode(s.spec, "one"), 3
	c.Wants = slices.Concat(c.Wants, wants(During, Spared, s.healthy), wants(After, Spared, s.healthy))
	return c
}

// born is the case of a pod that is born while the fault is on.
func (s shape) born() Case {
	c := s.plain()
	c.Variant, c.Setting.Birth = join(s.variant, "a pod born later"), true
	c.Wants = slices.Concat(c.Wants, wants(During, Newborn, s.hurt), wants(After, Newborn, s.healthy))
	return c
}

// alone is the case of a fault that nobody undoes.
func (s shape) alone() Case {
	c := s.plain()
	c.Variant, c.Setting.ByItself, c.Lasts = join(s.variant, "ends by itself"), true, shortEnough
	return c
}

func join(variant, more string) string {
	if variant == "" {
		return more
	}
	return variant + ", " + more
}

func withMode(spec, mode string) string {
	return fmt.Sprintf(`{"mode": %q, %s`, mode, strings.TrimPrefix(spec, "{"))
}

func wants(phase Phase, role Role, conditions []condition) []Want {
	var all []Want
	for _, c := range conditions {
		all = append(all, Want{phase, role, c.quantity, c.kind, c.within})
	}
	return all
}

// absolutely leaves out what is said in comparison with before.
func absolutely(conditions []condition) []condition {
	var all []condition
	for _, c := range conditions {
		if c.kind == more {
			c.kind, c.within = absolute, span{0, math.Inf(1)} // that it is measured is enough
		}
		all = append(all, c)
	}
	return all
}
