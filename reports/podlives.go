package reports

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/cutover-dev/cutover/history"
)

// podLife is what the record tells of one pod.
type podLife struct {
	pod      string
	version  history.Version
	stages   []podStage // in order, the last one open
	restarts []history.Stamped[history.PodSeen]
	gone     history.Micros // Never if it was there at the end
	killed   string         // by what, or why; "" if it was not
	hits     []podHit
	escaped  bool // it answered unfaulted while a fault was on
}

// podStage is a stretch of a pod's life.
type podStage struct {
	phase string // starting, ready, unready, terminating
	from  history.Micros
}

// podHit is the instant from which a pod was under a fault, or was hit by it.
type podHit struct {
	fault int
	at    history.Micros
}

func (l podLife) born() history.Micros { return l.stages[0].from }

// eventful says that there is more to a life than coming and going.
func (l podLife) eventful() bool {
	return l.killed != "" || len(l.restarts) > 0 || l.escaped || len(l.hits) > 0
}

// podLives are the lives on record, by version and then by birth.
func podLives(rec record) []podLife {
	var lives []*podLife
	byName := map[string]*podLife{}
	for _, e := range history.All[history.PodSeen](rec.h.Events) {
		l := byName[e.Data.Pod]
		if l == nil {
			l = &podLife{pod: e.Data.Pod, version: knownVersion(e.Data.Version), gone: history.Never}
			byName[e.Data.Pod] = l
			lives = append(lives, l)
		}
		l.see(e)
	}
	for _, e := range history.All[history.FaultInjected](rec.h.Events) {
		if l := byName[e.Data.Pod]; l != nil {
			l.hit(rec, podHit{fault: e.Data.Fault, at: e.At})
		}
	}
	for _, f := range rec.r.Faults {
		for _, pod := range f.Escaped {
			if l := byName[pod]; l != nil {
				l.escaped = true
			}
		}
	}
	sorted := make([]podLife, len(lives))
	for i, l := range lives {
		sorted[i] = *l
	}
	slices.SortStableFunc(sorted, func(a, b podLife) int {
		return cmp.Or(cmp.Compare(slices.Index(versions, a.version), slices.Index(versions, b.version)), cmp.Compare(a.born(), b.born()), cmp.Compare(a.pod, b.pod))
	})
	return sorted
}

// knownVersion is v, or nobody's if a later version of the record names another.
func knownVersion(v history.Version) history.Version {
	if slices.Contains(versions, v) {
		return v
	}
	return history.Unattributed
}

// see takes in the next event of the life.
func (l *podLife) see(e history.Stamped[history.PodSeen]) {
	restarts := 0
	if n := len(l.restarts); n > 0 {
		restarts = l.restarts[n-1].Data.Restarts
	}
	if e.Data.Restarts > restarts {
		l.restarts = append(l.restarts, e)
	}
	if e.Data.Killed {
		l.killed = cmp.Or(e.Data.Reason, "by force")
	}
	if n := len(l.stages); n == 0 || l.stages[n-1].phase != e.Data.Phase {
		if e.Data.Phase != "gone" || n == 0 {
			l.stages = append(l.stages, podStage{phase: e.Data.Phase, from: e.At})
		}
	}
	if e.Data.Phase == "gone" && !l.gone.Happened() {
		l.gone = e.At
	}
}

// sameEnd is how far two watches, one of pods and one of faults, tell the same end
// apart.
const sameEnd = 2 * time.Second

// hit takes in a fault. One that happens at once has killed a pod whose end comes
// with it.
func (l *podLife) hit(rec record, h podHit) {
	l.hits = append(l.hits, h)
	oneShot := h.fault >= 0 && h.fault < len(rec.h.Plan.Faults) && rec.h.Plan.Faults[h.fault].OneShot
	if oneShot && l.gone.Happened() && l.gone.Sub(h.at).Abs() <= sameEnd {
		l.killed = faultName(rec, h.fault)
	}
}

// restarted is how often.
func (l podLife) restarted() int {
	if len(l.restarts) == 0 {
		return 0
	}
	return l.restarts[len(l.restarts)-1].Data.Restarts
}

// ending says in words how a life ended.
func (l podLife) ending() string {
	switch {
	case !l.gone.Happened():
		return "there at the end"
	case l.killed != "":
		return "killed: " + l.killed
	}
	return "terminated"
}

// phaseWord is what people read.
func phaseWord(phase string) string {
	if phase == "unready" {
		return "not ready"
	}
	return phase
}

// shortNames are the ends of the pods' names, as long as it takes to tell them apart.
func shortNames(lives []podLife) map[string]string {
	taken := map[string]int{}
	for _, l := range lives {
		taken[tail(l.pod)]++
	}
	names := map[string]string{}
	for _, l := range lives {
		names[l.pod] = tail(l.pod)
		if taken[tail(l.pod)] > 1 {
			names[l.pod] = l.pod
		}
	}
	return names
}

// tail is the part of a pod's name that its ReplicaSet made up.
func tail(pod string) string {
	if i := strings.LastIndexByte(pod, '-'); i >= 0 && i < len(pod)-1 {
		return pod[i+1:]
	}
	return pod
}

// maxPodsListed bounds the page; the record holds them all.
const maxPodsListed = 200

// podsTable tells the lives in words.
func podsTable(rec record) table {
	lives := podLives(rec)
	t := table{ID: "pods-table", Fold: true, Caption: "The pods, by version and birth",
		Head: head("Pod", "Version", "#First seen", "#First ready", "#Restarts", "#Gone", "End", "Faults")}
	if left := len(lives) - maxPodsListed; left > 0 {
		t.Caption += "; " + plural(left, "more pod") + " in events.ndjson"
	}
	for _, l := range lives[:min(len(lives), maxPodsListed)] {
		ready := history.Never
		for _, stage := range l.stages {
			if stage.phase == "ready" {
				ready = stage.from
				break
			}
		}
		t.Rows = append(t.Rows, []cell{code(l.pod), text(versionName(l.version)), number(clock(l.born())), number(clock(ready)),
			number(restartsWord(l)), number(clock(l.gone)), text(l.ending()), text(hitsWord(rec, l))})
	}
	return t
}

func restartsWord(l podLife) string {
	word := count(l.restarted())
	if n := len(l.restarts); n > 0 && l.restarts[n-1].Data.Reason != "" {
		word += " (" + l.restarts[n-1].Data.Reason + ")"
	}
	return word
}

func hitsWord(rec record, l podLife) string {
	var words []string
	for _, h := range l.hits {
		words = append(words, clock(h.at)+" "+faultName(rec, h.fault))
	}
	if l.escaped {
		words = append(words, "escaped")
	}
	return strings.Join(words, "; ")
}
