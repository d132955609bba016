package reports

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"slices"

	"github.com/cutover-dev/cutover/history"
	"github.com/cutover-dev/cutover/verdict"
)

//go:embed assets
var assets embed.FS

// pages holds the parsed templates. They are part of the program: one that does not
// parse is a programming error.
var pages = template.Must(template.New("").Funcs(template.FuncMap{
	"light": light,
	"css":   func() template.CSS { return paletteCSS() + template.CSS(asset("report.css")) },
	"js":    func() template.JS { return template.JS(asset("report.js")) },
	"csp":   policy,
	"upper": upperWord,
}).ParseFS(assets, "assets/*.tmpl"))

func asset(name string) string {
	data, err := assets.ReadFile("assets/" + name)
	if err != nil {
		panic(err)
	}
	return string(data)
}

// policy lets the page fetch nothing and run no script but its own: what a record
// quotes from a cluster stays text even if escaping failed.
func policy() string {
	sum := sha256.Sum256([]byte(asset("report.js")))
	return "default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'sha256-" +
		base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// page is what the template of one run shows.
type page struct {
	Scenario, Why string
	Verdict       verdict.Verdict
	Sentence      string
	Notices       []notice
	Gauges        []gauge
	Story         figure
	StoryFrom     string
	PlotLeft      px
	PlotRight     px
	StoryTables   []table
	Segments      figure
	Journey       string
	Instants      table
	Sections      []section
	Replay        string
	Schema        string
}

// notice is something to know before anything else is believed.
type notice struct{ Mark, Text string }

// HTML writes the report of one run as one self-contained page.
func HTML(h history.History, r verdict.Run) Reporter {
	return func(w io.Writer) error { return render(w, "report", newPage(record{h: h, r: r})) }
}

// render writes a page whole or not at all.
func render(w io.Writer, name string, data any) error {
	var out bytes.Buffer
	if err := pages.ExecuteTemplate(&out, name, data); err != nil {
		return fmt.Errorf("reports: cannot write the %s page: %w", name, err)
	}
	_, err := out.WriteTo(w)
	return err
}

func newPage(rec record) page {
	p := page{
		Scenario: scenarioName(rec), Why: rec.h.Plan.Why, Verdict: verdictOf(rec.r),
		Sentence: sentence(rec.r), Notices: notices(rec),
		Gauges: gauges(rec), Replay: replayOf(rec), Schema: verdict.Schema,
		Sections: []section{
			checksSection(rec), faultsSection(rec), stepsSection(rec), gateSection(rec), requestsSection(rec),
			clusterSection(rec), safetySection(rec), environmentSection(rec),
		},
	}
	if procedure, ran := procedureSection(rec); ran {
		steps := slices.IndexFunc(p.Sections, func(s section) bool { return s.ID == "steps" })
		p.Sections = slices.Insert(p.Sections, steps+1, procedure)
	}
	if differences, compared := diffSection(rec); compared {
		requests := slices.IndexFunc(p.Sections, func(s section) bool { return s.ID == "requests" })
		p.Sections = slices.Insert(p.Sections, requests, differences)
	}
	if len(rec.h.Requests) > 0 || len(rec.r.Steps) > 0 {
		story := newStory(rec)
		p.Story, p.StoryTables, p.StoryFrom = story.figure, story.tables(), clock(story.flow.from)
		p.PlotLeft, p.PlotRight = plotLeft, plotRight
	}
	p.Journey = journeySentence(rec)
	if rec.r.MTTR != nil {
		p.Segments, p.Instants = segmentFigure(rec), journeyTable(rec)
	}
	return p
}

func scenarioName(rec record) string {
	switch {
	case rec.r.Scenario != "":
		return rec.r.Scenario
	case rec.h.Plan.Scenario != "":
		return rec.h.Plan.Scenario
	}
	return "unnamed scenario"
}

func replayOf(rec record) string {
	if rec.r.Replay != "" {
		return rec.r.Replay
	}
	return rec.h.Plan.Replay
}

func notices(rec record) []notice {
	var found []notice
	if c := rec.r.Control; c != nil {
		found = append(found, controlNotice(*c, rec.r.Verdict, rec.h.Plan.Control))
	}
	end, ok := history.First[history.RunEnded](rec.h.Events)
	switch {
	case !ok:
		found = append(found, notice{"invalid", "The record has no end: the run was killed. What follows is what it had written until then."})
	case end.Data.Interrupted:
		found = append(found, notice{"invalid", "The run was interrupted. It cleaned up, and what follows ends there."})
	}
	return found
}

// controlNotice marks a scenario that must not pass: its red is good news.
func controlNotice(c verdict.ControlResult, got verdict.Verdict, asked *history.Control) notice {
	must := "This is a control: it must end " + string(c.Want)
	if asked != nil && asked.Check != "" {
		must += " through the check " + asked.Check
	}
	if c.Met {
		return notice{"pass", must + ", and it did. The tester works."}
	}
	return notice{"fail", must + ", and it ended " + string(verdictOf(verdict.Run{Verdict: got})) + " instead. The tester is broken, whatever the checks say."}
}

func upperWord(v any) string { return string(bytes.ToUpper([]byte(fmt.Sprint(v)))) }
