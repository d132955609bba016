package reports

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/cutover-dev/cutover/history"
)

// Lines tells a run as it goes on: a word, the instant, a fact. Every line is true
// when it is printed and can be searched for by its first word. The function that
// it returns may be called from any goroutine.
func Lines(w io.Writer) func(history.Event) {
	l := &lines{w: w}
	return l.event
}

type lines struct {
	mu      sync.Mutex
	w       io.Writer
	plan    history.Plan
	unclean bool // an undo failed, or the harness broke
}

func (l *lines) event(e history.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	word, fact := l.tell(e)
	// The rest of a long reason is in the report.
	fact, _, _ = strings.Cut(fact, "\n")
	if word != "" {
		// A terminal that is gone must not end the run.
		_, _ = fmt.Fprintf(l.w, "%-10s +%.1f s %s\n", word, float64(e.At)/1e6, fact)
	}
}

// tell is the line of an event; the word is empty for one that has none.
func (l *lines) tell(e history.Event) (word, fact string) {
	if p, ok := history.Decode[history.Plan](e); ok {
		l.plan = p
		return "scenario", fmt.Sprintf("%s: %s (run %s, seed %d)", p.Scenario, p.Why, p.RunID, p.Seed)
	}
	for _, tell := range []func(history.Event) (string, string){l.setup, l.release, l.fault, l.ending} {
		if word, fact := tell(e); word != "" {
			return word, fact
		}
	}
	return "", ""
}

func (l *lines) setup(e history.Event) (string, string) {
	if p, ok := history.Decode[history.Skipped](e); ok {
		return "skipped", p.Because
	}
	if p, ok := history.Decode[history.Dependency](e); ok {
		return "dependency", fmt.Sprintf("%s ready at %s in %.1f s (%s)", p.Name, p.Address, p.TookMs/1000, p.Image)
	}
	if p, ok := history.Decode[history.SteadyState](e); ok {
		if p.Rejected {
			return "baseline", "steady state NOT proven: " + p.Because
		}
		return "baseline", "steady state proven: " + p.Because
	}
	if p, ok := history.Decode[history.Drill](e); ok {
		if !p.OK {
			return "drill", "FAILED: " + p.Because
		}
		return "drill", fmt.Sprintf("%s undone on a pod of our own in %.1f s", p.Kind, p.UndoMs/1000)
	}
	return "", ""
}

func (l *lines) release(e history.Event) (string, string) {
	if p, ok := history.Decode[history.StepLive](e); ok {
		if p.Weight < 0 {
			return "step", strings.TrimSpace(p.Name+" "+p.Title) + " done"
		}
		if p.Mirror > 0 {
			return "step", fmt.Sprintf("%s live: %d %% of the requests copied to the candidate", p.Name, p.Mirror)
		}
		return "step", fmt.Sprintf("%s live: %d %% on the candidate", p.Name, p.Weight)
	}
	if p, ok := history.Decode[history.Mirrored](e); ok {
		return "mirror", fmt.Sprintf("%d copied requests were answered, %d of them with 5xx", p.Answered, p.Failed)
	}
	if p, ok := history.Decode[history.StepEnded](e); ok && p.Err != "" {
		return "step", fmt.Sprintf("%s FAILED: %s", p.Name, p.Err)
	}
	if p, ok := history.Decode[history.Superseded](e); ok {
		if p.Err != "" {
			return "step", "a third version did NOT arrive: " + p.Err
		}
		return "step", fmt.Sprintf("a third version has arrived at %s", p.Step)
	}
	if p, ok := history.Decode[history.Reading](e); ok && p.Status != "pass" {
		return "gate", fmt.Sprintf("%s: %s (%d of %d)", p.Status, p.Because, p.Streak, l.plan.GateFails)
	}
	if p, ok := history.Decode[history.ApprovalAsked](e); ok {
		return "approval", fmt.Sprintf("%s waits up to %s for a person: %s [--reject] [--because TEXT]", strings.TrimSuffix(p.Step+", "+p.Ask, ", "), p.Timeout, p.How)
	}
	if p, ok := history.Decode[history.Decision](e); ok && p.Action == "rollback" {
		return "rollback", "decided: " + p.Because
	}
	if p, ok := history.Decode[history.ReleaseEnded](e); ok {
		if p.Err != "" {
			return "release", "ended with an error: " + p.Err
		}
		return "release", "ended; awaiting confirmation"
	}
	return "", ""
}

func (l *lines) fault(e history.Event) (string, string) {
	if p, ok := history.Decode[history.FaultApplied](e); ok {
		if p.Driver == "cutover" { // which does it at once, and says then what it saw
			return "", ""
		}
		line := l.faultName(p.Fault) + " taken by the API"
		if p.Driver != "" {
			line += ", for " + driverName(p.Driver)
		}
		return "fault", line
	}
	if p, ok := history.Decode[history.FaultProven](e); ok {
		state := "proven"
		if !p.Proven {
			state = "NOT proven"
		}
		if l.byCutover(p.Fault) {
			return "fault", fmt.Sprintf("%s: %s (%s)", l.faultName(p.Fault), state, p.Because)
		}
		return "fault", fmt.Sprintf("%s: %s on %d pods (%s)", l.faultName(p.Fault), state, len(p.Pods), p.Because)
	}
	if p, ok := history.Decode[history.FaultEnded](e); ok {
		return "fault", fmt.Sprintf("%s ended by %s", l.faultName(p.Fault), p.By)
	}
	return "", ""
}

// byCutover reports whether a fault is on no pods, but on the procedure or its requests.
func (l *lines) byCutover(index int) bool {
	return index >= 0 && index < len(l.plan.Faults) && l.plan.Faults[index].Driver == "cutover"
}

func (l *lines) faultName(index int) string {
	if index < 0 || index >= len(l.plan.Faults) {
		return fmt.Sprintf("fault %d", index)
	}
	f := l.plan.Faults[index]
	return f.Name + " on " + f.Target
}

func (l *lines) ending(e history.Event) (string, string) {
	if p, ok := history.Decode[history.LoadEnded](e); ok {
		late := time.Duration(p.ReleaseErrorP99Us) * time.Microsecond
		return "load", fmt.Sprintf("%d requests planned, %d sent; released %v late at p99", p.Planned, p.Sent, late)
	}
	if p, ok := history.Decode[history.Undone](e); ok && p.Err != "" {
		l.unclean = true
		return "clean", fmt.Sprintf("undo of %s FAILED: %s", p.Action, p.Err)
	}
	if p, ok := history.Decode[history.Residue](e); ok {
		if len(p.Items) > 0 {
			return "clean", "LEFT BEHIND: " + strings.Join(p.Items, ", ")
		}
		if l.unclean {
			return "clean", "not confirmed: see above; `cutover clean` tries again"
		}
		return "clean", "every undo confirmed, 0 leftovers"
	}
	if p, ok := history.Decode[history.Broken](e); ok {
		return "broken", p.Because
	}
	return "", ""
}
