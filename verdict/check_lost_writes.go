package verdict

import (
	"fmt"
	"strings"

	"github.com/cutover-dev/cutover/history"
)

// lostWritesCheck: what was written and answered well is there in the end.
type lostWritesCheck struct{}

func (lostWritesCheck) Name() string { return "lostWrites" }

func (lostWritesCheck) Want(expect history.Expect) string {
	if expect.LostWrites == nil {
		return ""
	}
	return fmt.Sprintf("<= %d", *expect.LostWrites)
}

func (lostWritesCheck) Assumes() []Assumption { return []Assumption{released, writesReadBack} }

// Judge fails for what is known to be lost, whatever else nobody could say. That not too
// many are lost can only be said when each was found or not.
func (lostWritesCheck) Judge(e *Evidence) Finding {
	told, ok := history.First[history.ReadBack](e.Events)
	if !ok {
		return Finding{Status: CheckUnjudged, Because: "nothing was read back"}
	}
	back, most := told.Data, int64(*e.Plan.Expect.LostWrites)
	f := Finding{Got: count(back.Lost), Because: fmt.Sprintf("%s answered well, of which %s kept", plural(back.Acknowledged, "write"), count(back.Kept))}
	if len(back.Samples) > 0 {
		f.Because += "; lost: " + strings.Join(back.Samples, ", ")
	}
	switch {
	case back.Lost > most:
		f.Status = CheckFail
	case back.Lost+back.Unknown > most:
		f.Status, f.Because = CheckUnjudged, fmt.Sprintf("of %s answered well, %s could not be read back", plural(back.Acknowledged, "write"), count(back.Unknown))
	default:
		f.Status = CheckPass
	}
	return f
}

var writesReadBack = Assumption{"writes read back", readBackBroken}

// readBackBroken: there was something to lose, and all of it was looked for.
func readBackBroken(e *Evidence) string {
	told, ok := history.First[history.ReadBack](e.Events)
	back := told.Data
	switch {
	case !ok:
		return "the load was not brought to an end, or nothing was to be read back"
	case back.Acknowledged == 0:
		return "no write was answered well, so none could be lost"
	case back.Kept+back.Lost+back.Unknown != back.Acknowledged:
		return fmt.Sprintf("the books do not balance: %s answered well, %s looked for", count(back.Acknowledged), count(back.Kept+back.Lost+back.Unknown))
	}
	return ""
}

// lostWrites is how many are known to be lost; nil if nobody looked for all.
func (e *Evidence) lostWrites() *int64 {
	told, ok := history.First[history.ReadBack](e.Events)
	if !ok || told.Data.Unknown > 0 {
		return nil
	}
	return &told.Data.Lost
}
