package reports

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/cutover-dev/cutover/history"
)

// maxClusterEvents bounds the page; the record holds them all.
const maxClusterEvents = 200

// clusterSection lists Kubernetes events; repeats of one are counted, as kubectl does.
func clusterSection(rec record) section {
	s := section{ID: "cluster", Title: "Cluster events"}
	seen := map[history.ClusterEvent]int{}
	var first []history.Stamped[history.ClusterEvent]
	for _, e := range history.All[history.ClusterEvent](rec.h.Events) {
		if seen[e.Data] == 0 {
			first = append(first, e)
		}
		seen[e.Data]++
	}
	if len(first) == 0 {
		s.Notes = []string{"None on record."}
		return s
	}
	t := table{ID: "cluster-table", Caption: "Kubernetes events in the run's namespace", Head: head("#First at", "#Times", "Object", "Reason", "Message")}
	for _, e := range first[:min(len(first), maxClusterEvents)] {
		reason := cell{Text: orNone(e.Data.Reason)}
		if e.Data.Warning {
			reason.Mark = "unjudged"
		}
		t.Rows = append(t.Rows, []cell{number(clock(e.At)), number(count(seen[e.Data])), code(e.Data.Object), reason, text(shorten(e.Data.Message, 400))})
	}
	if left := len(first) - maxClusterEvents; left > 0 {
		s.Notes = append(s.Notes, plural(left, "more kind")+" of event in events.ndjson.")
	}
	s.Tables = []table{t.fold()}
	return s
}

// safetySection is the proof that the run cleaned up after itself.
func safetySection(rec record) section {
	s := section{ID: "safety", Title: "Safety proof"}
	t := table{ID: "safety-table", Caption: "Each undo, as it was confirmed", Head: head("#At", "Undo", "Result")}
	failed := 0
	for _, u := range history.All[history.Undone](rec.h.Events) {
		result := cell{Text: "confirmed", Mark: "pass"}
		if u.Data.Err != "" {
			failed++
			result = cell{Text: u.Data.Err, Mark: "fail"}
		}
		t.Rows = append(t.Rows, []cell{number(clock(u.At)), text(u.Data.Action), result})
	}
	s.Notes = []string{undoNote(len(t.Rows)-failed, failed), drillNote(rec), residueNote(rec)}
	if len(t.Rows) > 0 {
		s.Tables = []table{t.fold()}
	}
	return s
}

func undoNote(confirmed, failed int) string {
	if confirmed+failed == 0 {
		return "Undos: none on record."
	}
	return "Undos: " + count(confirmed) + " confirmed, " + count(failed) + " failed."
}

func drillNote(rec record) string {
	d, ok := history.First[history.Drill](rec.h.Events)
	if !ok {
		return "Drill: none on record."
	}
	if !d.Data.OK {
		return "Drill: the undo of " + d.Data.Kind + " did not pass its rehearsal: " + sentenceOf(d.Data.Because)
	}
	return "Drill: the undo of " + d.Data.Kind + " was rehearsed in " + span(length(d.Data.UndoMs)) + " before the release."
}

func residueNote(rec record) string {
	switch {
	case rec.r.Residue == nil:
		return "Left behind: not known, nobody looked."
	case len(rec.r.Residue) == 0:
		return "Left behind: nothing, says the scan after healing."
	}
	return "Left behind: " + strings.Join(rec.r.Residue, "; ") + "."
}

// environmentSection is what somebody needs to believe the numbers, and to get them again.
func environmentSection(rec record) section {
	p := rec.h.Plan
	t := table{ID: "environment-table", Caption: "What the run was, and how honest its load", Head: head("What", "Value")}
	add := func(name, value string) {
		if value != "" {
			t.Rows = append(t.Rows, []cell{text(name), text(value)})
		}
	}
	add("Started", p.Started)
	add("Run", p.RunID)
	add("Scenario file", p.Path)
	add("Labels", strings.Join(p.Labels, ", "))
	add("Provider", p.Provider)
	add("Strategy", p.Strategy)
	add("Seed", strconv.FormatInt(rec.r.Seed, 10))
	add("Plan hash", p.PlanHash)
	add("SLO", "at most "+setting(p.SLO.Latency)+", for "+share(float64(p.SLO.Availability))+" of requests")
	add("Gate limits", p.GateLimits)
	switch {
	case p.Shape != "":
		add("Load", decimalShort(p.Rate)+" requests/s, "+p.Shape)
	case p.Rate > 0:
		add("Load", decimalShort(p.Rate)+" requests/s on average")
	}
	add("Steady state", steadyNote(rec))
	add("Load generator", loadNote(rec))
	for _, name := range slices.Sorted(maps.Keys(p.Facts)) {
		add(name, p.Facts[name])
	}
	return section{ID: "environment", Title: "Environment", Tables: []table{t}}
}

func steadyNote(rec record) string {
	s, ok := history.First[history.SteadyState](rec.h.Events)
	if !ok {
		return "not proven: none on record"
	}
	word := "proven"
	if s.Data.Rejected {
		word = "rejected"
	}
	return word + ": " + plural(s.Data.N, "request") + ", " + count(s.Data.Bad) + " bad, p99 " + span(history.Micros(s.Data.P99Us).Sub(0)) + parenthesis(s.Data.Because)
}

func parenthesis(s string) string {
	if s == "" {
		return ""
	}
	return " (" + s + ")"
}

func loadNote(rec record) string {
	l, ok := history.First[history.LoadEnded](rec.h.Events)
	if !ok {
		return "the load did not come to its end"
	}
	stalls := len(history.All[history.Stall](rec.h.Events))
	return count(l.Data.Sent) + " of " + plural(l.Data.Planned, "planned request") + " sent, " + count(l.Data.Unsent) + " not; sent late by " +
		span(history.Micros(l.Data.ReleaseErrorP99Us).Sub(0)) + " at p99; " + plural(stalls, "stall")
}
