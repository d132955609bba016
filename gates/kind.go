package gates

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/cutover-dev/cutover/history"
)

// kinds of gates beside the threshold, by their key in the gate section.
var kinds = map[string]kind{}

// kind finds its own sections in a spec, in their order.
type kind struct {
	sections func(Spec) []section
	single   bool // a section, not a list of them
}

func register(key string, k kind) struct{} {
	if _, taken := kinds[key]; taken {
		panic(fmt.Sprintf("gates: %q is registered twice", key))
	}
	kinds[key] = k
	return struct{}{}
}

// list makes sections of a list of one type.
func list[S section](all []S) []section {
	sections := make([]section, len(all))
	for i, s := range all {
		sections[i] = s
	}
	return sections
}

// section is one entry under the key of a kind: either asked or counting.
type section interface {
	// asking says what all kinds have in common.
	asking() asking
	// validate says what is wrong; fail takes a key below the entry's own.
	validate(fail func(key, format string, args ...any))
}

// asked is a section whose gate asks somebody else.
type asked interface {
	section
	// source makes what is asked.
	source(name string, place Place) source
}

// counting is a section whose gate reads the run's own requests, at once.
type counting interface {
	section
	gate(name string) Gate
}

// asking is how a source is asked. Of a section that counts, only limits are set.
type asking struct {
	name    string // "" for that of its kind
	limits  string
	timeout time.Duration
	steps   []string // all if nil
	once    bool     // a pass stands for the whole step
	final   bool     // a failure, too
	image   string   // that it needs in the cluster
}

// source answers questions, and may take long over it. It returns soon after ctx
// ends.
type source interface {
	ask(ctx context.Context, q Question) Answer
}

// Question is what a source is asked.
type Question struct {
	Span
	// Window tallies the requests of the span.
	Window history.Window
	// Values are what a query, an address or a text may name.
	Values Values
}

// Answer is what a source said.
type Answer struct {
	Status  string // pass, fail, no-data
	Because string
	Value   *float64 // that was compared with a limit; nil if there was none
}

func noData(format string, args ...any) Answer {
	return Answer{Status: NoData, Because: fmt.Sprintf(format, args...)}
}

// Place is what gates need of the run that they judge. Each may be nil where no gate
// of the scenario needs it.
type Place struct {
	// Grace is how long a reading waits for answers: shorter than what lies between
	// two readings.
	Grace time.Duration
	// Values says what texts may name, as far as it is known by now.
	Values func() Values
	// Dial connects to a port of a Service in the cluster.
	Dial func(ctx context.Context, namespace, service, port string) (net.Conn, error)
	// Folder is where commands run.
	Folder string
	// Reach opens a way from this machine to each version, as URLs, until close.
	Reach func(ctx context.Context) (urls map[history.Version]string, close func(), err error)
	// Processes runs do with a mark on disk, by which whoever cleans up finds the
	// processes that carry it in their environment, see [KillMarked].
	Processes func(ctx context.Context, mark string, do func(context.Context) error) error
	// Jobs runs containers in the cluster.
	Jobs Jobs
	// Approvals is the folder where people answer.
	Approvals string
	// Asked is told when a person is asked, and how they can answer.
	Asked func(history.ApprovalAsked)
}

// New makes the gates of spec, which must be valid.
func New(spec Spec, place Place) ([]Gate, error) {
	if err := spec.Validate(); err != nil {
		return nil, err
	}
	var all []Gate
	if spec.Counts() {
		all = append(all, newThreshold(spec))
	}
	for _, e := range spec.entries() {
		all = append(all, e.gate(place))
	}
	return all, nil
}

func (e entry) gate(place Place) Gate {
	switch s := e.section.(type) {
	case counting:
		return s.gate(e.title)
	case asked:
		return &aside{asking: s.asking(), title: e.title, source: s.source(e.title, place), grace: place.Grace, values: place.Values}
	}
	panic(fmt.Sprintf("gates: %s is neither asked nor does it count", e.key))
}

// entry is a section with its place in a spec.
type entry struct {
	section
	key   string // gate.webhook[0]
	title string // "webhook", or the name that it has been given
}

// entries are all sections of a spec, by kind and in their order.
func (s Spec) entries() []entry {
	var all []entry
	for _, key := range slices.Sorted(maps.Keys(kinds)) {
		sections := kinds[key].sections(s)
		for i, found := range sections {
			e := entry{section: found, key: "gate." + key, title: key}
			if !kinds[key].single {
				e.key += fmt.Sprintf("[%d]", i)
			}
			if len(sections) > 1 {
				e.title += fmt.Sprintf(" %d", i+1)
			}
			if name := found.asking().name; name != "" {
				e.title = name
			}
			all = append(all, e)
		}
	}
	return all
}

// Outside is what else of a scenario a gate refers to.
type Outside struct {
	Key     string        // of the gate in the scenario
	Steps   []string      // at which it is asked; nil for all
	Image   string        // that it runs; "" if none
	Timeout time.Duration // of an answer
}

// Outside lists that of all gates that have some.
func (s Spec) Outside() []Outside {
	var all []Outside
	for _, e := range s.entries() {
		a := e.asking()
		all = append(all, Outside{Key: e.key, Steps: a.steps, Image: a.image, Timeout: a.timeout})
	}
	return all
}

// Asks reports whether one of the gates asks somebody else at the step.
func (s Spec) Asks(step string) bool {
	return slices.ContainsFunc(s.entries(), func(e entry) bool {
		_, asks := e.section.(asked)
		steps := e.asking().steps
		return asks && (steps == nil || slices.Contains(steps, step))
	})
}

// validateEntries says what is wrong with the sections of all kinds.
func (s Spec) validateEntries() error {
	var wrong []error
	names := map[string]string{thresholdName: "the limits"}
	for _, e := range s.entries() {
		fail := func(key, format string, args ...any) {
			wrong = append(wrong, fmt.Errorf("%s %s", strings.TrimSuffix(e.key+"."+key, "."), fmt.Sprintf(format, args...)))
		}
		a := e.asking()
		if _, waits := e.section.(asked); waits && a.timeout <= 0 {
			fail("timeout", "is %s: write how long an answer may take, such as 5s", a.timeout)
		}
		if first, taken := names[e.title]; taken {
			fail("name", "%q is also the name of %s: each gate needs its own", e.title, first)
		}
		names[e.title] = e.key
		e.validate(fail)
	}
	return errors.Join(wrong...)
}
