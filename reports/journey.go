package reports

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cutover-dev/cutover/history"
	"github.com/cutover-dev/cutover/verdict"
)

// The page's second question: where did the time of the incident go?

// segmentFigure is the MTTR as one bar, with the parts written into it or, where
// they are too narrow, under it.
func segmentFigure(rec record) figure {
	parts := segments(rec)
	f := figure{ID: "segments", W: storyWidth, Title: "The parts of the MTTR as one bar; the table below holds the numbers."}
	total := partsTotal(parts)
	if total == 0 {
		return f
	}
	const bar = 34
	x := px(0)
	under := shelf{from: 0, to: storyWidth}
	for _, part := range parts {
		w := storyWidth * px(part.length) / px(total)
		f.rect(x, 0, w, bar, part.name)
		label := part.name + " " + span(part.length) + ", " + ratio(part.length, total)
		if textWidth(label)+16 < w {
			f.bold(x+10, 22, "start", onSegment(part.name), label)
		} else {
			row, at, anchor := under.place(x, label)
			f.line(x+0.5, bar, x+0.5, bar+6, "muted", 1, "")
			f.text(at, bar+18+px(row)*labelRow, anchor, "ink", label)
		}
		x += w
	}
	f.H = bar + px(len(under.ends))*labelRow + 8
	return f
}

// onSegment is the hue of text that can be read on a segment.
func onSegment(name string) string {
	if name == "detect" || name == "decide" {
		return "paper"
	}
	return "ink"
}

func partsTotal(parts []segment) time.Duration {
	var total time.Duration
	for _, p := range parts {
		total += p.length
	}
	return total
}

// journeySentence names the largest part and the setting that governs it.
func journeySentence(rec record) string {
	switch {
	case rec.r.MTTR == nil && measured(rec):
		return "There was no user-visible incident, so there is no time to account for."
	case rec.r.MTTR == nil:
		return "What users saw was not measured, so there is no time to account for."
	}
	parts := segments(rec)
	total := partsTotal(parts)
	if rec.r.Instants.RecoveredMs == nil || total == 0 {
		return "Users had not recovered when the record ends, so the time cannot be cut into its parts."
	}
	largest := slices.MaxFunc(parts, func(a, b segment) int { return int(a.length - b.length) })
	return fmt.Sprintf("%s took %s: %s.%s", segmentNouns[largest.name], ratio(largest.length, total), governs(rec, largest.name), lagNote(rec))
}

// lagNote tells what the MTTR leaves out: users are not hurt the instant a fault is applied.
func lagNote(rec record) string {
	lag := rec.r.MTTR.LagMs
	switch {
	case lag == nil:
		return ""
	case *lag < 0:
		return " The onset came " + span(length(-*lag)) + " before the fault was applied."
	}
	return " The onset came " + span(length(*lag)) + " after the fault was applied; the MTTR leaves that out."
}

var segmentNouns = map[string]string{
	"detect": "Detection", "decide": "The decision", "actuate": "Actuation", "recover": "Recovery",
}

// governs says what in the scenario makes a part as long as it is.
func governs(rec record, part string) string {
	p := rec.h.Plan
	gate := fmt.Sprintf("gate.every %s × fails %d", setting(p.GateEvery), p.GateFails)
	switch {
	case part == "detect" && p.GateEvery > 0:
		return gate + ", and the requests that a reading needs (gate.min)"
	case part == "detect":
		return "there is no gate, so detection is the procedure's own"
	case part == "decide" && p.GateEvery > 0:
		return gate + ": a decision waits for that many failing readings in a row"
	case part == "decide":
		return "there is no gate, so the decision is the procedure's own"
	case part == "actuate":
		return "the way from the decision to the last answer by the version withdrawn (release.strategy " + p.Strategy + ", and connections that stay open on old pods)"
	}
	return governsRecovery(rec)
}

func governsRecovery(rec record) string {
	switch rec.r.MTTR.RecoveredBy {
	case "fault-end":
		return "nothing reacted, so it lasted as long as the fault" + faultFor(rec)
	case "self":
		return "the platform healed itself (probes, restarts and their back-off), not the release"
	}
	return "what was left after the traffic had moved: queues to drain, caches to warm, pods to become ready"
}

// faultFor is the setting that says how long the fault of the incident lasts.
func faultFor(rec record) string {
	for _, i := range rec.r.Incidents {
		var fault int
		if instant(i.OnsetMs) != instant(rec.r.Instants.OnsetMs) {
			continue
		}
		if _, err := fmt.Sscanf(i.Cause, "fault:%d", &fault); err == nil && fault >= 0 && fault < len(rec.h.Plan.Faults) {
			return fmt.Sprintf(" (faults[%d].for %s)", fault, setting(rec.h.Plan.Faults[fault].For))
		}
	}
	return ""
}

// journeyTable lists the instants with the event or request that each was read from.
func journeyTable(rec record) table {
	i := rec.r.Instants
	t := table{ID: "instants", Caption: "The instants of the incident", Head: head("Instant", "#At", "#Since onset", "#Part", "Read from")}
	ends := map[string]string{"detected": "detect", "decided": "decide", "actuated": "actuate", "recovered": "recover"}
	for _, row := range []struct {
		name string
		ms   *float64
	}{
		{"applied", i.AppliedMs}, {"proven", i.ProvenMs}, {"onset", i.OnsetMs}, {"detected", i.DetectedMs},
		{"decided", i.DecidedMs}, {"actuated", i.ActuatedMs}, {"recovered", i.RecoveredMs}, {"fault ended", i.FaultEndedMs},
	} {
		at, onset := instant(row.ms), instant(i.OnsetMs)
		since := none
		if at.Happened() && onset.Happened() {
			since = strings.TrimPrefix(clock(at-onset), "+")
		}
		t.Rows = append(t.Rows, []cell{text(row.name), number(clock(at)), number(since), number(partLength(rec, ends[row.name])), text(origin(rec, row.name, at))})
	}
	return t
}

func partLength(rec record, name string) string {
	for _, part := range segments(rec) {
		if part.name == name {
			return decimal(part.length.Seconds(), 3) + " s"
		}
	}
	return none
}

// origin is the evidence for an instant.
func origin(rec record, name string, at history.Micros) string {
	if !at.Happened() {
		return "did not happen, or was not measured"
	}
	switch name {
	case "applied", "proven", "fault ended":
		return faultOrigin(rec, at)
	case "onset":
		return onsetOrigin(rec, at)
	case "detected":
		return eventOrigin(rec, at, func(r history.Reading) string { return "gate " + r.Gate + ": " + r.Because })
	case "decided":
		return eventOrigin(rec, at, func(d history.Decision) string { return "decision to " + d.Action + ": " + d.Because })
	case "actuated":
		return actuatedOrigin(rec, at)
	}
	return "first arrival after which the SLO holds for " + setting(rec.h.Plan.Recover.Confirm) + " " + changePoint(rec.r.Instants.RecoveredMsCI)
}

// eventOrigin finds the event of type P at an instant.
func eventOrigin[P history.Payload](rec record, at history.Micros, say func(P) string) string {
	for _, e := range history.All[P](rec.h.Events) {
		if e.At == at {
			return say(e.Data)
		}
	}
	var p P
	return "event " + p.EventType()
}

func faultOrigin(rec record, at history.Micros) string {
	for _, e := range rec.h.Events {
		if e.At != at {
			continue
		}
		if p, ok := history.Decode[history.FaultApplied](e); ok {
			return "the API took " + faultName(rec, p.Fault)
		}
		if p, ok := history.Decode[history.FaultProven](e); ok {
			return faultName(rec, p.Fault) + ": " + p.Because
		}
		if p, ok := history.Decode[history.FaultEnded](e); ok {
			return faultName(rec, p.Fault) + " was off again, by " + p.By
		}
	}
	return "fault events"
}

func onsetOrigin(rec record, at history.Micros) string {
	for _, q := range rec.h.Requests {
		if q.Intended >= at && q.Bad(rec.slo().D()) {
			return fmt.Sprintf("request %s, %s: %s %s", count(q.Seq), shorten(q.Name, 60), answerOf(q), changePoint(rec.r.Instants.OnsetMsCI))
		}
	}
	return "first bad arrival " + changePoint(rec.r.Instants.OnsetMsCI)
}

// changePoint says how an instant was found, and how sure it is.
func changePoint(within *verdict.Bounds) string {
	if within == nil {
		return "(change point)"
	}
	return "(change point; at 95 % from " + clock(micros(within[0])) + " to " + clock(micros(within[1])) + ")"
}

func actuatedOrigin(rec record, at history.Micros) string {
	if at == instant(rec.r.Instants.DecidedMs) {
		return "the decision: no later arrival was answered by the version withdrawn"
	}
	for _, q := range rec.h.Requests {
		if q.Intended == at {
			return fmt.Sprintf("request %s, the last that the %s answered", count(q.Seq), versionName(q.Version))
		}
	}
	return "the last arrival answered by the version withdrawn"
}

// answerOf says in a few words what a request got.
func answerOf(q history.Request) string {
	by := ""
	if q.Version != history.Unattributed {
		by = " by the " + string(q.Version)
	}
	switch {
	case !q.Done.Happened():
		return "no answer when the record ends"
	case q.Err != "":
		return shorten(q.Err, 120)
	}
	return fmt.Sprintf("status %d%s after %s", q.Status, by, span(q.Latency()))
}
