package reports

import (
	"time"

	"github.com/cutover-dev/cutover/history"
)

// labels are packed into rows of this height.
const labelRow = 16

func (s *story) shelf() *shelf { return &shelf{from: s.axis.x0, to: s.axis.x1} }

func (s *story) stepsLane() {
	top := s.y
	rows := s.shelf()
	for _, b := range s.steps() {
		x0, x1 := s.axis.x(b.from), s.axis.x(b.to)
		s.add(shape{Kind: "rect", X: x0, Y: top + 2, W: max(x1-x0-1, 1), H: 7, Fill: "muted", Opacity: 0.4, Note: b.name + " begins"})
		if b.live.Happened() {
			s.add(shape{Kind: "rect", X: s.axis.x(b.live), Y: top + 2, W: max(x1-s.axis.x(b.live)-1, 1), H: 7, Fill: "muted", Note: b.name + " is live"})
		}
		label := shorten(b.name, 28)
		row, x, anchor := rows.place(x0+2, label)
		s.text(x, top+24+px(row)*labelRow, anchor, "ink", label)
	}
	s.lane(12+labelRow*max(px(len(rows.ends)), 1), "Steps", "solid once live")
}

func (s *story) faultsLane() {
	faults := s.faults()
	if len(faults) == 0 {
		return
	}
	top := s.y
	rows := map[string]px{} // a storm keeps to its row
	for _, f := range faults {
		y, again := rows[f.name]
		if !again {
			y = top + px(len(rows))*20
			rows[f.name] = y
		}
		x0, x1 := s.axis.x(f.from), max(s.axis.x(f.to), s.axis.x(f.from)+3)
		s.rect(x0, y, x1-x0, 14, "paper")
		s.add(shape{Kind: "rect", X: x0, Y: y, W: x1 - x0, H: 14, Fill: "hatch", Stroke: "fault", Width: 1.5})
		if !again {
			s.faultLabel(x0, x1, y+11, shorten(f.name, 60))
		}
	}
	s.lane(max(px(len(rows))*20-4, 26), "Faults", "applied to ended")
}

// faultLabel stands right of its bar, or left of it, or inside: wherever there is room.
func (s *story) faultLabel(x0, x1, y px, label string) {
	switch width := textWidth(label); {
	case x1+6+width < s.axis.x1:
		s.text(x1+6, y, "start", "ink", label)
	case x0-6-width > s.axis.x0:
		s.text(x0-6, y, "end", "ink", label)
	default:
		s.rect(x0+6, y-11, width+8, 14, "paper")
		s.text(x0+10, y, "start", "ink", label)
	}
}

// stack paints one layer of a stacked chart: steps between two boundaries.
func (s *story) stack(lower, upper []px, fill string) {
	p := newPath()
	x := func(i int) px { return s.axis.x(s.flow.from.After(time.Duration(i) * s.flow.width)) }
	for i := 0; i < len(upper); i++ {
		if upper[i] == lower[i] {
			continue
		}
		begin := i
		p.move(x(i), lower[i])
		for ; i < len(upper) && upper[i] != lower[i]; i++ {
			p.down(upper[i]).across(x(i + 1))
		}
		for j := i - 1; j >= begin; j-- {
			p.down(lower[j]).across(x(j))
		}
		p.shut()
	}
	if p.Len() > 0 {
		s.add(shape{Kind: "path", D: p.String(), Fill: fill, Opacity: 0.85})
	}
}

// layers stacks several measures of each bin upon one another.
func (s *story) layers(y func(bin, int) px, fills ...string) {
	lower := make([]px, len(s.flow.bins))
	sums := make([]int, len(s.flow.bins))
	for i, b := range s.flow.bins {
		lower[i] = y(b, 0)
	}
	for _, fill := range fills {
		upper := make([]px, len(s.flow.bins))
		for i, b := range s.flow.bins {
			sums[i] += b.measure(fill)
			upper[i] = y(b, sums[i])
		}
		s.stack(lower, upper, fill)
		lower = upper
	}
}

// measure is the count of a bin that is painted in a hue.
func (b bin) measure(fill string) int {
	switch fill {
	case "good":
		return b.good
	case "slow":
		return b.slow
	case "bad":
		return b.failed
	case "candidate":
		return b.by[history.Candidate]
	case "baseline":
		return b.by[history.Baseline]
	}
	return b.by[history.Unattributed]
}

func (s *story) shareLane() {
	top, bottom := s.lane(64, "Traffic share", "who answered")
	axis := linear{top: 1, y0: bottom, y1: top}
	s.layers(func(b bin, n int) px {
		if b.n() == 0 {
			return bottom
		}
		return axis.y(float64(n) / float64(b.n()))
	}, "candidate", "baseline", "other")
	for _, v := range []float64{0, 0.5, 1} {
		s.text(s.axis.x0-6, axis.y(v)+4, "end", "muted", share(v))
	}
	s.line(s.axis.x0, bottom, s.axis.x1, bottom, "rule", 1, "")
	s.key(0, top, "baseline", "baseline")
	s.key(1, top, "candidate", "candidate")
	s.key(2, top, "other", "nobody known")
	s.askedShare(axis, top)
}

// askedShare is the candidate's weight that the router was told, over the share that it got.
func (s *story) askedShare(axis linear, top px) {
	p := newPath()
	for i, r := range history.All[history.Routed](s.rec.h.Events) {
		x, y := s.axis.x(r.At), axis.y(float64(r.Data.Weight)/100)
		if i == 0 {
			p.move(x, y)
		} else {
			p.across(x).down(y)
		}
	}
	if p.Len() == 0 {
		return
	}
	p.across(s.axis.x1)
	s.add(shape{Kind: "path", D: p.String(), Stroke: "ink", Width: 1.2, Dash: "4 3"})
	s.keyLine(3, top, "ink", 1.2, "4 3", "asked for")
}

func (s *story) requestsLane() {
	most := 0
	for _, b := range s.flow.bins {
		most = max(most, b.n())
	}
	top, bottom := s.lane(84, "Requests", "in each "+setting(history.Duration(s.flow.width)))
	axis := linear{top: ceiling(float64(most)), y0: bottom, y1: top}
	s.gridline(axis.y(axis.top), count(int(axis.top)))
	s.layers(func(_ bin, n int) px { return axis.y(float64(n)) }, "bad", "slow", "good")
	s.gridline(bottom, "0")
	s.key(0, top, "good", "good")
	s.key(1, top, "slow", "slow")
	s.key(2, top, "bad", "failed")
}
