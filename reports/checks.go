package reports

import (
	"fmt"
	"strings"

	"github.com/cutover-dev/cutover/history"
	"github.com/cutover-dev/cutover/verdict"
)

// statusOf maps what nobody judged to unjudged.
func statusOf(f verdict.Finding) string {
	if f.Status == "pass" || f.Status == "fail" {
		return f.Status
	}
	return "unjudged"
}

func checksSection(rec record) section {
	s := section{ID: "checks", Title: "Checks", Notes: rec.r.Findings}
	t := table{ID: "checks-table", Caption: "What the scenario expects, and what was seen", Head: head("Check", "Status", "Wanted", "Got", "Because")}
	for _, f := range rec.r.Checks {
		status := statusOf(f)
		t.Rows = append(t.Rows, []cell{text(f.Name), {Text: status, Mark: status}, text(f.Want), text(f.Got), text(f.Because)})
	}
	s.Tables = []table{t}
	if len(rec.r.Incidents) > 1 {
		s.Tables = append(s.Tables, incidentsTable(rec))
	}
	return s
}

// incidentsTable is worth its place only with several incidents; one is the story itself.
func incidentsTable(rec record) table {
	t := table{ID: "incidents", Caption: "Incidents", Head: head("Cause", "#Onset", "#Recovered", "#Lasted", "#Bad requests")}
	for _, i := range rec.r.Incidents {
		lasted := none
		if i.OnsetMs != nil && i.RecoveredMs != nil {
			lasted = span(length(*i.RecoveredMs - *i.OnsetMs))
		}
		t.Rows = append(t.Rows, []cell{text(i.Cause), number(clock(instant(i.OnsetMs))), number(clock(instant(i.RecoveredMs))), number(lasted), number(count(i.Bad))})
	}
	return t.fold()
}

func faultsSection(rec record) section {
	t := table{ID: "faults-table", Caption: "What was asked for, and what was measured at the target",
		Head: head("Fault", "Asked", "By", "#Applied", "#Ended", "Proven", "#Effect", "Pods hit", "Escaped", "Because")}
	for i, f := range rec.r.Faults {
		t.Rows = append(t.Rows, []cell{text(faultName(rec, i)), text(askedOf(rec, i)), text(driverName(f.Driver)),
			number(clock(instant(f.InjectedMs))), number(clock(instant(f.HealedMs))),
			proven(f), number(effect(f.EffectMs)), code(strings.Join(f.Pods, ", ")), escaped(f.Escaped), text(f.Because)})
	}
	s := section{ID: "faults", Title: "Faults", Tables: []table{t.fold()}}
	if len(rec.h.Plan.Faults) == 0 {
		s.Notes = []string{"The scenario asks for none."}
	}
	return s
}

// driverName is who did a fault, for people; "" if the record does not say.
func driverName(driver string) string {
	switch driver {
	case "chaos-mesh":
		return "Chaos Mesh"
	case "agent":
		return "the cutover agent"
	}
	return driver
}

func proven(f verdict.Fault) cell {
	switch {
	case f.Proven:
		return cell{Text: "proven", Mark: "pass"}
	case f.InjectedMs == nil:
		return text("not applied")
	}
	return cell{Text: "not proven", Mark: "unjudged"}
}

func effect(ms *float64) string {
	switch {
	case ms == nil:
		return ""
	case *ms < 0:
		return span(length(*ms))
	}
	return "+" + span(length(*ms))
}

func escaped(pods []string) cell {
	if len(pods) == 0 {
		return text("none")
	}
	return cell{Text: strings.Join(pods, ", "), Code: true}
}

// askedOf is what the scenario asked of a fault.
func askedOf(rec record, i int) string {
	if i >= len(rec.h.Plan.Faults) {
		return ""
	}
	f := rec.h.Plan.Faults[i]
	asked := f.When
	if f.Step != "" {
		asked = f.Step + ", " + f.When
	}
	switch {
	case f.OneShot:
		return asked + ", once"
	case f.For > 0:
		return asked + ", for " + setting(f.For)
	}
	return asked
}

func stepsSection(rec record) section {
	weights, errs := map[string]int{}, map[string]string{}
	for _, e := range history.All[history.StepLive](rec.h.Events) {
		weights[e.Data.Name] = e.Data.Weight
	}
	for _, e := range history.All[history.StepEnded](rec.h.Events) {
		errs[e.Data.Name] = e.Data.Err
	}
	t := table{ID: "steps-table", Caption: "The steps of the cutover", Head: head("Step", "#Begins", "#Live", "#Ends", "#Action took", "#Candidate's share", "Error")}
	for _, s := range rec.r.Steps {
		took, weight := none, none
		if s.BeginMs != nil && s.LiveMs != nil {
			took = span(length(*s.LiveMs - *s.BeginMs))
		}
		if w, ok := weights[s.Name]; ok && w >= 0 {
			weight = share(float64(w) / 100)
		}
		t.Rows = append(t.Rows, []cell{text(strings.TrimSpace(s.Name + " " + s.Title)), number(clock(instant(s.BeginMs))), number(clock(instant(s.LiveMs))), number(clock(instant(s.EndMs))),
			number(took), number(weight), text(errs[s.Name])})
	}
	s := section{ID: "steps", Title: "Steps", Tables: []table{t.fold()}}
	if note := mirrored(rec); note != "" {
		s.Notes = append(s.Notes, note)
	}
	if e, ok := history.First[history.ReleaseEnded](rec.h.Events); ok && e.Data.Err != "" {
		s.Notes = append(s.Notes, "The strategy returned an error: "+e.Data.Err)
	}
	return s
}

// mirrored says what came of the copies that the candidate got; "" if it got none.
func mirrored(rec record) string {
	var sum history.Mirrored
	all := history.All[history.Mirrored](rec.h.Events)
	for _, e := range all {
		sum.Answered += e.Data.Answered
		sum.Failed += e.Data.Failed
	}
	if len(all) == 0 {
		return ""
	}
	return fmt.Sprintf("The candidate got copies of requests, whose answers nobody was given: %s were answered, %s of them with 5xx.", count(int(sum.Answered)), count(int(sum.Failed)))
}

func gateSection(rec record) section {
	t := table{ID: "gate-table", Caption: "Gate readings and decisions",
		Head: head("#At", "Gate", "Step", "Says", "#Requests", "#Bad", "#Errors", "#Latency", "#Streak", "Because")}
	events, left := gateEvents(rec)
	for _, e := range events {
		if r, ok := history.Decode[history.Reading](e); ok {
			t.Rows = append(t.Rows, readingRow(e.At, r))
		}
		if d, ok := history.Decode[history.Decision](e); ok {
			t.Rows = append(t.Rows, []cell{number(clock(e.At)), text("decision"), text(d.Step), text(d.Action),
				number(""), number(""), number(""), number(""), number(""), text(d.Because)})
		}
	}
	s := section{ID: "gate", Title: "Gate", Tables: []table{t.fold()}}
	if rec.h.Plan.GateEvery == 0 && len(t.Rows) == 0 {
		s.Notes = []string{"The scenario has none."}
	}
	if g, p := rec.r.Gate, rec.h.Plan; g.Readings > 0 {
		s.Notes = []string{plural(g.Readings, "reading") + ": " + count(g.Failures) + " failing, " + count(g.NoData) + " without data. Limits: " + orNone(p.GateLimits) + ", every " + setting(p.GateEvery) + ", " + plural(p.GateFails, "failing reading") + " in a row roll back."}
	}
	if left > 0 {
		s.Notes = append(s.Notes, plural(left, "reading")+" that passed between others that passed are in events.ndjson alone.")
	}
	return s
}

// maxReadings bounds the page; the record holds them all.
const maxReadings = 500

// gateEvents are the readings and decisions. Of too many, those are left out that
// passed between others that passed.
func gateEvents(rec record) (listed []history.Event, left int) {
	var events []history.Event
	var dull []bool // by event
	for _, e := range rec.h.Events {
		r, reading := history.Decode[history.Reading](e)
		if _, decision := history.Decode[history.Decision](e); reading || decision {
			events, dull = append(events, e), append(dull, reading && r.Status == "pass")
		}
	}
	for i, e := range events {
		if len(events) > maxReadings && dull[i] && i > 0 && dull[i-1] && i+1 < len(events) && dull[i+1] {
			left++
			continue
		}
		listed = append(listed, e)
	}
	return listed, left
}

func readingRow(at history.Micros, r history.Reading) []cell {
	latency := ""
	if r.Q > 0 {
		latency = "p" + decimalShort(r.Q*100) + " " + span(history.Micros(r.LatUs).Sub(0))
	}
	mark := r.Status
	if mark != "pass" && mark != "fail" {
		mark = "unjudged"
	}
	requests, bad, errors := count(r.N), count(r.Bad), share(r.ErrRate)
	if r.N == 0 { // nothing was counted: there was nothing, or the gate asks somebody else
		requests, bad, errors = none, none, none
	}
	return []cell{number(clock(at)), text(r.Gate), text(r.Step), {Text: readingWord(r.Status), Mark: mark}, number(requests),
		number(bad), number(errors), number(latency), number(count(r.Streak)), text(r.Because)}
}
