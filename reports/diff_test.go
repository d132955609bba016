package reports

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/cutover-dev/cutover/history"
	"github.com/cutover-dev/cutover/verdict"
)

func TestOnlyWhatIsComparedHasDifferences(t *testing.T) {
	for name, story := range stories() {
		if has := strings.Contains(string(drawn(t, HTML(story()))), `id="differences"`); has != (name == "differences") {
			t.Errorf("%s: a section of differences: %v", name, has)
		}
	}
	// What was expected and did not come is said.
	h, r := answersDiffer()
	r.Diff = nil
	s, told := diffSection(record{h: h, r: r})
	if !told || len(s.Tables) > 0 || !strings.Contains(s.Notes[0], "no answers were compared") {
		t.Errorf("got %v, %+v", told, s)
	}
}

func TestDiffSection(t *testing.T) {
	h, r := answersDiffer()
	s, _ := diffSection(record{h: h, r: r})
	believed, noise, requests, books := s.Tables[0], s.Tables[1], s.Tables[2], s.Tables[3]
	for _, c := range []struct {
		comment   string
		got, want []string
	}{
		{"the surest first", columnOf(believed, 0), []string{"header.Set-Cookie", "body.items[0].price"}},
		{"how often the candidate's is the odd one", columnOf(believed, 2), []string{"100 % (400)", "1.2 % (14)"}},
		{"and how often the baseline's differ", columnOf(believed, 3), []string{"0 % (0)", "0 % (0)"}},
		{"how sure it is, with digits that are true", columnOf(believed, 4), []string{"1 in 10¹⁸⁸", "1 in 10⁵"}},
		{"an example", columnOf(believed, 6), []string{"(missing)", "1.5"}},
		// Three odd answers might be more than chance, and so stand before what is none.
		{"noise, the most suspicious first", columnOf(noise, 0), []string{"status", "body.id", "body.at", "body.stock"}},
		{"what differs always does so between the baselines, too", columnOf(noise, 3)[1:2], []string{"100 % (1,200)"}},
		{"what is no evidence", columnOf(noise, 4)[1:], []string{"none", "none", "none"}},
		{"what would have been found", columnOf(requests, 2), []string{"from 1.3 %", "from 3.9 %", "nothing"}},
		{"the books", columnOf(books, 1), []string{"1,600", "12", "97", "6", "2", "1,705"}},
	} {
		if !slices.Equal(c.got, c.want) {
			t.Errorf("%s: %q, want %q", c.comment, c.got, c.want)
		}
	}
	if sum := books.Rows[len(books.Rows)-1][0]; sum.Mark != "pass" {
		t.Errorf("the books balance, and are marked %q", sum.Mark)
	}
	d := *r.Diff
	d.Chosen++
	unbalanced := chosenTable(d)
	if sum := unbalanced.Rows[len(unbalanced.Rows)-1][0]; sum.Mark != "fail" || !strings.Contains(sum.Text, "not the sum, 1,705") {
		t.Errorf("the books do not balance, and it says %+v", sum)
	}
}

func TestDiffSentence(t *testing.T) {
	field := verdict.DifferingField{OddField: history.OddField{Field: "status"}}
	for _, c := range []struct {
		d    verdict.Diff
		want string
	}{
		{verdict.Diff{}, "Nothing was compared, so that nothing is known."},
		{verdict.Diff{Compared: 1, Fields: 3}, "No field differs by more than chance, of 3 fields in 1 request that were compared."},
		{verdict.Diff{Compared: 20, Fields: 3, Differing: []verdict.DifferingField{field}}, "1 field of the candidate's answers differs from the baseline's by more than chance, of 3 fields in 20 requests that were compared."},
		{verdict.Diff{Compared: 20, Fields: 3, Differing: []verdict.DifferingField{field, field}}, "2 fields of the candidate's answers differ from the baseline's by more than chance, of 3 fields in 20 requests that were compared."},
	} {
		if got := diffSentence(c.d); got != c.want {
			t.Errorf("got %q\nwant %q", got, c.want)
		}
	}
}

func TestEvidence(t *testing.T) {
	for _, c := range []struct {
		comment string
		e       float64
		want    string
	}{
		{"against it", 0.1, "none"},
		{"none", 1, "none"},
		{"some", 850.4, "1 in 850"},
		{"much, rounded to where there is less of it", 9.9e11, "1 in 10¹¹"},
	} {
		if got := evidence(math.Log(c.e)); got != c.want {
			t.Errorf("%s: %q, want %q", c.comment, got, c.want)
		}
	}
}

// A page of a service whose every answer is wrong in every field stays a page.
func TestManyDifferences(t *testing.T) {
	seen := history.Diff{Chosen: 50, Compared: 50, Requests: map[string]int64{"GET /": 50}, Fields: 5000}
	for i := range seen.Fields {
		seen.Odd = append(seen.Odd, history.OddField{Request: "GET /", Field: fmt.Sprintf("body.rows[%d].total", i), Candidate: 50,
			Sample: &history.OddSample{ID: "r-1", Baseline: strings.Repeat("a", 200), Candidate: strings.Repeat("b", 200)}})
	}
	h, r := answersDiffer()
	r.Diff = ptr(verdict.JudgeDiff(seen))
	page, short := drawn(t, HTML(h, r)), drawn(t, Markdown(h, r))
	if !strings.Contains(string(page), "4,900 more fields in run.json") || len(page) > 200_000 || len(short) > 6000 {
		t.Errorf("%d bytes of HTML, %d of Markdown", len(page), len(short))
	}
}
