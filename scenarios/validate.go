package scenarios

import (
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/cutover-dev/cutover/gates"
	"github.com/cutover-dev/cutover/history"
	"github.com/cutover-dev/cutover/loadgen"
	"github.com/cutover-dev/cutover/release"
	"github.com/cutover-dev/cutover/verdict"
)

// validator checks what types alone do not: that a scenario makes sense, and that
// it can be run and judged.
type validator struct {
	*report
	s *Scenario
}

// validate looks at every section. Whatever decoding has refused is not looked at.
func (v *validator) validate() {
	v.metadata()
	v.app()
	v.dependencies()
	v.load()
	if v.s.Procedure != nil {
		v.procedure()
	} else {
		v.release()
	}
	if v.s.Gate != nil {
		v.gate()
	}
	lasting := v.faults()
	v.recovery()
	v.expect(lasting)
	v.control()
}

// want reports a problem with key unless ok, or unless key is known to be wrong.
func (v *validator) want(ok bool, key, format string, args ...any) {
	if !ok && v.sound(key) {
		v.add(key, format, args...)
	}
}

var (
	dnsLabel    = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)
	serviceName = regexp.MustCompile(`^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$`)
	labelWord   = regexp.MustCompile(`^[a-z0-9]([-._a-z0-9]*[a-z0-9])?$`)
	httpToken   = regexp.MustCompile("^[-!#$%&'*+.^_`|~0-9A-Za-z]+$")
)

const dnsRule = "write up to 63 small letters, digits and dashes, with a letter or digit at both ends"

func (v *validator) metadata() {
	name := v.s.Metadata.Name
	v.want(dnsLabel.MatchString(name), "metadata.name", "%q names no namespace: %s", name, dnsRule)
	for i, label := range v.s.Metadata.Labels {
		v.want(labelWord.MatchString(label), elem("metadata.labels", i), "%q is no label: write one word in small letters", label)
	}
	v.want(v.s.Metadata.Flaw == "" || v.s.Metadata.Subject != "", "metadata.flaw", "of which subject? write metadata.subject too")
	v.want(v.s.Metadata.Flaw == "" || v.s.Metadata.Subject == "" || v.s.Control != nil && v.s.Control.Verdict == string(verdict.Fail), "metadata.flaw",
		"a scenario whose subject has a flaw must fail: write control: {verdict: fail, check: …, step: …}")
	v.want(strings.TrimSpace(v.s.Why) != "", "why", "empty: say in a sentence what this proves, for whoever reads the report")
}

func (v *validator) release() {
	r := v.s.Release
	for _, key := range []string{"release", "release.strategy"} {
		if !v.given(key) {
			v.want(false, key, "missing: write how traffic moves, or a procedure in its place")
			return
		}
	}
	if r.Strategy == release.StrategyProcedure {
		v.want(false, "release.strategy", "the procedure is missing: write it in a section of its own, beside release")
		return
	}
	if !v.sound("app.kind") {
		return // which strategies there are for it, nobody can say
	}
	v.refused("", "release", r.Validate(v.s.App))
	v.want(r.ProgressDeadline.D()%time.Second == 0, "release.progressDeadline", "%s: Kubernetes counts whole seconds here", r.ProgressDeadline)
	if r.Supersede != nil {
		v.variant("release.supersede.by", r.Supersede.By)
	}
	if m := r.Match; m != nil && v.sound("release", "load.requests") {
		v.want(!v.sound("load.replay", "load.targets") || slices.ContainsFunc(v.s.Load.Requests, func(q loadgen.RequestSpec) bool { return carries(q, *m) }), "release.match",
			"no request of the load carries it, so the candidate would get none before everyone does: give one of load.requests the header")
	}
	if len(release.MirrorSteps(r, v.s.App)) > 0 && v.sound("release", "load.requests") {
		v.want(r.MirrorWrites || !v.sound("load.replay") || slices.ContainsFunc(v.s.Load.Requests, isSafe), "release.mirrorWrites",
			"no request of the load is %s, and others are not copied, so the candidate would get none: give load.requests one, or allow copies of requests that write", strings.Join(release.SafeMethods, ", "))
	}
	if v.sound("release") {
		steps := r.Held(v.s.App)
		holds := r.Hold.D() * time.Duration(steps)
		v.want(holds < r.Deadline.D(), "release.deadline",
			"%s is over before %d steps have held %s each, which takes %s: raise it or shorten hold", r.Deadline, steps, r.Hold, holds)
	}
}

// carries reports whether the request is one that m chooses.
func carries(request loadgen.RequestSpec, m release.Match) bool {
	header := http.Header{}
	for name, value := range request.Headers {
		header.Set(name, value)
	}
	if m.Header != "" {
		return header.Get(m.Header) == m.Value
	}
	cookies, err := http.ParseCookie(header.Get("Cookie"))
	return err == nil && slices.ContainsFunc(cookies, func(c *http.Cookie) bool { return c.Name == m.Cookie && c.Value == m.Value })
}

func isSafe(request loadgen.RequestSpec) bool {
	return slices.Contains(release.SafeMethods, request.Method)
}

// maxWarmup bounds the warm-up: what needs longer is not warming up.
const maxWarmup = 5 * time.Minute

func (v *validator) load() {
	if v.s.Load.Replay != nil && !v.replay() || v.s.Load.Targets != "" && !v.targets() {
		return // what is sent is not known
	}
	if v.s.Load.Descriptors != "" && v.s.Load.Protocol == loadgen.GRPC && !v.descriptors() {
		return // nor here
	}
	l := v.s.Load
	v.want(l.Warmup > 0 && l.Warmup.D() <= maxWarmup, "load.warmup", "%s: write more than 0s and at most %s", l.Warmup, maxWarmup)
	v.want(l.Connections > 0, "load.connections", "%d: write how many may be open at once, or leave it out", l.Connections)
	v.want(l.SLO.Availability > 0 && l.SLO.Availability < 1, "load.slo.availability",
		"%s cannot be judged: write more than 0%% and less than 100%%, such as 99.9%%", l.SLO.Availability)
	for i, request := range l.Requests {
		v.request(elem("load.requests", i), request)
	}
	v.refused("", "load", l.Validate())
	if l.Diff != nil {
		v.diff()
	}
}

// replay reads what is to be sent again, and reports whether it could.
func (v *validator) replay() bool {
	const key = "load.replay.file"
	before := len(v.problems)
	for _, other := range []string{"rate", "requests"} {
		v.want(!v.given(join("load", other)), join("load", other), "the recording says what is sent, and when: leave this out, or replay")
	}
	if len(v.problems) > before || !v.sound("load.replay") {
		return false
	}
	replay := v.s.Load.Replay
	path, file := v.open(key, replay.File)
	if file == nil {
		return false
	}
	defer file.Close()
	recording, err := loadgen.ReadRecording(path, file, replay.Filter())
	if err != nil {
		v.want(false, key, "%v", err)
		return false
	}
	v.s.Load, err = v.s.Load.Replaying(recording)
	v.want(err == nil, key, "%s %v", path, err)
	return len(v.problems) == before
}

// targets reads what is to be asked for, and reports whether it could.
func (v *validator) targets() bool {
	const key = "load.targets"
	before := len(v.problems)
	for _, other := range []string{"requests", "replay"} {
		v.want(!v.given(join("load", other)), join("load", other), "the targets say what is sent: leave this out, or targets")
	}
	if len(v.problems) > before {
		return false
	}
	path, file := v.open(key, v.s.Load.Targets)
	if file == nil {
		return false
	}
	defer file.Close()
	requests, err := loadgen.ReadTargets(path, file)
	v.s.Load.Requests = requests
	v.want(err == nil, key, "%v", err)
	return len(v.problems) == before
}

// descriptors looks the calls up in their services, and reports whether they are there.
func (v *validator) descriptors() bool {
	const key = "load.descriptors"
	before := len(v.problems)
	v.want(v.s.App.Version.JSON == "", "app.version.json", "the answer to a call is no JSON: write header, which may be a trailer, or leave it to the gateway's access log")
	for i := range v.s.Load.Requests {
		method := elem("load.requests", i) + ".method"
		v.want(!v.given(method), method, "a call is a POST: leave this out")
	}
	path, file := v.open(key, v.s.Load.Descriptors)
	if file == nil || len(v.problems) > before {
		return false
	}
	defer file.Close()
	descriptors, err := loadgen.ReadDescriptors(file)
	if err != nil {
		v.want(false, key, "%s %v", path, err)
		return false
	}
	v.s.Load, err = v.s.Load.Describing(descriptors)
	v.refused("", "load", err)
	return len(v.problems) == before
}

// open opens a file that the scenario names at key; nil if there is none.
func (v *validator) open(key, name string) (string, *os.File) {
	v.want(!filepath.IsAbs(name), key, "%s: write the path as seen from %s", name, v.s.Root())
	path := filepath.Join(v.s.Root(), name)
	file, err := os.Open(path)
	if err != nil {
		v.want(false, key, "there is no file %s: write the path as seen from %s", path, v.s.Root())
		return path, nil
	}
	return path, file
}

// diff checks that there will be whom to compare.
func (v *validator) diff() {
	pods, key := v.s.App.Replicas, "app.replicas"
	if v.given("app.baseline.replicas") {
		pods, key = v.s.App.Baseline.Replicas, "app.baseline.replicas"
	}
	v.want(pods >= 2, key, "%d: load.diff compares two pods of the baseline with one of the candidate; write 2 or more", pods)
	v.want(v.s.Release.Strategy != "recreate", "load.diff", "a release by recreate has no two versions at a time to compare: leave it out, or choose another strategy")
}

var writes = []string{http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}

func (v *validator) request(key string, r loadgen.RequestSpec) {
	v.want(!strings.ContainsAny(r.Path, " \t\r\n"), key+".path", "%q has a blank: write %%20", r.Path)
	v.want(r.Weight > 0, key+".weight", "%d sends nothing: write 1 or more, or leave the request out", r.Weight)
	v.want(!r.Write || slices.Contains(writes, r.Method), key+".write",
		"%s writes nothing: write is for %s", r.Method, strings.Join(writes, ", "))
	for _, name := range slices.Sorted(maps.Keys(r.Headers)) {
		v.want(httpToken.MatchString(name), join(key+".headers", name), "%q is no header name", name)
	}
}

func (v *validator) gate() {
	g := v.s.Gate
	v.want(g.Every > 0, "gate.every", "0s: write how often the gate is asked, such as 1s")
	v.want(g.Min > 0, "gate.min", "%d: a reading without requests says nothing; write 1 or more", g.Min)
	v.want(g.Fails > 0, "gate.fails", "%d: write how many failing readings in a row roll back, 1 or more", g.Fails)
	v.refused("", "gate", g.Validate())
	v.attainable()
	if mirrored := release.MirrorSteps(v.s.Release, v.s.App); v.sound("gate", "release") {
		blind := slices.DeleteFunc(mirrored, g.Asks)
		v.want(len(blind) == 0, "gate",
			"nothing is judged at %s: users meet the baseline there, so errors, latency, sequential and compare have nothing to read; ask somebody who sees the copies, by prometheus, webhook, command or approval",
			strings.Join(blind, ", "))
	}
	if s, deadline := g.Sequential, v.s.Release.Deadline; s != nil {
		v.want(s.Soak < deadline, "gate.sequential.soak", "is %s: the release is over after %s, its deadline: shorten one or raise the other", s.Soak, deadline)
	}
	for _, outside := range g.Outside() {
		v.outside(outside)
	}
}

// outside checks what a gate refers to in the rest of the scenario.
func (v *validator) outside(o gates.Outside) {
	known, err := release.GatedSteps(v.s.Release, v.s.App)
	for i, step := range o.Steps {
		v.want(err != nil || slices.Contains(known, step), elem(o.Key+".steps", i),
			"no gate is asked at a step %q of this release; it is at %s%s", step, strings.Join(known, ", "), didYouMean(step, known))
	}
	v.want(o.Steps == nil || len(o.Steps) > 0, o.Key+".steps", "empty: it would never be asked; name a step, or leave this out for all")
	v.want(o.Timeout < v.s.Release.Deadline.D(), o.Key+".timeout", "%s: the release is over after %s, its deadline: shorten one or raise the other", o.Timeout, v.s.Release.Deadline)
	if o.Image != "" {
		v.image(o.Key+".job.image", o.Image)
	}
}

// refused reports what the package of a section says is wrong with it. Each of its
// errors, on a line of its own, begins with the key as seen from base; one that does
// not is about the section.
func (v *validator) refused(base, section string, err error) {
	if err == nil {
		return
	}
	var found []Problem
	for _, text := range strings.Split(err.Error(), "\n") {
		word, rest, _ := strings.Cut(text, " ")
		key := join(base, strings.TrimSuffix(word, ":"))
		if !within(key, section) {
			key, rest = section, text
		}
		if v.sound(key) {
			found = append(found, Problem{Key: key, Text: rest})
		}
	}
	for _, p := range found {
		v.add(p.Key, "%s", p.Text)
	}
}

// patience is how many readings long a reading may take to have its min.
const patience = 10

// attainable checks that the candidate gets enough requests for a reading at the
// lowest step: otherwise the gate has no data by construction.
func (v *validator) attainable() {
	g, r := v.s.Gate, v.s.Release
	if len(r.Steps) == 0 || len(release.MirrorSteps(r, v.s.App)) > 0 || !g.Counts() && g.Compare == nil || !v.sound("gate", "load.rate", "load.shape", "load.replay", "release") {
		return
	}
	lowest := v.s.Load.LowestRate()
	rate := lowest * float64(r.Steps[0]) / 100
	limit := g.Every.D() * patience
	v.want(rate*limit.Seconds() >= float64(g.Min), "gate.min",
		"%d requests take the candidate %.0fs at weight-%d (%.3g/s of %.4g/s); a reading may take %d times every, %s: lower min, or raise load.rate, the first step or every",
		g.Min, float64(g.Min)/rate, r.Steps[0], rate, lowest, patience, limit)
}

func (v *validator) recovery() {
	r := v.s.Recover
	v.want(r.Confirm > 0, "recover.confirm", "0s confirms nothing: write how long the SLO must hold, such as 10s")
	v.want(r.Within >= r.Confirm, "recover.within", "%s is over before confirm, %s, can be: raise it", r.Within, r.Confirm)
}

// expect refuses to expect what would not be measured.
func (v *validator) expect(lastingFault bool) {
	e := v.s.Expect
	v.want(len(v.expected()) > 0, "expect", "nothing is expected, so nothing can be judged; known here: %s", measured)
	v.limit("expect.mttr", e.MTTR)
	v.limit("expect.detection", e.Detection)
	v.limit("expect.recoverAfterFault", e.RecoverAfterFault)
	v.want(e.Availability == nil || *e.Availability > 0, "expect.availability", "0%% is always met: write what is promised")
	v.want(e.Detection == nil || v.given("gate"), "expect.detection", "not measured without a gate: add one, or leave this out")
	v.want(e.Detection == nil || e.Outcome != "promoted", "expect.detection", "not measured in a release that is promoted: nothing is decided against it")
	v.want(e.Procedure == nil || v.s.Procedure != nil, "expect.procedure", "there is no procedure: leave this out")
	v.want(e.LostWrites == nil || *e.LostWrites >= 0, "expect.lostWrites", "fewer than none cannot be lost")
	v.want(e.LostWrites == nil || slices.ContainsFunc(v.s.Load.Requests, func(r loadgen.RequestSpec) bool { return r.ReadBack != nil }), "expect.lostWrites",
		"not measured without a request that is read back: write readBack, or leave this out")
	v.want(e.Diff == "" || v.s.Load.Diff != nil, "expect.diff", "not measured without load.diff: add it, or leave this out")
	v.want(e.RecoverAfterFault == nil || lastingFault, "expect.recoverAfterFault",
		"not measured without a fault that lasts: add one with for, or leave this out")
}

func (v *validator) limit(key string, limit *history.Duration) {
	v.want(limit == nil || *limit > 0, key, "0s cannot be met")
}

// expected lists what the scenario expects, by name.
func (v *validator) expected() []string {
	return slices.DeleteFunc(slices.Clone(expectations), func(name string) bool { return !v.given("expect." + name) })
}

func (v *validator) control() {
	c := v.s.Control
	if c == nil {
		return
	}
	v.want(c.Check == "" || slices.Contains(v.expected(), c.Check), "control.check", "%s is not judged: expect.%s is not given", c.Check, c.Check)
	v.want(c.Step == "" || c.Verdict == string(verdict.Fail), "control.step", "only a run that fails went wrong at a step: leave it out, or write verdict: fail")
	if v.s.Procedure != nil {
		return // its steps are discovered
	}
	if steps, err := release.StepNames(v.s.Release, v.s.App); err == nil && c.Step != "" {
		v.want(slices.Contains(steps, c.Step), "control.step", "no step %q in this release; its steps: %s%s", c.Step, strings.Join(steps, ", "), didYouMean(c.Step, steps))
	}
}
