package reports

import (
	"math"
	"strconv"
	"strings"
)

// figure is a drawing: SVG shapes in the order in which they are painted.
type figure struct {
	ID     string
	W, H   px
	Title  string // what it shows, for those who cannot see it
	Shapes []shape
}

// shape is one SVG element. Fill and Stroke name hues.
type shape struct {
	Kind         string // rect, path, text
	X, Y, W, H   px
	D            string // of a path
	Text         string
	Anchor       string // of a text: start, middle, end
	Bold         bool
	Fill, Stroke string
	Width        px // of the stroke
	Dash         string
	Opacity      px     // 0 means opaque
	Crisp        bool   // edges fall on whole pixels, so that neighbours leave no seam
	Note         string // shown by browsers when pointed at
}

// px is a coordinate, written with one decimal at most: more costs bytes, not sharpness.
type px float64

// String is p as SVG reads it.
func (p px) String() string {
	text := strconv.FormatFloat(math.Round(float64(p)*100)/100, 'f', -1, 64)
	if text == "-0" {
		return "0"
	}
	return text
}

func (f *figure) add(s shape) { f.Shapes = append(f.Shapes, s) }

func (f *figure) rect(x, y, w, h px, fill string) {
	f.add(shape{Kind: "rect", X: x, Y: y, W: max(w, 0), H: max(h, 0), Fill: fill})
}

func (f *figure) line(x1, y1, x2, y2 px, stroke string, width px, dash string) {
	d := newPath().move(x1, y1).line(x2, y2).String()
	f.add(shape{Kind: "path", D: d, Stroke: stroke, Width: width, Dash: dash})
}

func (f *figure) text(x, y px, anchor, fill, s string) {
	f.add(shape{Kind: "text", X: x, Y: y, Anchor: anchor, Fill: fill, Text: s})
}

func (f *figure) bold(x, y px, anchor, fill, s string) {
	f.add(shape{Kind: "text", X: x, Y: y, Anchor: anchor, Fill: fill, Text: s, Bold: true})
}

// path builds the data of an SVG path.
type path struct{ strings.Builder }

func newPath() *path { return &path{} }

func (p *path) move(x, y px) *path { return p.op("M", x, y) }
func (p *path) line(x, y px) *path { return p.op("L", x, y) }
func (p *path) across(x px) *path  { return p.op("H", x) }
func (p *path) down(y px) *path    { return p.op("V", y) }
func (p *path) shut() *path        { return p.op("Z") }

func (p *path) op(letter string, at ...px) *path {
	p.WriteString(letter)
	for i, v := range at {
		if i > 0 {
			p.WriteByte(' ')
		}
		p.WriteString((px(math.Round(float64(v)*10) / 10)).String())
	}
	return p
}

// The three marks of gate readings differ in shape, not in colour alone.

func disc(x, y, r px) string {
	a := func(to px) string { return "a" + r.String() + " " + r.String() + " 0 1 0 " + to.String() + " 0" }
	return newPath().move(x-r, y).String() + a(2*r) + a(-2*r) + "Z"
}

func diamond(x, y, r px) string {
	return newPath().move(x, y-r).line(x+r, y).line(x, y+r).line(x-r, y).shut().String()
}

func square(x, y, r px) string {
	return newPath().move(x-r, y-r).across(x + r).down(y + r).across(x - r).shut().String()
}

func pennant(x, y, r px) string {
	return newPath().move(x-r, y-r).line(x+r, y-r).line(x, y+r).shut().String()
}

// cross marks an end by force.
func cross(x, y, r px) string {
	return newPath().move(x-r, y-r).line(x+r, y+r).move(x-r, y+r).line(x+r, y-r).String()
}

// roundArrow is three quarters of a circle that end in an arrowhead.
func roundArrow(x, y, r px) string {
	const barb = 2.6
	arc := "a" + r.String() + " " + r.String() + " 0 1 1 " + (-r).String() + " " + r.String()
	return newPath().move(x, y-r).String() + arc + newPath().move(x-r-barb, y+1.4).line(x-r, y-1.6).line(x-r+barb, y+1.4).String()
}

// textWidth estimates how wide a label is; nobody can measure one without a browser.
func textWidth(s string) px { return px(len([]rune(s))) * 6.3 }

// shelf packs labels into rows so that none covers another.
type shelf struct {
	from, to px   // where labels may stand
	ends     []px // right end of the last label of each row
}

// place finds room for a label at x: its row, where it starts or ends, and its anchor.
func (s *shelf) place(x px, label string) (row int, at px, anchor string) {
	width := textWidth(label)
	left, at, anchor := x, x, "start"
	if x+width > s.to {
		left, anchor = x-width, "end"
	}
	if left < s.from {
		left, at, anchor = s.from, s.from, "start"
	}
	for row = range s.ends {
		if s.ends[row] <= left {
			s.ends[row] = left + width + 10
			return row, at, anchor
		}
	}
	s.ends = append(s.ends, left+width+10)
	return len(s.ends) - 1, at, anchor
}
