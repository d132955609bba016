package verdict

import (
	"strings"
	"testing"

	"github.com/cutover-dev/cutover/history"
)

// readBack is the calm story whose writes were read back.
func readBack(back history.ReadBack) *story {
	s := calm()
	most := 0
	s.plan.Expect = history.Expect{LostWrites: &most}
	s.at(20.4, back)
	return s
}

func TestLostWrites(t *testing.T) {
	for _, row := range []struct {
		comment              string
		tell                 *story
		status, got, because string
		lost                 int64 // in the summary; -1 for null
	}{
		{"all kept", readBack(history.ReadBack{Acknowledged: 9, Kept: 9}), CheckPass, "0", "9 writes answered well, of which 9 kept", 0},
		{"one lost", readBack(history.ReadBack{Acknowledged: 9, Kept: 8, Lost: 1, Samples: []string{"r1-7"}}), CheckFail, "1", "lost: r1-7", 1},
		// What is known to be lost stays lost; what is not known may be either.
		{"one lost, one unknown", readBack(history.ReadBack{Acknowledged: 9, Kept: 7, Lost: 1, Unknown: 1}), CheckFail, "1", "9 writes", -1},
		{"one unknown", readBack(history.ReadBack{Acknowledged: 9, Kept: 8, Unknown: 1}), CheckUnjudged, "0", "of 9 writes answered well, 1 could not be read back", -1},
		// Each assumption.
		{"no release", readBack(history.ReadBack{Acknowledged: 9, Kept: 9}).without(history.ReleaseBegan{}), CheckUnjudged, "0", "release began", 0},
		{"nothing to lose", readBack(history.ReadBack{}), CheckUnjudged, "0", "no write was answered well", 0},
		{"books that do not balance", readBack(history.ReadBack{Acknowledged: 9, Kept: 7}), CheckUnjudged, "0", "the books do not balance: 9 answered well, 7 looked for", 0},
		{"never told", readBack(history.ReadBack{}).without(history.ReadBack{}), CheckUnjudged, "", "the load was not brought to an end", -1},
	} {
		run := Judge(row.tell.tell())
		got := run.check("lostWrites")
		if got.Status != row.status || got.Got != row.got || !strings.Contains(got.Because, row.because) {
			t.Errorf("%s: got %+v", row.comment, got)
		}
		if lost := run.Requests.LostWrites; (lost == nil) != (row.lost < 0) || lost != nil && *lost != row.lost {
			t.Errorf("%s: the summary has %v", row.comment, lost)
		}
	}
}
