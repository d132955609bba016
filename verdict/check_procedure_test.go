package verdict

import (
	"strings"
	"testing"

	"github.com/cutover-dev/cutover/history"
)

// ending is the calm story, released by a procedure that ends so.
func ending(attempts ...history.ProcedureEnded) *story {
	s := calm()
	s.plan.Expect = history.Expect{Procedure: &history.ExpectProcedure{}}
	s.at(5, history.ProcedureBegan{Attempt: 1})
	for i, attempt := range attempts {
		s.at(12+float64(i), attempt)
	}
	return s
}

func interrupted(s *story) *story {
	s.at(21, history.RunEnded{Interrupted: true})
	return s
}

func TestProcedureExit(t *testing.T) {
	for _, row := range []struct {
		comment     string
		tell        *story
		status, got string
	}{
		{"as expected", ending(history.ProcedureEnded{Attempt: 1}), CheckPass, "exit 0"},
		{"another code", ending(history.ProcedureEnded{Attempt: 1, Exit: 7}), CheckFail, "exit 7"},
		{"killed, and run again", ending(history.ProcedureEnded{Attempt: 1, Exit: 137, Killed: true}, history.ProcedureEnded{Attempt: 2}), CheckPass, "exit 0"},
		{"killed for good", ending(history.ProcedureEnded{Attempt: 1, Exit: 137, Killed: true}), CheckFail, "exit 137, killed"},
		// The run's own end ended it.
		{"ended by an interruption of the run", interrupted(ending(history.ProcedureEnded{Attempt: 1, Exit: 137})), CheckUnjudged, "exit 137"},
		// Without an end there is nothing to judge.
		{"it never ended", ending(), CheckUnjudged, ""},
	} {
		if got := Judge(row.tell.tell()).check("procedure"); got.Status != row.status || got.Got != row.got {
			t.Errorf("%s: got %+v", row.comment, got)
		}
	}
}

// The procedure's own word and what the traffic shows are judged apart, and where they
// disagree that is said.
func TestProcedureAgainstTraffic(t *testing.T) {
	for _, row := range []struct {
		comment string
		err     string
		then    float64 // the candidate's share in the end
		want    string
	}{
		{"well", "", 1, ""},
		{"it says well, and nobody has the candidate", "", 0, "the procedure ended with exit code 0 although it is rolled-back"},
		{"it says ill, and all have the candidate", "the procedure ended with exit code 1", 1, "the release reported an error although the traffic was promoted"},
	} {
		s := ending(history.ProcedureEnded{Attempt: 1})
		s.answer = canary(12, row.then)
		s.at(13, history.ReleaseEnded{Err: row.err})
		findings := strings.Join(Judge(s.tell()).Findings, "\n")
		if row.want == "" && strings.Contains(findings, "although") || !strings.Contains(findings, row.want) {
			t.Errorf("%s: found %q, want %q", row.comment, findings, row.want)
		}
	}
}

func TestEndStateIsAFinding(t *testing.T) {
	for _, row := range []struct {
		comment string
		end     history.EndState
		want    string
	}{
		{"the same", history.EndState{Compared: true}, ""},
		{"another", history.EndState{Compared: true, Differences: []string{"ConfigMap/lock is left over"}}, "another end state than undisturbed: ConfigMap/lock is left over"},
		{"unknown", history.EndState{Because: "no answer"}, "could not be compared with what it leaves undisturbed: no answer"},
	} {
		s := ending(history.ProcedureEnded{Attempt: 1})
		s.at(13, row.end)
		findings := strings.Join(Judge(s.tell()).Findings, "\n")
		if row.want == "" && strings.Contains(findings, "undisturbed") || !strings.Contains(findings, row.want) {
			t.Errorf("%s: found %q, want %q", row.comment, findings, row.want)
		}
	}
}
