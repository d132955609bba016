package reports

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/cutover-dev/cutover/history"
)

// trafficTable holds the numbers of the story's charts, one row for each bin.
func trafficTable(t timeline) table {
	out := table{ID: "traffic-table", Numbers: true, Fold: true,
		Caption: "The story in numbers: requests by intended arrival, in each " + setting(history.Duration(t.width)),
		Head:    head("#From", "#Good", "#Slow", "#Failed", "#Baseline", "#Candidate", "#Unattributed")}
	for _, b := range t.bins {
		row := []cell{text(clock(b.from)), text(count(b.good)), text(count(b.slow)), text(count(b.failed))}
		for _, v := range versions {
			row = append(row, text(count(b.by[v])))
		}
		out.Rows = append(out.Rows, row)
	}
	return out
}

func requestsSection(rec record) section {
	s := section{ID: "requests", Title: "Requests", Tables: []table{statusTable(rec), latencyTable(rec), errorsTable(rec)}}
	if len(rec.h.Requests) == 0 {
		s.Tables = nil
		s.Notes = []string{"No requests are on record."}
	}
	return s
}

// statusTable counts requests by who answered and how, over the whole record.
func statusTable(rec record) table {
	type key struct {
		version history.Version
		status  string
	}
	type tally struct{ n, good, slow, failed int }
	found := map[key]*tally{}
	for _, q := range rec.h.Requests {
		k := key{q.Version, statusWord(q)}
		if found[k] == nil {
			found[k] = &tally{}
		}
		found[k].n++
		switch kindOf(q, rec.slo().D()) {
		case "good":
			found[k].good++
		case "slow":
			found[k].slow++
		default:
			found[k].failed++
		}
	}
	keys := make([]key, 0, len(found))
	for k := range found {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b key) int {
		return cmp.Or(cmp.Compare(slices.Index(versions, a.version), slices.Index(versions, b.version)), cmp.Compare(a.status, b.status))
	})
	t := table{ID: "status-table", Caption: "Requests by version and status, over the whole record", Head: head("Version", "Status", "#Requests", "#Share", "#Good", "#Slow", "#Failed")}
	for _, k := range keys {
		c := found[k]
		t.Rows = append(t.Rows, []cell{text(versionName(k.version)), text(k.status), number(count(c.n)), number(ratio(c.n, len(rec.h.Requests))),
			number(count(c.good)), number(count(c.slow)), number(count(c.failed))})
	}
	return t.fold()
}

func statusWord(q history.Request) string {
	switch {
	case !q.Sent.Happened() && !q.Done.Happened():
		return "not sent"
	case !q.Done.Happened():
		return "pending"
	case q.Err != "":
		return "no answer"
	}
	return strconv.Itoa(q.Status)
}

// The phases that latencies are told apart by.
var phases = []string{"before the release", "release", "incident", "after recovery"}

func phaseOf(rec record, at history.Micros) string {
	i := rec.r.Instants
	release, onset, recovered := instant(i.ReleaseMs), instant(i.OnsetMs), instant(i.RecoveredMs)
	switch {
	case !release.Happened() || at < release:
		return phases[0]
	case !onset.Happened() || at < onset:
		return phases[1]
	case !recovered.Happened() || at < recovered:
		return phases[2]
	}
	return phases[3]
}

func latencyTable(rec record) table {
	type key struct {
		version history.Version
		phase   string
	}
	found := map[key][]time.Duration{}
	for _, q := range rec.h.Requests {
		if answered(q) {
			k := key{q.Version, phaseOf(rec, q.Intended)}
			found[k] = append(found[k], q.Latency())
		}
	}
	t := table{ID: "latency-table", Caption: "Latency of right answers by version and phase, from intended arrival (exact, nearest rank)",
		Head: head("Version", "Phase", "#n", "#p50", "#p90", "#p99", "#max")}
	for _, v := range versions {
		for _, phase := range phases {
			if s := spreadOf(found[key{v, phase}]); s.n > 0 {
				t.Rows = append(t.Rows, []cell{text(versionName(v)), text(phase), number(count(s.n)),
					number(span(s.p50)), number(span(s.p90)), number(span(s.p99)), number(span(s.max))})
			}
		}
	}
	return t
}

// topErrors bounds the list of errors; each has one sample.
const topErrors = 10

// digits differ between errors of one kind: ports, addresses, times.
var digits = regexp.MustCompile(`[0-9]+`)

// errorKind is what failed requests are grouped by.
func errorKind(q history.Request) string {
	switch {
	case !q.Done.Happened():
		return "no answer when the record ends"
	case q.Err != "":
		return digits.ReplaceAllString(q.Err, "#")
	}
	return "status " + strconv.Itoa(q.Status) + ", or its content, is not what the scenario expects"
}

func errorsTable(rec record) table {
	samples, counts := map[string]history.Request{}, map[string]int{}
	for _, q := range rec.h.Requests {
		if kindOf(q, rec.slo().D()) != "failed" {
			continue
		}
		k := errorKind(q)
		if counts[k] == 0 {
			samples[k] = q
		}
		counts[k]++
	}
	kinds := make([]string, 0, len(counts))
	for k := range counts {
		kinds = append(kinds, k)
	}
	slices.SortFunc(kinds, func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
	t := table{ID: "errors-table", Caption: "Most frequent errors, with the first of each kind", Head: head("Error", "#Requests", "#First at", "Request", "Version", "Pod", "Answer")}
	for _, k := range kinds[:min(len(kinds), topErrors)] {
		q := samples[k]
		t.Rows = append(t.Rows, []cell{text(shorten(k, 200)), number(count(counts[k])), number(clock(q.Intended)),
			code(shorten(q.Name, 80) + requestID(q)), text(versionName(q.Version)), code(q.Pod), code(shorten(sampleOf(q), 300))})
	}
	return t
}

func requestID(q history.Request) string {
	if q.ID == "" {
		return " #" + count(q.Seq)
	}
	return " " + q.ID
}

func sampleOf(q history.Request) string {
	if q.Body != "" {
		return q.Body
	}
	return q.Err
}
