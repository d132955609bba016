package reports

import (
	"github.com/cutover-dev/cutover/history"
)

// markStep is how far apart marks of one kind must be to be seen as two.
const markStep = 2

// gateLanes is one lane for each gate, and its decisions in the first.
func (s *story) gateLanes() {
	readings := history.All[history.Reading](s.rec.h.Events)
	if len(readings) == 0 {
		return
	}
	rows := map[string]px{}
	drawn := map[string]px{} // where the last mark of a gate's status is
	top := s.y
	for _, r := range readings {
		y, ok := rows[r.Data.Gate]
		if !ok {
			y = top + 10 + px(len(rows))*24
			rows[r.Data.Gate] = y
			s.text(s.axis.x0-6, y+4, "end", "muted", shorten(r.Data.Gate, 14))
		}
		x, kind := s.axis.x(r.At), r.Data.Gate+" "+r.Data.Status
		if last, again := drawn[kind]; s.axis.has(r.At) && (!again || x-last >= markStep) {
			s.reading(x, y, r)
			drawn[kind] = x
		}
	}
	s.lane(max(px(len(rows))*24, 52), "Gate", "each reading")
	for i, status := range []string{"pass", "fail", "no-data"} {
		y := top + 8 + px(i)*17
		s.readingMark(keyLeft+6, y, status, "")
		s.text(keyLeft+17, y+4, "start", "ink", readingWord(status))
	}
}

func (s *story) reading(x, y px, r history.Stamped[history.Reading]) {
	s.readingMark(x, y, r.Data.Status, clock(r.At)+" "+readingWord(r.Data.Status)+": "+r.Data.Because)
}

// readingMark tells pass, fail and no data apart by shape; the paper edge keeps
// close readings apart from one another.
func (s *story) readingMark(x, y px, status, note string) {
	mark := shape{Kind: "path", Stroke: "paper", Width: 1, Note: note}
	switch status {
	case "pass":
		mark.D, mark.Fill = disc(x, y, 4.5), "good"
	case "fail":
		mark.D, mark.Fill = diamond(x, y, 7), "bad"
	default:
		mark.D, mark.Fill, mark.Stroke, mark.Width = square(x, y, 4), "paper", "muted", 1.6
	}
	s.add(mark)
}

func readingWord(status string) string {
	if status == "no-data" {
		return "no data"
	}
	return status
}

// sign is something on the lane of events. One without a label is a tick.
type sign struct {
	at    history.Micros
	label string
	fill  string
	note  string
}

func (s *story) eventsLane() {
	top := s.y
	rows := s.shelf()
	for _, e := range signs(s.rec) {
		if !s.axis.has(e.at) {
			continue
		}
		x := s.axis.x(e.at)
		if e.label == "" {
			s.add(shape{Kind: "path", D: newPath().move(x, top).line(x, top+8).String(), Stroke: e.fill, Width: 1.5, Note: e.note})
			continue
		}
		s.add(shape{Kind: "path", D: pennant(x, top+4, 4), Fill: e.fill, Note: e.note})
		row, at, anchor := rows.place(x, e.label)
		s.text(at, top+22+px(row)*labelRow, anchor, "ink", e.label)
	}
	s.lane(12+labelRow*max(px(len(rows.ends)), 1), "Events", "")
}

// signs are the turning points of the run, in order of kind; Kubernetes warnings
// are ticks, since a failing pod repeats them.
func signs(rec record) []sign {
	var found []sign
	add := func(at history.Micros, label, fill, note string) {
		found = append(found, sign{at: at, label: label, fill: fill, note: note})
	}
	for _, e := range rec.h.Events {
		if p, ok := history.Decode[history.ClusterEvent](e); ok && p.Warning {
			add(e.At, "", "bad", p.Object+" "+p.Reason+": "+p.Message)
		}
		if label, fill := signOf(e); label != "" {
			add(e.At, label, fill, clock(e.At)+" "+label)
		}
	}
	i := rec.r.Instants
	add(instant(i.ActuatedMs), "traffic moved", "ink", "the last answer by the version withdrawn")
	add(instant(i.RecoveredMs), "recovered", "good", "from here the SLO holds")
	add(instant(i.EndMs), "confirmed", "good", "the end of confirmation")
	return found
}

func signOf(e history.Event) (label, fill string) {
	switch e.Type {
	case history.ReleaseBegan{}.EventType():
		return "release begins", "ink"
	case history.ReleaseEnded{}.EventType():
		return "release ends", "ink"
	case history.Broken{}.EventType():
		return "harness broke", "bad"
	}
	if p, ok := history.Decode[history.FaultProven](e); ok {
		if p.Proven {
			return "fault proven", "fault"
		}
		return "fault not proven", "fault"
	}
	if p, ok := history.Decode[history.Decision](e); ok && p.Action == "rollback" {
		return "roll back", "bad"
	}
	return "", ""
}
