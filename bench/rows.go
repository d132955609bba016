package bench

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Row is one target and what was measured for it.
type Row struct {
	Target string   `json:"target"` // what is measured, in full
	Want   Want     `json:"want"`
	Ours   *float64 `json:"ours"`  // median, in the unit of Want; null if not measured
	Peer   *float64 `json:"peer"`  // median, in the same unit; null without a peer
	Ratio  *float64 `json:"ratio"` // peer over ours: how many times less ours is
	Met    *bool    `json:"met"`   // null if it could not be measured
	// Because says what is missing, and why, or what the figures leave out. It is
	// empty if nothing is.
	Because string  `json:"because,omitempty"`
	Samples Samples `json:"-"` // they stand in the report's head
}

// Samples are the raw figures that the medians of a row are of, in its unit and in
// order of measurement.
type Samples struct {
	Ours []float64 `json:"ours"`
	Peer []float64 `json:"peer"`
}

// Want is a target's limit.
type Want struct {
	limit  float64
	unit   string // of the figures
	factor bool   // the limit is of how ours and the peer's compare; otherwise of ours
	least  bool   // more of ours is better; otherwise less
}

// AtMost wants ours to be no more than a limit, in a unit such as s or GiB.
func AtMost(limit float64, unit string) Want { return Want{limit: limit, unit: unit} }

// AtLeast wants ours to be no less than a limit, in a unit such as Mbit/s.
func AtLeast(limit float64, unit string) Want { return Want{limit: limit, unit: unit, least: true} }

// Times wants ours to be that many times less than the peer's. The unit is the one
// of the figures.
func Times(factor float64, unit string) Want { return Want{limit: factor, unit: unit, factor: true} }

// TimesMore wants ours to be at least that many times the peer's, in a unit such as
// requests/s. The row's ratio is still the peer over ours.
func TimesMore(factor float64, unit string) Want {
	return Want{limit: factor, unit: unit, factor: true, least: true}
}

// String is the limit for people.
func (w Want) String() string {
	if w.factor && w.least {
		return fmt.Sprintf("≥ %g × the peer (%s)", w.limit, w.unit)
	}
	if w.factor {
		return fmt.Sprintf("≥ %g × less than the peer (%s)", w.limit, w.unit)
	}
	if w.least {
		return fmt.Sprintf("≥ %g %s", w.limit, w.unit)
	}
	return fmt.Sprintf("≤ %g %s", w.limit, w.unit)
}

// MarshalText implements encoding.TextMarshaler.
func (w Want) MarshalText() ([]byte, error) { return []byte(w.String()), nil }

// Judge makes the row of a target. missing says why there are no samples of ours or
// of the peer; it is dropped where there are both.
func Judge(target string, want Want, samples Samples, missing string) Row {
	row := Row{Target: target, Want: want, Samples: samples, Ours: median(samples.Ours), Peer: median(samples.Peer)}
	if row.Ours == nil || row.Peer == nil {
		row.Because = missing
	}
	if row.Ours != nil && row.Peer != nil && *row.Ours > 0 {
		row.Ratio = new(*row.Peer / *row.Ours)
	}
	switch {
	case want.factor && want.least && row.Ours != nil && row.Peer != nil:
		row.Met = new(*row.Ours > 0 && *row.Ours >= want.limit**row.Peer)
	case want.factor && row.Ratio != nil:
		row.Met = new(*row.Ratio >= want.limit)
	case !want.factor && want.least && row.Ours != nil:
		row.Met = new(*row.Ours >= want.limit)
	case !want.factor && row.Ours != nil:
		row.Met = new(*row.Ours <= want.limit)
	}
	return row
}

// median of an even number of figures is the mean of the two in the middle; nil of
// none.
func median(figures []float64) *float64 {
	if len(figures) == 0 {
		return nil
	}
	sorted := slices.Sorted(slices.Values(figures))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return &sorted[middle]
	}
	return new((sorted[middle-1] + sorted[middle]) / 2)
}

// Report is what a benchmark leaves.
type Report struct {
	Head Head  `json:"head"`
	Rows []Row `json:"rows"`
	// Phases says where the time of a start goes, for benchmarks of starts.
	Phases []Phase `json:"phases,omitempty"`
}

// Write writes the report as JSON, and the folder that it is to be in.
func (r Report) Write(path string) error {
	r.Head.Samples = map[string]Samples{}
	for _, row := range r.Rows {
		r.Head.Samples[row.Target] = row.Samples
	}
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, append(data, '\n'), 0o644)
}

// Because joins what there is to be said of a row; what is empty is left out.
func Because(parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), "; ")
}
