package reports

import (
	"fmt"
	"time"

	"github.com/cutover-dev/cutover/history"
)

// The story's columns: lane names and tick labels, the plot, and the key.
const (
	storyWidth = 1200
	plotLeft   = 150
	plotRight  = 1076
	keyLeft    = plotRight + 12
	laneGap    = 16
)

// story draws the run as lanes over one time axis.
type story struct {
	figure
	rec  record
	flow timeline
	heat heatmap
	axis timeAxis
	y    px // where the next lane begins
	// where the lane of latencies is, for the pointer
	heatTop, heatBottom px
}

// newStory draws it. What runs across all lanes is painted first,
// so that no data lies under it; its height is known only once the lanes are.
func newStory(rec record) *story {
	s := &story{rec: rec, flow: newTimeline(rec), y: 8}
	flow := s.flow
	s.heat = newHeatmap(rec, flow.from, flow.to)
	s.axis = timeAxis{from: flow.from, to: flow.to, x0: plotLeft, x1: plotRight}
	for _, lane := range []func(){
		s.bracketLane, s.stepsLane, s.faultsLane, s.shareLane, s.requestsLane,
		s.latencyLane, s.gateLanes, s.podsLane, s.eventsLane, s.timeLane,
	} {
		lane()
	}
	lanes := s.Shapes
	s.Shapes = nil
	s.backdrop(s.y - 22)
	s.Shapes = append(s.Shapes, lanes...)
	s.ID, s.W, s.H = "story-figure", storyWidth, s.y
	s.Title = fmt.Sprintf("The run from %s to %s: steps, faults, traffic, latency, gate, pods and events over one time axis. The tables below hold the numbers.",
		clock(flow.from), clock(flow.to))
	return s
}

// backdrop paints steps, faults, stalls and the incident over the height of all lanes.
func (s *story) backdrop(bottom px) {
	top := px(48)
	s.rect(s.axis.x0, top, s.axis.x1-s.axis.x0, bottom-top, "paper")
	for i, b := range s.steps() {
		x0, x1 := s.axis.x(b.from), s.axis.x(b.to)
		if i%2 == 0 {
			s.rect(x0, top, x1-x0, bottom-top, "band")
		}
		s.line(x0, top, x0, bottom, "rule", 1, "")
	}
	for _, f := range s.faults() {
		s.hatch(f, top, bottom-top)
	}
	for _, stall := range history.All[history.Stall](s.rec.h.Events) {
		x0, x1 := s.axis.x(stall.Data.From), s.axis.x(stall.Data.To)
		s.add(shape{Kind: "rect", X: x0, Y: top, W: max(x1-x0, 1), H: bottom - top, Fill: "other", Opacity: 0.35, Note: "the load generator was late"})
	}
	i := s.rec.r.Instants
	for _, m := range []history.Micros{instant(i.OnsetMs), instant(i.RecoveredMs)} {
		if s.axis.has(m) {
			s.line(s.axis.x(m), 40, s.axis.x(m), bottom, "bad", 1, "3 3")
		}
	}
}

// hatch shades the time of a fault; a one-shot fault is a line.
func (s *story) hatch(f stretch, top, height px) {
	x0, x1 := s.axis.x(f.from), s.axis.x(f.to)
	if f.from == f.to {
		s.line(x0, top, x0, top+height, "fault", 2, "")
		return
	}
	s.add(shape{Kind: "rect", X: x0, Y: top, W: max(x1-x0, 1.5), H: height, Fill: "hatch", Opacity: 0.4})
}

// lane names a lane of the given height and moves on to the next.
func (s *story) lane(height px, title, subtitle string) (top, bottom px) {
	top, bottom = s.y, s.y+height
	s.bold(0, top+11, "start", "ink", title)
	s.text(0, top+26, "start", "muted", subtitle)
	s.y = bottom + laneGap
	return top, bottom
}

// gridline is a horizontal rule with its value.
func (s *story) gridline(y px, label string) {
	s.line(s.axis.x0, y, s.axis.x1, y, "rule", 1, "")
	s.text(s.axis.x0-6, y+4, "end", "muted", label)
}

// key explains a colour beside the lane it is used in.
func (s *story) key(row int, top px, fill, label string) {
	y := top + 4 + px(row)*17
	s.rect(keyLeft, y, 11, 11, fill)
	s.text(keyLeft+17, y+10, "start", "ink", label)
}

// keyLine does so for a line.
func (s *story) keyLine(row int, top px, stroke string, width px, dash, label string) {
	y := top + 10 + px(row)*17
	s.line(keyLeft, y, keyLeft+12, y, stroke, width, dash)
	s.text(keyLeft+17, y+4, "start", "ink", label)
}

func (s *story) timeLane() {
	y := s.y - laneGap + 4
	s.line(s.axis.x0, y, s.axis.x1, y, "muted", 1, "")
	s.text(0, y+18, "start", "muted", "Time since the run began")
	for _, m := range s.axis.ticks() {
		x := s.axis.x(m)
		s.line(x, y, x, y+5, "muted", 1, "")
		s.text(x, y+18, "middle", "muted", decimal(float64(m)/1e6, s.tickDigits())+" s")
	}
	s.y = y + 26
}

// tables hold the numbers of the lanes, and tell the script where those are.
func (s *story) tables() []table {
	traffic, heat := trafficTable(s.flow), heatTable(s.heat)
	traffic.Lane = &tableLane{Bins: s.inWidths(s.flow.width), Bottom: s.H}
	heat.Lane = &tableLane{Bins: s.inWidths(s.heat.width), Top: s.heatTop, Bottom: s.heatBottom}
	return []table{traffic, heat, podsTable(s.rec)}
}

// inWidths is how many stretches of a width the time axis has.
func (s *story) inWidths(width time.Duration) px {
	return px(s.axis.to-s.axis.from) / px(width.Microseconds())
}

func (s *story) tickDigits() int {
	if at := s.axis.ticks(); len(at) > 1 && (at[1]-at[0])%1e6 != 0 {
		return 1
	}
	return 0
}
