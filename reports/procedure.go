package reports

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/cutover-dev/cutover/history"
	"github.com/cutover-dev/cutover/verdict"
)

// What of a procedure is on the page is bounded; the record holds it all.
const (
	maxWrites    = 200
	maxTroubled  = 100
	lastLines    = 40
	longestLine  = 400 // in characters
	theProcedure = "procedure"
)

// procedureSection is the user's own way to release: how its attempts ended, what it
// wrote and what users got meanwhile, and what it said. There is none of a built-in
// strategy.
func procedureSection(rec record) (s section, ran bool) {
	said := history.All[history.ProcedureOutput](rec.h.Events)
	began, ran := history.First[history.ProcedureBegan](rec.h.Events)
	if !ran && len(said) == 0 {
		return section{}, false
	}
	since := history.Micros(0) // of one that never ran, its setup is what there is
	if ran {
		since = began.At
	}
	writes, troubled := requestsOfProcedure(rec, since)
	return section{
		ID: "procedure", Title: "Procedure", Tables: []table{attemptsTable(rec), leavingTable(rec), writesTable(rec, writes), troubledTable(troubled)},
		Output: outputOf(said, since),
	}, true
}

// requestsOfProcedure are its writes, and its requests that did not go well. That
// something is not there yet is an answer like another.
func requestsOfProcedure(rec record, since history.Micros) (writes, troubled []history.Stamped[history.APIRequest]) {
	for _, r := range history.All[history.APIRequest](rec.h.Events) {
		if r.Data.Writer != theProcedure || r.Data.Began < since {
			continue
		}
		if isWrite(r.Data) {
			writes = append(writes, r)
		}
		answered := r.Data.Status > 0 && r.Data.Status < 400 || r.Data.Status == http.StatusNotFound && r.Data.Verb == "get"
		if r.Data.Injected != "" || !answered {
			troubled = append(troubled, r)
		}
	}
	return writes, troubled
}

func isWrite(r history.APIRequest) bool {
	return slices.Contains([]string{"create", "update", "patch", "delete", "deletecollection"}, r.Verb)
}

func attemptsTable(rec record) table {
	t := table{ID: "procedure-attempts", Caption: "Its attempts", Head: head("Attempt", "#Begins", "#Ends", "#Took", "Exit code", "Ended")}
	begins := history.All[history.ProcedureBegan](rec.h.Events)
	for i, began := range begins {
		until := rec.last() + 1
		if i+1 < len(begins) {
			until = begins[i+1].At
		}
		ended, took, exit, how := history.Never, none, none, "it still ran when the record ends"
		for _, end := range history.All[history.ProcedureEnded](rec.h.Events) {
			if end.Data.Attempt == began.Data.Attempt {
				ended, took, exit = end.At, span(end.At.Sub(began.At)), count(end.Data.Exit)
				how = endOfAttempt(rec, end.Data, began.At, until)
			}
		}
		t.Rows = append(t.Rows, []cell{text(count(began.Data.Attempt)), number(clock(began.At)), number(clock(ended)), number(took), text(exit), text(how)})
	}
	return t
}

// endOfAttempt says who ended an attempt that began at from, with none after it before until.
func endOfAttempt(rec record, end history.ProcedureEnded, from, until history.Micros) string {
	ended := "by itself"
	if end.Exit > 128 {
		ended = "by signal " + strconv.Itoa(end.Exit-128)
	}
	for _, applied := range history.All[history.FaultApplied](rec.h.Events) {
		i := applied.Data.Fault
		if applied.At >= from && applied.At < until && i >= 0 && i < len(rec.h.Plan.Faults) && rec.h.Plan.Faults[i].Target == theProcedure {
			return ended + ", after " + rec.h.Plan.Faults[i].Name + " (" + askedOf(rec, i) + ")"
		}
	}
	return ended
}

// leavingTable compares what the procedure said, and left, with what was seen.
func leavingTable(rec record) table {
	t := table{ID: "procedure-leaving", Caption: "What it said and left in the end, and what was seen", Head: head("What", "Seen")}
	if ends := history.All[history.ProcedureEnded](rec.h.Events); len(ends) > 0 && rec.r.Outcome != nil {
		exit, outcome := ends[len(ends)-1].Data.Exit, *rec.r.Outcome
		agree := cell{Text: fmt.Sprintf("they agree: exit code %d, and the release is %s", exit, outcome), Mark: "pass"}
		if (exit == 0) != (outcome == verdict.Promoted) {
			agree = cell{Text: fmt.Sprintf("they do not agree: exit code %d, but the release is %s", exit, outcome), Mark: "fail"}
		}
		t.Rows = append(t.Rows, []cell{text("Exit code and traffic"), agree})
	}
	if end, ok := history.First[history.EndState](rec.h.Events); ok {
		left := cell{Text: "the same as undisturbed", Mark: "pass"}
		switch {
		case !end.Data.Compared:
			left = cell{Text: "not compared with what it leaves undisturbed: " + end.Data.Because, Mark: "unjudged"}
		case len(end.Data.Differences) > 0:
			left = cell{Text: "another one than undisturbed: " + strings.Join(end.Data.Differences, "; "), Mark: "fail"}
		}
		t.Rows = append(t.Rows, []cell{text("End state"), left})
	}
	return t
}

func writesTable(rec record, writes []history.Stamped[history.APIRequest]) table {
	bad, before := badDuring(rec, writes)
	t := table{ID: "procedure-writes", Caption: "What it wrote, with the requests of users that went bad from then on until the next write that took effect",
		Head: head("Step", "#Bad requests", "Write", "#Sent", "#Took", "Effect")}
	if before > 0 {
		t.Rows = [][]cell{{text(none), number(count(before)), text("none yet"), number(none), number(none), text(none)}}
	}
	for i, w := range writes[:min(len(writes), maxWrites)] {
		step, effect, during := none, cell{Text: orNone(w.Data.Because), Mark: "skipped"}, none
		if w.Data.Step > 0 {
			step, effect, during = "write-"+strconv.Itoa(w.Data.Step), cell{Text: "took effect", Mark: "pass"}, count(bad[i])
		}
		t.Rows = append(t.Rows, []cell{text(step), number(during), code(wordsOf(w.Data)), number(clock(w.Data.Began)), number(span(w.At.Sub(w.Data.Began))), effect})
	}
	if left := len(writes) - maxWrites; left > 0 {
		t.Caption += "; " + plural(left, "more write") + " in events.ndjson"
	}
	return t.fold()
}

// badDuring counts, for each write that took effect, the requests that went bad from then
// on until the next, and those of the release that did so before the first. They are
// those that the verdict counts.
func badDuring(rec record, writes []history.Stamped[history.APIRequest]) (bad []int, before int) {
	void, from, to := verdict.Void(rec.h), instant(rec.r.Instants.ReleaseMs), instant(rec.r.Instants.EndMs)
	bad = make([]int, len(writes))
	for _, q := range rec.h.Requests {
		if !q.Bad(rec.slo().D()) || void(q.Intended) || q.Intended < from || to.Happened() && q.Intended >= to {
			continue
		}
		under := -1
		for i, w := range writes {
			if w.Data.Step > 0 && w.Data.Began <= wentBad(rec, q) && (under < 0 || w.Data.Step > writes[under].Data.Step) {
				under = i
			}
		}
		if under < 0 {
			before++
		} else {
			bad[under]++
		}
	}
	return bad, before
}

// wentBad is from when on a bad request was to be one: its answer, or the end of what the
// SLO allows it, whichever comes first. What is done later is not to blame.
func wentBad(rec record, q history.Request) history.Micros {
	late := q.Intended.After(rec.slo().D())
	if q.Done.Happened() {
		return min(q.Done, late)
	}
	return late
}

// troubledTable counts requests that came to grief alike.
func troubledTable(requests []history.Stamped[history.APIRequest]) table {
	type key struct{ what, answer, because string }
	type kind struct {
		key
		first   history.Micros
		n       int
		longest history.Micros
	}
	var kinds []*kind
	known := map[key]*kind{}
	for _, r := range requests {
		k := key{wordsOf(r.Data), statusText(r.Data), cmp.Or(r.Data.Injected, r.Data.Because)}
		if known[k] == nil {
			known[k] = &kind{key: k, first: r.Data.Began}
			kinds = append(kinds, known[k])
		}
		known[k].n++
		known[k].longest = max(known[k].longest, r.At-r.Data.Began)
	}
	t := table{ID: "procedure-requests", Caption: "Its requests to the API server that failed, or that a fault was on",
		Head: head("Request", "#First at", "#Times", "#Longest", "Answer", "What happened")}
	for _, k := range kinds[:min(len(kinds), maxTroubled)] {
		t.Rows = append(t.Rows, []cell{code(k.what), number(clock(k.first)), number(count(k.n)), number(span(k.longest.Sub(0))), text(k.answer), text(k.because)})
	}
	if left := len(kinds) - maxTroubled; left > 0 {
		t.Caption += "; " + plural(left, "more kind") + " in events.ndjson"
	}
	return t.fold()
}

// connections are the verbs that are named after their subresource.
var connections = []string{"exec", "attach", "port-forward", "proxy"}

// wordsOf is a request as a person would name it: "patch Service/shop".
func wordsOf(r history.APIRequest) string {
	words := strings.TrimSpace(r.Verb + " " + r.Object)
	if r.Subresource != "" && !slices.Contains(connections, r.Verb) {
		words += " " + r.Subresource
	}
	return shorten(words, 200)
}

func statusText(r history.APIRequest) string {
	if r.Status == 0 {
		return none
	}
	return strings.TrimSpace(strconv.Itoa(r.Status) + " " + http.StatusText(r.Status))
}

// output is the end of what a program printed.
type output struct{ Caption, Text string }

func outputOf(said []history.Stamped[history.ProcedureOutput], since history.Micros) output {
	said = slices.DeleteFunc(said, func(l history.Stamped[history.ProcedureOutput]) bool { return l.At < since })
	left := max(len(said)-lastLines, 0)
	var out strings.Builder
	for _, line := range said[left:] {
		stream := ""
		if line.Data.Stream == "stderr" {
			stream = "stderr: "
		}
		out.WriteString(clock(line.At) + "  " + stream + shorten(line.Data.Line, longestLine) + "\n")
	}
	caption := "What it printed (" + plural(len(said), "line") + ")"
	if left > 0 {
		caption = "What it printed (the last " + count(lastLines) + " of " + count(len(said)) + " lines; all are in procedure.log)"
	}
	return output{Caption: caption, Text: out.String()}
}
