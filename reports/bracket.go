package reports

import (
	"strings"
	"time"

	"github.com/cutover-dev/cutover/history"
)

// segment is one part of the MTTR.
type segment struct {
	name   string // detect, decide, actuate, recover: also its hue
	from   history.Micros
	to     history.Micros
	length time.Duration
}

// segments lays the parts that were measured end to end from the onset.
func segments(rec record) []segment {
	m := rec.r.MTTR
	if m == nil {
		return nil
	}
	var found []segment
	at := instant(rec.r.Instants.OnsetMs)
	for _, s := range []struct {
		name string
		ms   *float64
	}{
		{"detect", m.Segments.DetectMs}, {"decide", m.Segments.DecideMs},
		{"actuate", m.Segments.ActuateMs}, {"recover", m.Segments.RecoverMs},
	} {
		if s.ms == nil {
			continue
		}
		part := segment{name: s.name, from: at, length: length(*s.ms)}
		if at.Happened() {
			at = at.After(part.length)
			part.to = at
		}
		found = append(found, part)
	}
	return found
}

// bracketLane is the MTTR over the story, cut into its segments, and the other
// incidents beside it.
func (s *story) bracketLane() {
	const top, bar = 22, 12
	s.bold(0, top+10, "start", "ink", "Incident")
	s.y = top + bar + laneGap
	if len(s.rec.r.Incidents) == 0 && s.rec.r.MTTR == nil {
		label := "no user-visible incident"
		if !measured(s.rec) {
			label = "not measured"
		}
		s.text(s.axis.x0, top+10, "start", "muted", label)
		return
	}
	for _, i := range s.rec.r.Incidents {
		s.incident(i.OnsetMs, i.RecoveredMs, top, bar)
	}
	if s.rec.r.MTTR == nil {
		return
	}
	onset := s.rec.r.Instants.OnsetMs
	s.incident(onset, s.rec.r.Instants.RecoveredMs, top, bar)
	for _, part := range segments(s.rec) {
		if part.from.Happened() {
			x0, x1 := s.axis.x(part.from), s.axis.x(part.to)
			s.add(shape{Kind: "rect", X: x0, Y: top, W: x1 - x0, H: bar, Fill: part.name, Note: part.name + " " + span(part.length)})
		}
	}
	s.bracketLabel(onset, top-6)
}

// incident is a stretch of bad answers; one that never ended runs off the plot.
func (s *story) incident(onsetMs, recoveredMs *float64, top, height px) {
	onset, end := instant(onsetMs), instant(recoveredMs)
	if !onset.Happened() {
		return
	}
	if !end.Happened() {
		end = s.flow.to
	}
	x0, x1 := s.axis.x(onset), s.axis.x(end)
	s.add(shape{Kind: "rect", X: x0, Y: top, W: max(x1-x0, 2), H: height, Fill: "slow", Stroke: "bad", Width: 1})
}

// bracketLabel is centred on the bracket, as far as the plot lets it.
func (s *story) bracketLabel(onsetMs *float64, y px) {
	onset, recovered := instant(onsetMs), instant(s.rec.r.Instants.RecoveredMs)
	if !onset.Happened() {
		return
	}
	if !recovered.Happened() {
		recovered = s.flow.to
	}
	label := mttrEquation(s.rec)
	half := textWidth(label)/2 + 4
	x := (s.axis.x(onset) + s.axis.x(recovered)) / 2
	x = max(min(x, storyWidth-half), s.axis.x0+half)
	s.bold(x, y, "middle", "ink", label)
}

// mttrEquation writes the total as the sum of its parts.
func mttrEquation(rec record) string {
	m := rec.r.MTTR
	total := "MTTR " + span(length(m.TotalMs))
	switch {
	case rec.r.Instants.RecoveredMs == nil:
		return "not recovered after " + span(length(m.TotalMs))
	case m.Censored:
		return "users suffered for " + span(length(m.TotalMs)) + ": nothing reacted before the fault ended"
	}
	var parts []string
	for _, s := range segments(rec) {
		parts = append(parts, s.name+" "+span(s.length))
	}
	if len(parts) < 2 {
		return total
	}
	return total + " = " + strings.Join(parts, " + ")
}
