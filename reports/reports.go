package reports

import (
	"encoding/json"
	"io"

	"github.com/cutover-dev/cutover/history"
	"github.com/cutover-dev/cutover/verdict"
)

// Reporter writes one report.
type Reporter func(io.Writer) error

// JSON writes run.json.
func JSON(r verdict.Run) Reporter { return indented(r) }

func indented(value any) Reporter {
	return func(w io.Writer) error {
		e := json.NewEncoder(w)
		e.SetEscapeHTML(false) // limits such as "<= 15s" are read by people, too
		e.SetIndent("", "  ")
		return e.Encode(value)
	}
}

// record is a finished run with its judgement: what every report is drawn from.
type record struct {
	h history.History
	r verdict.Run
}

// slo is the latency after which an answer is bad.
func (rec record) slo() history.Duration { return rec.h.Plan.SLO.Latency }

// instant is a time of run.json on the run's clock; Never for null.
func instant(ms *float64) history.Micros {
	if ms == nil {
		return history.Never
	}
	return micros(*ms)
}

// last is the latest instant that anything in the record happened at.
func (rec record) last() history.Micros {
	var last history.Micros
	for _, e := range rec.h.Events {
		last = max(last, e.At)
	}
	for _, q := range rec.h.Requests {
		last = max(last, q.Intended, q.Done)
	}
	return last
}
