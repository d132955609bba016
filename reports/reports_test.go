package reports

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/cutover-dev/cutover/history"
	"github.com/cutover-dev/cutover/verdict"
)

var update = flag.Bool("update", false, "write the golden files instead of comparing with them")

func drawn(t testing.TB, r Reporter) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := r(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s has changed; look at the difference, then run: go test ./reports -update", path)
	}
}

func TestGolden(t *testing.T) {
	for name, story := range stories() {
		h, r := story()
		golden(t, name+".junit.xml", drawn(t, JUnit(h, r)))
		golden(t, name+".md", drawn(t, Markdown(h, r)))
		golden(t, name+".json", drawn(t, JSON(r)))
	}
	for _, name := range []string{"rolled-back", "promoted", "skipped", "never-recovered", "pod-trouble", "procedure", "differences"} {
		h, r := stories()[name]()
		golden(t, name+".html", drawn(t, HTML(h, r)))
	}
	golden(t, "index.html", drawn(t, Index(entries())))
	golden(t, "suite.junit.xml", drawn(t, JUnitSuite(judged())))
}

func names() []string { return slices.Sorted(maps.Keys(stories())) }

func entries() []IndexEntry {
	var all []IndexEntry
	for _, name := range names() {
		h, r := stories()[name]()
		all = append(all, IndexEntry{Plan: h.Plan, Run: r, Link: name + "/report.html"})
	}
	return all
}

func judged() []Judged {
	var all []Judged
	for _, name := range names() {
		h, r := stories()[name]()
		all = append(all, Judged{h, r})
	}
	return all
}

// fetched is what would make a browser ask a server for something.
var fetched = regexp.MustCompile(`(?i)(src|srcset|data|poster|action)="|url\((?:[^#)]|#[^h])|@import|<link[^>]*href="[^d]|https?://`)

func TestPagesAreSelfContainedAndBalanced(t *testing.T) {
	pages := map[string][]byte{"index": drawn(t, Index(entries())), "set": drawn(t, SetPage(set()))}
	for name, story := range stories() {
		pages[name] = drawn(t, HTML(story()))
	}
	for name, page := range pages {
		if found := fetched.Find(page); found != nil {
			t.Errorf("%s: the page fetches something: %q", name, found)
		}
		checkBalanced(t, name, page)
		checkLinks(t, name, page)
	}
}

// void elements have no end tag.
var void = map[string]bool{"meta": true, "link": true, "br": true}

// checkBalanced asserts that every element that begins ends, in order.
func checkBalanced(t testing.TB, name string, page []byte) {
	t.Helper()
	var open []string
	for z := html.NewTokenizer(bytes.NewReader(page)); ; {
		kind := z.Next()
		tag, _ := z.TagName()
		switch {
		case kind == html.ErrorToken:
			if !errors.Is(z.Err(), io.EOF) || len(open) > 0 {
				t.Errorf("%s: the page ends inside %v: %v", name, open, z.Err())
			}
			return
		case kind == html.StartTagToken && !void[string(tag)]:
			open = append(open, string(tag))
		case kind == html.EndTagToken:
			if len(open) == 0 || open[len(open)-1] != string(tag) {
				t.Fatalf("%s: </%s> ends %v", name, tag, open)
			}
			open = open[:len(open)-1]
		}
	}
}

// checkLinks asserts that ids are unique, and that links within the page lead somewhere.
func checkLinks(t *testing.T, name string, page []byte) {
	ids := map[string]bool{}
	for _, m := range regexp.MustCompile(` id="([^"]+)"`).FindAllSubmatch(page, -1) {
		if ids[string(m[1])] {
			t.Errorf("%s: two elements have the id %s", name, m[1])
		}
		ids[string(m[1])] = true
	}
	for _, m := range regexp.MustCompile(`(?:href="|url\()#([^")]+)`).FindAllSubmatch(page, -1) {
		if !ids[string(m[1])] {
			t.Errorf("%s: nothing has the id %s", name, m[1])
		}
	}
}

func TestHeadingsAreInOrder(t *testing.T) {
	for name, story := range stories() {
		last := 0
		for _, m := range regexp.MustCompile(`<h([1-6])`).FindAllSubmatch(drawn(t, HTML(story())), -1) {
			level := int(m[1][0] - '0')
			if level > last+1 || (last > 0 && level == 1) {
				t.Errorf("%s: h%d follows h%d", name, level, last)
			}
			last = level
		}
	}
}

func TestALongRunStaysSmall(t *testing.T) {
	for _, row := range []struct{ rate, seconds float64 }{
		{3300, 30},  // short and hard
		{200, 1200}, // 20 minutes, with a reading of the gate in each second
	} {
		h, r := rolledBack(20)
		h.Events = append(h.Events, crowd(300).Events...)
		for s := 20.0; s < row.seconds; s++ {
			h.Events = append(h.Events, history.NewEvent(at(s), history.Reading{Gate: "threshold", Step: "weight-25", Status: "pass", N: 200, Q: 0.99, LatUs: 9000, Because: "p99 9ms <= 500ms (n=200)"}))
		}
		h.Requests = traffic(1, row.rate, 1, 1+row.seconds, func(r *rand.Rand, at float64, q *history.Request) {
			v := history.Baseline
			if r.IntN(2) == 0 {
				v = history.Candidate
			}
			answer(q, v, healthy(r)*float64(1+r.IntN(200)))
			q.Expected = r.IntN(100) > 0
		})
		page := drawn(t, HTML(h, r))
		t.Logf("%d requests at %.0f/s: %d kB", len(h.Requests), row.rate, len(page)/1000)
		if len(page) > 1e6 {
			t.Errorf("a page of %d requests has %d bytes, over 1 MB", len(h.Requests), len(page))
		}
	}
}

func TestJSONReadsBack(t *testing.T) {
	_, r := rolledBack(20)
	var back verdict.Run
	if err := json.Unmarshal(drawn(t, JSON(r)), &back); err != nil || back.Scenario != r.Scenario || *back.MTTR.Segments.DetectMs != 1000 {
		t.Errorf("run.json does not read back: %v %+v", err, back)
	}
}

func TestJUnitMapsEveryEnd(t *testing.T) {
	for _, row := range []struct {
		story                     string
		failures, errors, skipped int
	}{
		{"rolled-back", 0, 0, 0},     // all checks pass
		{"never-recovered", 1, 1, 0}, // one fails, one is unjudged
		{"control", 0, 0, 0},         // the same run, but it had to fail
		{"skipped", 0, 0, 1},         // nothing ran
		{"killed", 0, 1, 0},          // its one check is unjudged
		{"differences", 1, 0, 0},     // of its checks, one
		{"broken", 0, 1, 0},          // the harness, not the release
		{"empty", 0, 1, 0},           // the zero run has not passed
	} {
		var got struct {
			Tests    int `xml:"tests,attr"`
			Failures int `xml:"failures,attr"`
			Errors   int `xml:"errors,attr"`
			Skipped  int `xml:"skipped,attr"`
		}
		h, r := stories()[row.story]()
		if err := xml.Unmarshal(drawn(t, JUnit(h, r)), &got); err != nil {
			t.Fatal(err)
		}
		if got.Tests == 0 || got.Failures != row.failures || got.Errors != row.errors || got.Skipped != row.skipped {
			t.Errorf("%s: %+v, want %+v", row.story, got, row)
		}
	}
}

func TestAnUnmetControlFails(t *testing.T) {
	h, r := promoted()
	r.Control = &verdict.ControlResult{Want: verdict.Fail}
	if out := string(drawn(t, JUnit(h, r))); !strings.Contains(out, `failures="1"`) {
		t.Errorf("an unmet control is not a failure:\n%s", out)
	}
	if got := worst([]IndexEntry{{Run: r}}); got != verdict.Fail {
		t.Errorf("an unmet control counts as %s", got)
	}
}

func TestAWriteErrorIsReported(t *testing.T) {
	h, r := promoted()
	for name, report := range map[string]Reporter{"html": HTML(h, r), "junit": JUnit(h, r), "json": JSON(r), "markdown": Markdown(h, r), "index": Index(entries()), "set": SetPage(set()), "set.json": SetJSON(verdict.Set{}), "set closing": SetClosing(verdict.Set{})} {
		if report(shut{}) == nil {
			t.Errorf("%s: a failed write goes unnoticed", name)
		}
	}
}

// shut is a writer that takes nothing.
type shut struct{}

func (shut) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

// TestSavedRecords draws what the judge says of the records that it is tested with.
func TestSavedRecords(t *testing.T) {
	saved, err := filepath.Glob("../verdict/testdata/*/requests.ndjson")
	if err != nil || len(saved) == 0 {
		t.Fatalf("no saved records: %v", err)
	}
	for _, requests := range saved {
		dir := filepath.Dir(requests)
		h := history.History{Events: readAll[history.Event](t, filepath.Join(dir, "events.ndjson")), Requests: readAll[history.Request](t, requests)}
		plan, _ := history.First[history.Plan](h.Events)
		h.Plan = plan.Data
		r := verdict.Judge(h)
		page := drawn(t, HTML(h, r))
		checkBalanced(t, dir, page)
		if !bytes.Contains(page, []byte(`id="story-figure"`)) || !strings.Contains(html.UnescapeString(string(page)), r.Because) {
			t.Errorf("%s: the page lacks its story or its sentence: %s", dir, r.Because)
		}
		drawn(t, JUnit(h, r))
		drawn(t, Markdown(h, r))
	}
}

func readAll[T any](t *testing.T, path string) []T {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var all []T
	for d := json.NewDecoder(file); d.More(); {
		var one T
		if err := d.Decode(&one); err != nil {
			t.Fatal(err)
		}
		all = append(all, one)
	}
	return all
}

// nasty puts a string everywhere that a user, a cluster or a service can.
func nasty(s string) (history.History, verdict.Run) {
	h, r := rolledBack(4)
	p := &h.Plan
	p.Scenario, p.Why, p.Path, p.Replay, p.Provider, p.Started = s, s, s, s, s, s
	p.Faults[0].Name, p.Facts = s, map[string]string{s: s}
	r.Scenario, r.Because, r.Replay, r.Verdict = s, s, s, verdict.Fail
	r.Outcome = ptr(verdict.Outcome(s))
	r.Steps[0].Name, r.Findings, r.Residue = s, []string{s}, []string{s}
	r.Checks[0] = verdict.Finding{Name: s, Status: s, Want: s, Got: s, Because: s}
	r.Faults[0].Because, r.Faults[0].Pods = s, []string{s}
	r.Diff = ptr(verdict.JudgeDiff(history.Diff{Chosen: 80, Compared: 80, Dropped: map[string]int64{s: 1}, Requests: map[string]int64{s: 80}, Fields: 2,
		Odd: []history.OddField{{Request: s, Field: s, Candidate: 80, Sample: &history.OddSample{ID: s, Baseline: s, Candidate: s}}, {Request: s, Field: s, AllDiffer: 80}}}))
	for i := range h.Requests {
		h.Requests[i].Name, h.Requests[i].Err, h.Requests[i].Body, h.Requests[i].Expected = s, s, s, false
	}
	h.Events = append(h.Events,
		history.NewEvent(at(20), history.ClusterEvent{Object: s, Reason: s, Message: s, Warning: true}),
		history.NewEvent(at(19), history.PodSeen{Pod: s, Version: history.Version(s), Phase: s, Restarts: 1, Killed: true, Reason: s}),
		history.NewEvent(at(20), history.PodSeen{Pod: s, Phase: "gone", Reason: s}),
		history.NewEvent(at(20), history.FaultInjected{Pod: s}),
		history.NewEvent(at(20), history.ProcedureBegan{Attempt: 1}),
		history.NewEvent(at(20), history.APIRequest{Writer: "procedure", Began: at(20), Verb: s, Object: s, Subresource: s, Because: s, Injected: s}),
		history.NewEvent(at(20), history.ProcedureOutput{Stream: s, Line: s}),
		history.NewEvent(at(20), history.EndState{Compared: true, Differences: []string{s}}),
		history.NewEvent(at(20), history.Reading{Gate: s, Step: s, Status: s, Because: s}),
		history.Event{At: at(21), Type: s, Data: json.RawMessage(`{"a":1}`)})
	return h, r
}

func FuzzNastyStrings(f *testing.F) {
	for _, s := range []string{
		`</script><script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `</title></svg></style>`, `]]>`, "a|b\n| c `d`",
		`javascript:alert(1)`, "\x00\x1b[31m\xff", "`````", "{{.}}", `<!--`, strings.Repeat("長", 500),
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		h, r := nasty(s)
		page := drawn(t, HTML(h, r))
		checkBalanced(t, "html", page)
		if n := bytes.Count(page, []byte("<script")); n != 1 {
			t.Errorf("the page has %d scripts", n)
		}
		checkBalanced(t, "index", drawn(t, Index([]IndexEntry{{Plan: h.Plan, Run: r, Link: s}})))
		var parsed struct{}
		if err := xml.Unmarshal(drawn(t, JUnit(h, r)), &parsed); err != nil {
			t.Errorf("JUnit is not well-formed: %v", err)
		}
		md := string(drawn(t, Markdown(h, r)))
		if i := strings.LastIndex(md, "Replay: "); i >= 0 && strings.Contains(md[:i], "<") {
			t.Error("Markdown lets HTML through")
		}
		drawn(t, JSON(r))
	})
}

// A load with a shape has no mean that could be told.
func TestLoadIsTold(t *testing.T) {
	h, r := rolledBack(40)
	for shape, want := range map[string]string{"": "200 requests/s on average", "then to 400/s within 1m0s": "200 requests/s, then to 400/s within 1m0s"} {
		h.Plan.Shape = shape
		if !bytes.Contains(drawn(t, HTML(h, r)), []byte("<td>"+want+"</td>")) {
			t.Errorf("the page does not say %q", want)
		}
	}
}

func TestBadRequestsAreCountedOnce(t *testing.T) {
	h, r := rolledBack(40)
	rec := record{h: h, r: r}
	flow := newTimeline(rec)
	n, bad := 0, 0
	for _, b := range flow.bins {
		n += b.n()
		bad += b.slow + b.failed
	}
	wantN, wantBad := 0, 0
	for _, q := range h.Requests {
		if q.Intended >= flow.from {
			wantN++
			if q.Bad(500 * time.Millisecond) {
				wantBad++
			}
		}
	}
	if n != wantN || bad != wantBad || bad == 0 {
		t.Errorf("the timeline has %d requests, %d bad; the record %d, %d", n, bad, wantN, wantBad)
	}
}
