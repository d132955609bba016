package verdict

import (
	"strings"
	"testing"

	"github.com/cutover-dev/cutover/history"
)

func TestWhatTheMachineWasShortOf(t *testing.T) {
	second := history.Duration(1e9)
	host := func(waited, stolen float64) history.Host {
		return history.Host{Over: second, CPUWait: new(waited), Stolen: new(stolen)}
	}
	for _, row := range []struct {
		comment string
		seen    map[float64]history.Host // by the second that it ends at
		want    string                   // "": nothing is said
	}{
		{"nobody looked", nil, ""},
		{"a calm one", map[float64]history.Host{8: host(0.2, 0), 9: host(0.3, 0)}, ""},
		{"a busy one", map[float64]history.Host{8: host(0.9, 0), 9: host(0.5, 0)}, "for 70.0 % of the time something waited for a processor"},
		{"busy before users were counted", map[float64]history.Host{2: host(1, 1), 9: host(0.1, 0)}, ""},
		{"others had its processors", map[float64]history.Host{8: host(0.9, 0.1)}, "a hypervisor took 10.0 %"},
		{"a kernel that tells nothing", map[float64]history.Host{8: {Over: second}}, ""},
	} {
		s := calm()
		for at, seen := range row.seen {
			s.at(at, seen)
		}
		said := strings.Join(Judge(s.tell()).Findings, "\n")
		if row.want == "" && strings.Contains(said, "processor") || !strings.Contains(said, row.want) {
			t.Errorf("%s: %q, want %q", row.comment, said, row.want)
		}
	}
}
