package reports

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/cutover-dev/cutover/verdict"
)

// Closing is the end of a run's lines: what the judgement of its record adds to
// what [Lines] has told.
func Closing(r verdict.Run) Reporter {
	return func(w io.Writer) error {
		var text strings.Builder
		line := func(word, format string, facts ...any) {
			fmt.Fprintf(&text, "%-10s %s\n", word, fmt.Sprintf(format, facts...))
		}
		if m := r.MTTR; m != nil {
			line("recovered", "%s", recovery(r.Instants, *m))
		}
		for _, f := range r.Faults {
			if len(f.Escaped) > 0 {
				line("fault", "%s: escaped by %s", f.Name, strings.Join(f.Escaped, ", "))
			}
		}
		for _, c := range r.Checks {
			line("check", "%s: %s; wanted %s, got %s (%s)", c.Name, c.Status, c.Want, orDash(c.Got), c.Because)
		}
		for _, finding := range r.Findings {
			first, _, _ := strings.Cut(finding, "\n")
			line("finding", "%s", first)
		}
		line("verdict", "%s: %s", strings.ToUpper(string(r.Verdict)), r.Because)
		line("replay", "%s", r.Replay)
		_, err := io.WriteString(w, text.String())
		return err
	}
}

// recovery is the MTTR and its parts in one line.
func recovery(at verdict.Instants, m verdict.MTTR) string {
	var parts []string
	for _, part := range []struct {
		name string
		ms   *float64
	}{{"detect", m.Segments.DetectMs}, {"decide", m.Segments.DecideMs}, {"actuate", m.Segments.ActuateMs}, {"recover", m.Segments.RecoverMs}} {
		if part.ms != nil {
			parts = append(parts, fmt.Sprintf("%s %s", part.name, span(length(*part.ms))))
		}
	}
	when := "never"
	if at.RecoveredMs != nil {
		when = fmt.Sprintf("+%.1f s", *at.RecoveredMs/1000)
	}
	total := strings.TrimSpace(span(length(m.TotalMs)) + " " + reachOf(&m))
	text := fmt.Sprintf("%s MTTR %s = %s", when, total, strings.Join(parts, " + "))
	if m.Censored {
		text = fmt.Sprintf("%s MTTR at least %s: nothing reacted", when, span(length(m.TotalMs)))
	}
	if at.OnsetMs != nil {
		text += fmt.Sprintf(" (onset +%.1f s", *at.OnsetMs/1000)
		if m.LagMs != nil {
			text += fmt.Sprintf(", %s after the fault", span(time.Duration(*m.LagMs*float64(time.Millisecond))))
		}
		text += ")"
	}
	return text
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}
