package reports

import (
	"encoding/xml"
	"fmt"
	"io"
	"strconv"

	"github.com/cutover-dev/cutover/history"
	"github.com/cutover-dev/cutover/verdict"
)

// Judged is a run with its judgement.
type Judged struct {
	History history.History
	Run     verdict.Run
}

// JUnit writes one run as JUnit XML: a test case for each check, so that a CI server
// shows which promise was broken and not only that one was.
func JUnit(h history.History, r verdict.Run) Reporter { return JUnitSuite([]Judged{{h, r}}) }

// JUnitSuite writes several runs as one JUnit file, a suite for each.
func JUnitSuite(runs []Judged) Reporter {
	return func(w io.Writer) error {
		all := junitSuites{Name: "cutover"}
		for _, run := range runs {
			all.add(junitOf(record{h: run.History, r: run.Run}))
		}
		if _, err := io.WriteString(w, xml.Header); err != nil {
			return err
		}
		e := xml.NewEncoder(w)
		e.Indent("", "  ")
		if err := e.Encode(all); err != nil {
			return err
		}
		_, err := io.WriteString(w, "\n")
		return err
	}
}

type junitCounts struct {
	Tests    int `xml:"tests,attr"`
	Failures int `xml:"failures,attr"`
	Errors   int `xml:"errors,attr"`
	Skipped  int `xml:"skipped,attr"`
}

type junitSuites struct {
	XMLName xml.Name `xml:"testsuites"`
	Name    string   `xml:"name,attr"`
	junitCounts
	Suites []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name string `xml:"name,attr"`
	junitCounts
	Time       string          `xml:"time,attr"`
	Timestamp  string          `xml:"timestamp,attr,omitempty"`
	Properties []junitProperty `xml:"properties>property"`
	Cases      []junitCase     `xml:"testcase"`
	Out        string          `xml:"system-out"`
}

type junitProperty struct {
	Name  string `xml:"name,attr"`
	Value string `xml:"value,attr"`
}

type junitCase struct {
	Name    string       `xml:"name,attr"`
	Class   string       `xml:"classname,attr"`
	Failure *junitResult `xml:"failure"`
	Error   *junitResult `xml:"error"`
	Skipped *junitResult `xml:"skipped"`
	Out     string       `xml:"system-out,omitempty"`
}

type junitResult struct {
	Type    string `xml:"type,attr,omitempty"`
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

func (all *junitSuites) add(s junitSuite) {
	all.Tests += s.Tests
	all.Failures += s.Failures
	all.Errors += s.Errors
	all.Skipped += s.Skipped
	all.Suites = append(all.Suites, s)
}

func junitOf(rec record) junitSuite {
	s := junitSuite{
		Name: scenarioName(rec), Timestamp: rec.h.Plan.Started, Out: sentence(rec.r) + "\n",
		Time:  strconv.FormatFloat(rec.last().Sub(0).Seconds(), 'f', 3, 64),
		Cases: junitCases(rec),
		Properties: []junitProperty{
			{"verdict", string(verdictOf(rec.r))}, {"outcome", outcomeWord(rec.r.Outcome)},
			{"provider", rec.r.Provider}, {"seed", strconv.FormatInt(rec.r.Seed, 10)}, {"replay", replayOf(rec)},
		},
	}
	for _, c := range s.Cases {
		s.Tests++
		switch {
		case c.Failure != nil:
			s.Failures++
		case c.Error != nil:
			s.Errors++
		case c.Skipped != nil:
			s.Skipped++
		}
	}
	return s
}

// junitCases maps checks to test cases. What no check says (the harness broke, nothing
// ran, the run could not be judged) has a case of its own, so that no run is empty or
// green by omission.
func junitCases(rec record) []junitCase {
	name := scenarioName(rec)
	v := verdictOf(rec.r)
	own := junitCase{Name: "run", Class: name}
	if v == verdict.Skipped {
		own.Skipped = &junitResult{Message: sentence(rec.r)}
		return []junitCase{own}
	}
	var cases []junitCase
	for _, f := range rec.r.Checks {
		cases = append(cases, junitCheck(f, name, rec.r.Control))
	}
	if c := rec.r.Control; c != nil {
		return append(cases, junitControl(rec, *c, name))
	}
	switch {
	case v == verdict.Error:
		own.Error = &junitResult{Type: "harness", Message: sentence(rec.r)}
		cases = append(cases, own)
	case v == verdict.Invalid && !hasStatus(rec.r, "unjudged"):
		own.Error = &junitResult{Type: "invalid", Message: sentence(rec.r)}
		cases = append(cases, own)
	case v == verdict.Fail && !hasStatus(rec.r, "fail"):
		own.Failure = &junitResult{Type: "fail", Message: sentence(rec.r)}
		cases = append(cases, own)
	case len(cases) == 0:
		cases = append(cases, own)
	}
	return cases
}

func hasStatus(r verdict.Run, status string) bool {
	for _, f := range r.Checks {
		if statusOf(f) == status {
			return true
		}
	}
	return false
}

// junitCheck maps one check. Under a control that was met nothing is red: what failed
// had to.
func junitCheck(f verdict.Finding, class string, control *verdict.ControlResult) junitCase {
	c := junitCase{Name: f.Name, Class: class}
	detail := fmt.Sprintf("wanted: %s\ngot: %s\nbecause: %s\n", orNone(f.Want), orNone(f.Got), orNone(f.Because))
	status := statusOf(f)
	result := &junitResult{Type: status, Message: "wanted " + orNone(f.Want) + ", got " + orNone(f.Got), Text: detail}
	switch {
	case status == "pass":
		c.Out = detail
	case control != nil && control.Met:
		c.Out = "control: this check said " + status + ", and the scenario must not pass\n" + detail
	case status == "fail":
		c.Failure = result
	default:
		result.Message = f.Because
		c.Error = result
	}
	return c
}

func junitControl(rec record, control verdict.ControlResult, class string) junitCase {
	said := controlNotice(control, rec.r.Verdict, rec.h.Plan.Control).Text
	c := junitCase{Name: "control", Class: class}
	if control.Met {
		c.Out = said
	} else {
		c.Failure = &junitResult{Type: "control", Message: said}
	}
	return c
}
