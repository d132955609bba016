package verdict

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/cutover-dev/cutover/history"
)

// sentence is the verdict in one sentence: the reason, unless it is a pass, and then
// what the release did to its users and what it left behind.
func sentence(e *Evidence, run Run, reason string) string {
	var parts []string
	if reason != "" { // always, unless it is a pass
		parts = append(parts, strings.TrimSuffix(reason, "."))
	}
	if run.Verdict != Skipped && e.period.released {
		parts = append(parts, fate(e), tally(run.Requests), leftovers(run.Residue))
		if run.Step != "" {
			parts = append(parts, "it went wrong at "+run.Step)
		}
	}
	text := strings.Join(parts, "; ")
	first, size := utf8.DecodeRuneInString(text)
	return string(unicode.ToUpper(first)) + text[size:] + "."
}

// fate is what became of the release and of the incident, if there was one.
func fate(e *Evidence) string {
	what := map[Outcome]string{Promoted: "promoted", RolledBack: "rolled back", Stuck: "stuck half-way", Failed: "failed"}
	outcome := "outcome unknown"
	if e.outcome != nil {
		outcome = what[*e.outcome]
	}
	if e.mttr == nil {
		return outcome + " without a user-visible incident"
	}
	took := seconds(duration(e.about.length()))
	if target := e.Plan.Expect.MTTR; target != nil {
		took += " (allowed " + seconds(target.D()) + ")"
	}
	switch e.mttr.RecoveredBy {
	case byRollback:
		if e.outcome != nil && *e.outcome == RolledBack {
			return outcome + " in " + took
		}
		return outcome + ", recovered by a rollback in " + took
	case byPromotion:
		return outcome + ", which ended an incident of " + took
	case bySelf:
		return outcome + ", recovered by itself in " + took
	case byFaultEnd:
		return outcome + ", recovered only with the end of the fault, after " + took
	}
	return outcome + ", not recovered after " + took
}

func tally(r Requests) string {
	all := r.Good + r.Bad
	if r.Bad == 0 {
		return fmt.Sprintf("none of %s requests was bad", count(all))
	}
	return fmt.Sprintf("%s of %s requests were bad, %s", count(r.Bad), count(all), percent(float64(r.Bad)/float64(all)))
}

func leftovers(residue []string) string {
	switch {
	case residue == nil:
		return "nobody looked for what was left behind"
	case len(residue) == 0:
		return "nothing was left behind"
	}
	return fmt.Sprintf("%d left behind", len(residue))
}

// count is a number with thousands separators: "5,431".
func count(n int64) string {
	digits := strconv.FormatInt(n, 10)
	for i := len(digits) - 3; i > 0 && digits[i-1] != '-'; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// plural is a number of things: "1 relapse", "2 relapses".
func plural(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return count(n) + " " + noun + "s"
}

// percent is a share for people, with two significant digits below one per cent.
func percent(share float64) string {
	if p := share * 100; p < 1 {
		return strconv.FormatFloat(p, 'g', 2, 64) + " %"
	}
	return strconv.FormatFloat(share*100, 'f', 1, 64) + " %"
}

// floor is a share as a percentage that is never rounded up to a limit it misses.
func floor(share float64) string {
	const hair = 1e-9 // 0.29·100 is a hair below 29
	return strconv.FormatFloat(math.Floor(share*1e5+hair)/1e3, 'f', -1, 64) + "%"
}

// seconds is a duration as a sentence says it: "2.5 s", "340 ms".
func seconds(d time.Duration) string {
	if d < time.Second {
		return strconv.FormatInt(d.Milliseconds(), 10) + " ms"
	}
	return strconv.FormatFloat(math.Round(d.Seconds()*10)/10, 'f', -1, 64) + " s"
}

// short is a duration as a table says it: "6.2s", "340ms". It is rounded up, so that
// a value which misses its limit does not look as if it met it.
func short(d time.Duration) string {
	return (d + time.Millisecond - 1).Truncate(time.Millisecond).String()
}

// duration is a difference of two instants.
func duration(m history.Micros) time.Duration { return m.Sub(0) }

// atMost is an upper limit as a check wants it; "" if there is none.
func atMost(limit *history.Duration) string {
	if limit == nil {
		return ""
	}
	return "<= " + limit.String()
}
