package reports

import (
	"strings"
	"testing"

	"github.com/cutover-dev/cutover/verdict"
)

// Beside the MTTR stands what it lies between, if it was measured and the record says so.
func TestClosingSaysHowSureItIs(t *testing.T) {
	for _, row := range []struct {
		comment string
		change  func(*verdict.MTTR)
		want    string
	}{
		{"measured", func(*verdict.MTTR) {}, "+17.7 s MTTR 2.5 s (2.45 to 2.59 s at 95 %) = detect 1.0 s"},
		{"a record from before there were intervals", func(m *verdict.MTTR) { m.TotalMsCI = nil }, "+17.7 s MTTR 2.5 s = detect 1.0 s"},
		{"a bound has none", func(m *verdict.MTTR) { m.Censored = true }, "+17.7 s MTTR at least 2.5 s: nothing reacted"},
	} {
		_, r := rolledBack(20)
		row.change(r.MTTR)
		if got := string(drawn(t, Closing(r))); !strings.Contains(got, row.want) {
			t.Errorf("%s: %q is not in\n%s", row.comment, row.want, got)
		}
	}
}
