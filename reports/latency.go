package reports

import (
	"fmt"
	"time"

	"github.com/cutover-dev/cutover/history"
)

// Pixels of the lane of latencies.
const (
	heatRow   = 5  // a row of latencies
	failedRow = 12 // a row of requests without one
	failedGap = 3  // under it
	heatGap   = 11 // from the last of them to the top of the scale: its label needs room
)

// latencyLane is a heat map of all requests, and over it the quantiles of each
// version. Requests without a latency have rows of their own above the slowest.
func (s *story) latencyLane() {
	m := s.heat
	without := []string{"failed"}
	if m.pending {
		without = []string{"pending", "failed"}
	}
	above := px(len(without))*(failedRow+failedGap) + heatGap
	height := above + px(m.decades*rowsPerDecade)*heatRow
	top, _ := s.lane(max(height, 12*heatKeyRow), "Latency", "log scale")
	bottom := top + height // the key may be higher
	axis := logarithmic{decades: m.decades, y0: bottom, row: heatRow}
	for _, d := range axis.labels() {
		s.gridline(axis.y(d), setting(history.Duration(d)))
	}
	s.heatCells(axis)
	for i, name := range without {
		s.failedCells(name, top+px(i)*(failedRow+failedGap))
	}
	s.sloLine(axis)
	s.latencyLines(axis)
	s.heatKey(top)
	s.heatTop, s.heatBottom = top, bottom
}

// shade is the hue of the i-th level: the last is always the strongest.
func (m heatmap) shade(level int) string {
	return fmt.Sprintf("heat%d", maxLevels-len(m.levels)+level+1)
}

// failedShade is how opaque the hue of failures is at that level.
func (m heatmap) failedShade(level int) px {
	return []px{0.5, 0.62, 0.74, 0.87, 1}[maxLevels-len(m.levels)+level]
}

// heatCells paints one path for each shade.
func (s *story) heatCells(axis logarithmic) {
	for level := range s.heat.levels {
		p := newPath()
		for row := range s.heat.decades * rowsPerDecade {
			s.cells(p, level, axis.y0-px(row+1)*heatRow, heatRow, func(c heatColumn) int { return c.rows[row] })
		}
		s.paintCells(p, shape{Fill: s.heat.shade(level)})
	}
}

// failedCells paints the row of requests that have no latency.
func (s *story) failedCells(name string, top px) {
	s.line(s.axis.x0, top+failedRow, s.axis.x1, top+failedRow, "rule", 1, "")
	s.text(s.axis.x0-6, top+failedRow-2, "end", "muted", name)
	for level := range s.heat.levels {
		p := newPath()
		s.cells(p, level, top, failedRow, func(c heatColumn) int {
			if name == "pending" {
				return c.pending
			}
			return c.failed
		})
		s.paintCells(p, shape{Fill: "bad", Opacity: s.heat.failedShade(level)})
	}
}

// cells adds the cells of a row that have a level; neighbours become one.
func (s *story) cells(p *path, level int, y, height px, of func(heatColumn) int) {
	columns := s.heat.columns
	for i := 0; i < len(columns); i++ {
		if s.heat.level(of(columns[i])) != level {
			continue
		}
		begin := i
		for i+1 < len(columns) && s.heat.level(of(columns[i+1])) == level {
			i++
		}
		x0, x1 := s.axis.x(columns[begin].from), s.axis.x(columns[i].from.After(s.heat.width))
		p.move(x0, y).across(x1).down(y + height).across(x0).shut()
	}
}

func (s *story) paintCells(p *path, look shape) {
	if p.Len() == 0 {
		return
	}
	look.Kind, look.D, look.Crisp = "path", p.String(), true
	s.add(look)
}

// sloLine is labelled at the left, where a run is still healthy.
func (s *story) sloLine(axis logarithmic) {
	slo := s.rec.slo()
	if slo <= 0 {
		return
	}
	y := axis.y(slo.D())
	s.line(s.axis.x0, y, s.axis.x1, y, "ink", 1.4, "9 4")
	label := y - 4
	if label-11 < axis.top() {
		label = y + 13
	}
	s.bold(s.axis.x0+6, label, "start", "ink", "SLO "+setting(slo))
}

// quantileLine is one line over the heat map: the version has the colour and the
// dashes, the quantile the weight.
type quantileLine struct {
	version history.Version
	name    string
	width   px
	dash    string
	of      func(spread) time.Duration
}

func p50(s spread) time.Duration { return s.p50 }
func p99(s spread) time.Duration { return s.p99 }

var quantileLines = []quantileLine{
	{history.Baseline, "baseline p99", 2.4, "", p99},
	{history.Baseline, "baseline p50", 1.3, "", p50},
	{history.Candidate, "candidate p99", 2.4, "7 3", p99},
	{history.Candidate, "candidate p50", 1.3, "3 2", p50},
}

// latencyLines paints the edges of all lines before any line, so that none hides
// another. The edges are of paper, and keep the lines apart from the shades.
func (s *story) latencyLines(axis logarithmic) {
	var lines []shape
	for _, line := range quantileLines {
		if d := s.latencyPath(axis, line); d != "" {
			s.add(shape{Kind: "path", D: d, Stroke: "paper", Width: line.width + 2.2})
			lines = append(lines, shape{Kind: "path", D: d, Stroke: string(line.version), Width: line.width, Dash: line.dash})
		}
	}
	s.Shapes = append(s.Shapes, lines...)
}

// latencyPath joins columns that are less than a second apart; a longer silence is
// a gap.
func (s *story) latencyPath(axis logarithmic, line quantileLine) string {
	p := newPath()
	last := history.Never
	for _, c := range s.heat.columns {
		l := c.latency[line.version]
		if l.n == 0 {
			continue
		}
		x, y := s.axis.x(c.from.After(s.heat.width/2)), axis.y(line.of(l))
		if last.Happened() && c.from.Sub(last) <= max(time.Second, 2*s.heat.width) {
			p.line(x, y)
		} else {
			p.move(x-2, y).across(x)
		}
		last = c.from
	}
	return p.String()
}

// heatKeyRow is how far the rows of the key are apart.
const heatKeyRow = 15

// heatKey explains the lines, and how many requests a shade stands for.
func (s *story) heatKey(top px) {
	y := top + 10
	for _, line := range quantileLines {
		s.line(keyLeft, y-4, keyLeft+15, y-4, string(line.version), line.width, line.dash)
		s.text(keyLeft+19, y, "start", "ink", line.name)
		y += heatKeyRow
	}
	y += 8
	s.text(keyLeft, y, "start", "muted", "requests in a cell")
	for i := len(s.heat.levels) - 1; i >= 0; i-- {
		y += heatKeyRow
		s.rect(keyLeft, y-9, 7, 10, s.heat.shade(i))
		s.add(shape{Kind: "rect", X: keyLeft + 8, Y: y - 9, W: 7, H: 10, Fill: "bad", Opacity: s.heat.failedShade(i)})
		s.text(keyLeft+19, y, "start", "ink", s.heat.counts(i))
	}
}

// counts names the counts that have a shade: "3–9".
func (m heatmap) counts(level int) string {
	least := m.levels[level]
	switch {
	case level == len(m.levels)-1 && m.most > least:
		return count(least) + "–" + count(m.most)
	case level == len(m.levels)-1 || m.levels[level+1] == least+1:
		return count(least)
	}
	return count(least) + "–" + count(m.levels[level+1]-1)
}
