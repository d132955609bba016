package reports

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cutover-dev/cutover/history"
)

func TestManyReadingsAreThinned(t *testing.T) {
	for _, row := range []struct {
		name     string
		statuses string // p: pass, f: fail, d: a decision
		repeat   int
		want     string
		left     int
	}{
		{"few", "ppppd", 1, "ppppd", 0},                                 // all of them can be listed
		{"many that pass", "p", maxReadings + 1, "pp", maxReadings - 1}, // the first and the last
		{"a failure among many", strings.Repeat("p", maxReadings) + "ffppd", 1, "ppffppd", maxReadings - 2},
		{"many that fail", "pf", maxReadings, strings.Repeat("pf", maxReadings), 0}, // what matters is never left out
	} {
		var rec record
		for i, s := range strings.Repeat(row.statuses, row.repeat) {
			var p history.Payload = history.Reading{Status: map[rune]string{'p': "pass", 'f': "fail"}[s]}
			if s == 'd' {
				p = history.Decision{Action: "proceed"}
			}
			rec.h.Events = append(rec.h.Events, history.NewEvent(history.Micros(i), p))
		}
		listed, left := gateEvents(rec)
		got := ""
		for _, e := range listed {
			r, reading := history.Decode[history.Reading](e)
			switch {
			case !reading:
				got += "d"
			default:
				got += r.Status[:1]
			}
		}
		if got != row.want || left != row.left {
			t.Errorf("%s: %d listed, %d left out; want %d, %d", row.name, len(listed), left, len(row.want), row.left)
		}
		said := strings.Contains(fmt.Sprint(gateSection(rec).Notes), "that passed between others that passed")
		if said != (row.left > 0) {
			t.Errorf("%s: readings are left out: %v; the page says so: %v", row.name, row.left > 0, said)
		}
	}
}
