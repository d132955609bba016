package loadgen

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/cutover-dev/cutover/history"
)

// answered makes a reply of a body, as it comes over the wire.
func answered(t testing.TB, status int, header http.Header, body string) *reply {
	t.Helper()
	r := &reply{}
	if err := r.read(&http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(body))}); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestFieldsOfAnAnswer(t *testing.T) {
	for _, row := range []struct {
		comment string
		header  http.Header
		body    string
		ignore  ignored
		want    map[string]string
	}{
		{"nothing", nil, "", nil, map[string]string{"format": "empty"}},
		// Objects and arrays, with the types of what is in them.
		{
			"JSON", nil, `{"total":7,"of":"7","items":[{"price":1.50},null],"ok":true}`, nil,
			map[string]string{"format": "JSON", "body.total": "7", "body.of": `"7"`, "body.items[0].price": "1.50", "body.items[1]": "null", "body.ok": "true"},
		},
		{"empty ones are values, too", nil, `{"a":{},"b":[]}`, nil, map[string]string{"format": "JSON", "body.a": "{}", "body.b": "[]"}},
		{"a value alone", nil, `3`, nil, map[string]string{"format": "JSON", "body": "3"}},
		{"keys that would be read as paths", nil, `{"a.b":1,"":2}`, nil, map[string]string{"format": "JSON", `body["a.b"]`: "1", `body[""]`: "2"}},
		{"two values are text", nil, `{} {}`, nil, map[string]string{"format": "text", "body": "5 bytes, sha256 2cec2bbf1a64ea52"}},
		{"text", nil, "hello", nil, map[string]string{"format": "text", "body": "5 bytes, sha256 2cf24dba5fb0a30e"}},
		{
			"headers, without those of the connection", http.Header{"X-A": {"1", "2"}, "Date": {"now"}, "Connection": {"close"}, "Content-Length": {"0"}}, "", nil,
			map[string]string{"format": "empty", "header.X-A": `"1, 2"`},
		},
		{
			"what may differ, with what is below it", http.Header{"X-Version": {"v1"}}, `{"id":{"a":1},"identity":2,"items":[{"id":1,"n":2}]}`,
			ignoring([]string{"header.x-version", "body.id", "body.items[*].id"}),
			map[string]string{"format": "JSON", "body.identity": "2", "body.items[0].n": "2"},
		},
	} {
		row.want["status"] = "200"
		got, large := answered(t, 200, row.header, row.body).fields(row.ignore)
		if large || fmt.Sprint(got) != fmt.Sprint(row.want) {
			t.Errorf("%s:\n got %v\nwant %v", row.comment, got, row.want)
		}
	}
}

// What is too large to be taken apart is compared as a whole, to its last byte.
func TestLargeAnswers(t *testing.T) {
	many := "[" + strings.Repeat("1,", maxLeaves) + "1]"
	deep := strings.Repeat("[", deepestLeaf+2) + strings.Repeat("]", deepestLeaf+2)
	long := `"` + strings.Repeat("x", parsedBody) + `"`
	for _, body := range []string{many, deep, long} {
		one, large := answered(t, 200, nil, body).fields(nil)
		if len(one) != 3 || one["format"] != "text" || !large {
			t.Errorf("%.20q… has fields %.200v, want its hash alone", body, one)
		}
		other, _ := answered(t, 200, nil, body[:len(body)-1]+" ").fields(nil)
		if one["body"] == other["body"] {
			t.Errorf("%.20q…: its last byte is not compared", body)
		}
	}
}

// What is too large is not held, whether it says beforehand how large it is or not.
func TestLargeAnswersAreNotKept(t *testing.T) {
	body := strings.Repeat("x", 10*parsedBody)
	for _, told := range []int64{int64(len(body)), -1} {
		var r reply
		err := r.read(&http.Response{StatusCode: 200, ContentLength: told, Body: io.NopCloser(strings.NewReader(body))})
		if err != nil || r.kept != nil || r.size != int64(len(body)) {
			t.Errorf("with a length of %d, some of %d bytes are kept (%v)", told, r.size, err)
		}
	}
	// A buffer that is used again holds nothing of before.
	for _, body := range []string{"a long one", "short"} {
		r := answered(t, 200, nil, body)
		if r.kept.String() != body {
			t.Errorf("%q is kept as %q", body, r.kept)
		}
		r.release()
	}
	// One of the limit itself is.
	if r := answered(t, 200, nil, body[:parsedBody]); r.kept.Len() != parsedBody {
		t.Errorf("%d bytes are kept of %d", r.kept.Len(), r.size)
	}
}

func TestOddOne(t *testing.T) {
	has := func(value string) map[string]string { return map[string]string{"f": value} }
	for _, row := range []struct {
		comment                  string
		first, second, candidate map[string]string
		want                     oddOne
	}{
		{"all the same", has("1"), has("1"), has("1"), nobody},
		{"all different, as ids are", has("1"), has("2"), has("3"), everybody},
		{"the candidate's", has("1"), has("1"), has("2"), theCandidate},
		{"the first of the baseline's", has("2"), has("1"), has("1"), theBaseline},
		{"the second of the baseline's", has("1"), has("2"), has("1"), theBaseline},
		{"only the candidate lacks it", has("1"), has("1"), nil, theCandidate},
		{"only the candidate has it", nil, nil, has("1"), theCandidate},
		// Missing is not empty.
		{"empty instead of missing", nil, nil, has(""), theCandidate},
		{"one of the baseline's lacks it", has("1"), nil, has("1"), theBaseline},
	} {
		a := answers{baseline: [2]map[string]string{row.first, row.second}, candidate: row.candidate}
		if got := a.of("f"); got != row.want {
			t.Errorf("%s: got %d, want %d", row.comment, got, row.want)
		}
	}
}

func TestComparisonCounts(t *testing.T) {
	c := newComparison()
	same := map[string]string{"status": "200", "body.total": "7", "header.Set-Cookie": `"a=1"`}
	wrong := map[string]string{"status": "200", "body.total": "8", "header.Set-Cookie": `"a=2"`}
	c.add("GET /cart", "run-1", answers{[2]map[string]string{same, same}, wrong, true})
	c.add("GET /cart", "run-2", answers{[2]map[string]string{same, wrong}, same, false})
	c.add("GET /other", "run-3", answers{[2]map[string]string{same, same}, same, false})
	d := c.result()
	if d.Compared != 3 || d.Large != 1 || d.Fields != 6 || d.Requests["GET /cart"] != 2 || len(d.Odd) != 2 {
		t.Fatalf("got %+v", d)
	}
	total := d.Odd[0]
	if total.Field != "body.total" || total.Candidate != 1 || total.Baseline != 1 || total.Sample.ID != "run-1" || total.Sample.Baseline != "7" || total.Sample.Candidate != "8" {
		t.Errorf("got %+v with sample %+v", total, total.Sample)
	}
	// A cookie is a secret of a user's.
	if cookie := d.Odd[1].Sample; cookie.Candidate != "(not shown)" {
		t.Errorf("the sample shows %+v", cookie)
	}
}

// What differs always is counted, too, so that a reader sees that it was looked at.
func TestComparisonCountsNoise(t *testing.T) {
	c := newComparison()
	id := func(value string) map[string]string { return map[string]string{"body.id": value} }
	c.add("GET /", "", answers{[2]map[string]string{id("1"), id("2")}, id("3"), false})
	c.add("GET /", "", answers{[2]map[string]string{id("4"), id("5")}, id("5"), false})
	want := history.OddField{Request: "GET /", Field: "body.id", Baseline: 1, AllDiffer: 1}
	if d := c.result(); len(d.Odd) != 1 || d.Odd[0] != want {
		t.Errorf("got %+v, want %+v", d.Odd, want)
	}
}

// Documents whose keys are never the same again are counted in bounded memory, and what
// is wrong with their values is seen all the same.
func TestEndlessFields(t *testing.T) {
	c := newComparison()
	for i := range maxFields + 50 {
		one := map[string]string{fmt.Sprintf("body.k%d", i): "1"}
		other := map[string]string{fmt.Sprintf("body.k%d", i): "2"}
		c.add("GET /", "", answers{[2]map[string]string{one, one}, other, false})
	}
	d := c.result()
	if d.Fields != maxFields+1 {
		t.Fatalf("%d fields are counted", d.Fields)
	}
	if others := d.Odd[0]; others.Field != otherFields || others.Candidate != 50 {
		t.Errorf("got %+v", others)
	}
}

// FuzzFields takes anything apart without a panic, within its limits, and the same way
// each time.
func FuzzFields(f *testing.F) {
	for _, body := range []string{``, `{`, `{"a":[1,{"b":null}]}`, `[[[[]]]]`, `{"a":1,"a":2}`, "\xff", `1e999999999`} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		read := func() map[string]string {
			fields, _ := answered(t, 200, nil, string(body)).fields(ignored{"body.a[*].b"})
			return fields
		}
		one, other := read(), read()
		if len(one) > maxLeaves+3 || fmt.Sprint(one) != fmt.Sprint(other) {
			t.Errorf("%d fields, and then %d", len(one), len(other))
		}
	})
}
