package verdict

import (
	"regexp"
	"strings"
	"testing"

	"github.com/cutover-dev/cutover/history"
)

func TestSentence(t *testing.T) {
	skipped := calm().without(history.ReleaseBegan{})
	skipped.at(0.5, history.Skipped{Because: "needs two nodes"})
	residue := rolledBack()
	residue.at(21, history.Residue{Items: []string{"route shop"}})
	for _, row := range []struct {
		comment string
		tell    *story
		want    string // a regular expression for the whole
	}{
		{"a rollback", rolledBack(), `Rolled back in 2\.\d s \(allowed 15 s\); \d\d of \d\d\d requests were bad, \d\.\d %; nothing was left behind\.`},
		{"no incident", calm(), `Promoted without a user-visible incident; none of \d\d\d requests was bad; nothing was left behind\.`},
		{"healed by the platform", faulty(0).outage(8, 8.6, refused), `Promoted, recovered by itself in \d+ ms \(allowed 15 s\); .*`},
		{"a failure begins with its check", calm().settles(12, 0), `The check outcome failed: rolled-back instead of promoted \(.*\); rolled back without a user-visible incident; .*`},
		{"what could not be judged begins with why", faulty(11).outage(8, 11, refused), `The check mttr could not be judged: nothing reacted before the fault ended; promoted, recovered only with the end of the fault, after .*`},
		{"a skipped run has no story", skipped, `Needs two nodes\.`},
		{"residue", residue, `Left behind: route shop; rolled back in .*; 1 left behind\.`},
	} {
		got := Judge(row.tell.tell()).Because
		if !regexp.MustCompile(`^` + row.want + `$`).MatchString(got) {
			t.Errorf("%s:\ngot  %s\nwant %s", row.comment, got, row.want)
		}
	}
}

func TestNumbersForPeople(t *testing.T) {
	for _, row := range []struct{ comment, got, want string }{
		{"thousands are set off", count(5431), "5,431"},
		{"and millions", count(1234567), "1,234,567"},
		{"hundreds are not", count(125), "125"},
		{"nor the sign", count(-125), "-125"},
		{"shares have one decimal", percent(0.02302), "2.3 %"},
		{"small ones two digits", percent(0.000123), "0.012 %"},
		{"all is all", percent(1), "100.0 %"},
		{"a missed limit is not rounded up to it", floor(0.9499999), "94.999%"},
		{"a met one is not rounded down", floor(0.95), "95%"},
		{"a table's duration is rounded up", short(15_000_001_000), "15.001s"},
		{"unless it is even", short(6_200_000_000), "6.2s"},
		{"seconds", seconds(2_520_000_000), "2.5 s"},
		{"less than one", seconds(340_000_000), "340 ms"},
	} {
		if row.got != row.want {
			t.Errorf("%s: got %q, want %q", row.comment, row.got, row.want)
		}
	}
}

func TestFindings(t *testing.T) {
	failedRelease := calm()
	failedRelease.at(19, history.ReleaseEnded{Err: "exit status 1"})
	for _, row := range []struct {
		comment string
		tell    *story
		want    string
	}{
		{"the release's word against the traffic", failedRelease, "reported an error although the traffic was promoted: exit status 1"},
		{"and the other way round", calm().settles(12, 0.5), "reported no error although it is stuck"},
		{"relapses", faulty(0).outage(8, 9, refused).outage(11, 12, refused), "had 1 relapse before"},
		{"hurt before the fault", faulty(14).outage(6, 7, refused), "1 incident before the first fault"},
		{"errors of no incident", calm().burst(15, 1), "1 bad request outside of every incident"},
		{"censored", faulty(11).outage(8, 11, refused), "nothing reacted before the fault ended"},
		{"not attributed", calm().burst(15, 1), "1 answer did not tell"},
		{"a drill gone wrong", func() *story { s := calm(); s.at(4.5, history.Drill{Kind: "PodChaos", Because: "stuck"}); return s }(), "drill of PodChaos went wrong: stuck"},
	} {
		if got := strings.Join(Judge(row.tell.tell()).Findings, "\n"); !strings.Contains(got, row.want) {
			t.Errorf("%s: %q is not in:\n%s", row.comment, row.want, got)
		}
	}
	if got := Judge(calm().tell()).Findings; len(got) > 0 {
		t.Errorf("a calm run is worth no remark: %v", got)
	}
}
