package reports

import (
	"math"
	"slices"
	"time"

	"github.com/cutover-dev/cutover/history"
)

// heatmap is how long requests took, summed up in columns of time and rows of
// latency. Both count from the instant at which a request was meant to arrive.
type heatmap struct {
	width   time.Duration // of a column
	decades int           // of latency, above fastest
	columns []heatColumn
	most    int   // requests in one cell
	levels  []int // the least count of each shade, from the lightest
	pending bool  // some requests had no answer when the record ended
}

// heatColumn is one stretch of the heat map.
type heatColumn struct {
	from    history.Micros
	rows    []int // right answers, from the fastest row to the slowest
	failed  int   // no answer or a wrong one: its latency means nothing
	pending int   // no answer yet when the record ended
	latency map[history.Version]spread
}

// maxColumns keeps a column wider than the lines drawn over it.
const maxColumns = 320

func newHeatmap(rec record, from, to history.Micros) heatmap {
	m := heatmap{width: binWidth(to.Sub(from), maxColumns), decades: heatDecades(rec)}
	for at := from; at < to; at = at.After(m.width) {
		m.columns = append(m.columns, heatColumn{from: at, rows: make([]int, m.decades*rowsPerDecade), latency: map[history.Version]spread{}})
	}
	latencies := make([]map[history.Version][]time.Duration, len(m.columns))
	for _, q := range rec.h.Requests {
		i := int(q.Intended.Sub(from) / m.width)
		if q.Intended < from || i >= len(m.columns) {
			continue
		}
		m.columns[i].count(q, m.decades)
		if answered(q) {
			if latencies[i] == nil {
				latencies[i] = map[history.Version][]time.Duration{}
			}
			latencies[i][q.Version] = append(latencies[i][q.Version], q.Latency())
		}
	}
	for i, c := range m.columns {
		for v, l := range latencies[i] {
			c.latency[v] = spreadOf(l)
		}
		m.pending = m.pending || c.pending > 0
		m.most = max(m.most, c.failed, c.pending, slices.Max(c.rows))
	}
	m.levels = heatLevels(m.most)
	return m
}

// heatDecades makes room for the slowest answer, and for what lies well over the SLO.
func heatDecades(rec record) int {
	most := max(time.Second, 2*rec.slo().D())
	for _, q := range rec.h.Requests {
		if answered(q) {
			most = max(most, q.Latency())
		}
	}
	return decadesUpTo(most)
}

func (c *heatColumn) count(q history.Request, decades int) {
	switch {
	case answered(q):
		c.rows[rowOf(q.Latency(), decades)]++
	case q.Done.Happened():
		c.failed++
	default:
		c.pending++
	}
}

// decade is how many right answers took a latency of the i-th decade.
func (c heatColumn) decade(i int) int {
	n := 0
	for _, k := range c.rows[i*rowsPerDecade : (i+1)*rowsPerDecade] {
		n += k
	}
	return n
}

// maxLevels is how many shades can be told apart.
const maxLevels = 5

// heatLevels cuts the counts up to most into shades, by equal ratios: a cell with
// a single request must not vanish beside one with a thousand.
func heatLevels(most int) []int {
	levels := []int{1}
	for i := 1; i < maxLevels; i++ {
		least := int(math.Round(math.Pow(float64(most+1), float64(i)/maxLevels)))
		if least > levels[len(levels)-1] && least <= most {
			levels = append(levels, least)
		}
	}
	return levels
}

// level is the shade of a count, from 0; -1 of none.
func (m heatmap) level(n int) int {
	for i := len(m.levels) - 1; i >= 0; i-- {
		if n >= m.levels[i] {
			return i
		}
	}
	return -1
}

// heatTable holds the numbers of the lane of latencies, one row for each column.
func heatTable(m heatmap) table {
	names := []string{"#From", "#Failed"}
	if m.pending {
		names = append(names, "#Pending")
	}
	names = append(names, "#under "+setting(history.Duration(fastest*10)))
	for low, i := fastest*10, 1; i < m.decades; low, i = low*10, i+1 {
		names = append(names, "#from "+setting(history.Duration(low)))
	}
	names = append(names, "#Baseline p50", "#Baseline p99", "#Candidate p50", "#Candidate p99")
	out := table{ID: "heat-table", Numbers: true, Fold: true, Head: head(names...),
		Caption: "Latency in numbers: right answers by how long they took, in each " + setting(history.Duration(m.width)) + " of intended arrival"}
	for _, c := range m.columns {
		row := []cell{text(clock(c.from)), text(count(c.failed))}
		if m.pending {
			row = append(row, text(count(c.pending)))
		}
		for i := range m.decades {
			row = append(row, text(count(c.decade(i))))
		}
		for _, v := range versions[:2] {
			row = append(row, latencyCell(c.latency[v], c.latency[v].p50), latencyCell(c.latency[v], c.latency[v].p99))
		}
		out.Rows = append(out.Rows, row)
	}
	return out
}

func latencyCell(s spread, d time.Duration) cell {
	if s.n == 0 {
		return number("")
	}
	return number(span(d))
}
