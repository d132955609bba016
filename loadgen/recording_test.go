package loadgen

import (
	"bytes"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/cutover-dev/cutover/history"
)

const (
	recordedLines = `{"at":"0s","path":"/cart","headers":{"Accept":"*/*","Cookie":"a=1"}}
{"at":"100ms","method":"POST","path":"/orders","body":"{\"sku\":1}"}

{"at":"100ms","path":"/gone","status":404}
{"at":"1.5s","path":"/cart","headers":{"Accept":"*/*"}}
`
	recordedHAR = `{
  "log": {
    "version": "1.2", "creator": {"name": "a browser"},
    "entries": [
      {"startedDateTime": "2026-05-01T10:00:00.100Z",
       "request": {"method": "POST", "url": "https://shop.example/orders?a=1#top", "httpVersion": "HTTP/2",
         "headers": [{"name": ":path", "value": "/orders"}, {"name": "content-type", "value": "application/json"}, {"name": "cookie", "value": "a=1"}],
         "postData": {"mimeType": "application/json", "text": "{}"}},
       "response": {"status": 201}},
      {"startedDateTime": "2026-05-01T12:00:00+02:00",
       "request": {"method": "GET", "url": "https://shop.example/cart", "headers": []},
       "response": {"status": 500}}
    ]
  }
}`
	recordedTraefik = `2026-05-01T10:00:00.3Z stdout F {"level":"info","msg":"started","time":"2026-05-01T10:00:00Z"}
2026-05-01T10:00:00.3Z stdout F {"DownstreamStatus":200,"RequestHost":"shop.example","RequestMethod":"GET","RequestPath":"/cart?a=1","StartUTC":"2026-05-01T10:00:00.250Z","level":"info","msg":"","request_User-Agent":"curl/8","request_X-Request-Id":"7"}
{"DownstreamStatus":403,"RequestHost":"shop.example","RequestMethod":"GET","RequestPath":"/admin","StartUTC":"2026-05-01T10:00:00Z","level":"info","msg":""}
`
	recordedCommon = `10.0.0.1 - - [01/May/2026:10:00:00 +0000] "GET /cart HTTP/1.1" 200 12
10.0.0.1 - ada lovelace [01/May/2026:10:00:00 +0000] "GET /cart HTTP/1.1" 200 - "https://shop.example/" "Mozilla \"5\""
10.0.0.1 - - [01/May/2026:10:00:00 +0000] "\x16\x03\x01" 400 0 "-" "-"
10.0.0.1 - - [01/May/2026:12:00:01 +0200] "HEAD /cart HTTP/2.0" 304 0 "-" "-" "more"
`
)

func TestReadRecording(t *testing.T) {
	for _, row := range []struct {
		comment, text string
		filter        RecordingFilter
		want          string // times and requests
	}{
		{"our own", recordedLines, RecordingFilter{}, "0s GET /cart, 100ms POST /orders, 100ms GET /gone [404], 1.5s GET /cart"},
		{"some methods", recordedLines, RecordingFilter{Methods: []string{"GET"}}, "0s GET /cart, 100ms GET /gone [404], 1.5s GET /cart"},
		// In order, and from the first on; what the server failed at is to be well now.
		{"HAR", recordedHAR, RecordingFilter{}, "0s GET /cart, 100ms POST /orders?a=1"},
		{"Traefik", recordedTraefik, RecordingFilter{}, "0s GET /admin [403], 250ms GET /cart?a=1"},
		// Whole seconds are spread; what the server could not read is skipped.
		{"common and combined", recordedCommon, RecordingFilter{}, "0s GET /cart, 500ms GET /cart, 1s HEAD /cart"},
	} {
		r, err := ReadRecording("file", strings.NewReader(row.text), row.filter)
		if err != nil {
			t.Errorf("%s: %v", row.comment, err)
			continue
		}
		var got []string
		for _, a := range r.Arrivals {
			q := r.Requests[a.Request]
			line := a.At.String() + " " + q.Name()
			if q.Expect.Status != nil {
				line += fmt.Sprint(" ", q.Expect.Status)
			}
			got = append(got, line)
		}
		if strings.Join(got, ", ") != row.want {
			t.Errorf("%s:\n got %s\nwant %s", row.comment, strings.Join(got, ", "), row.want)
		}
	}
}

// What makes requests the same ones, what is sent of them, and what is not.
func TestRecordedRequests(t *testing.T) {
	r, err := ReadRecording("file", strings.NewReader(recordedLines), RecordingFilter{})
	if err != nil {
		t.Fatal(err)
	}
	want := []RequestSpec{
		{Method: "GET", Path: "/cart", Weight: 2, Headers: map[string]string{"Accept": "*/*"}}, // without their cookies they are the same
		{Method: "POST", Path: "/orders", Weight: 1, Body: `{"sku":1}`, Write: true},
		{Method: "GET", Path: "/gone", Weight: 1, Expect: ExpectSpec{Status: []int{404}}},
	}
	if !reflect.DeepEqual(r.Requests, want) {
		t.Errorf("got %+v", r.Requests)
	}
	// Secrets, only if asked for.
	r, err = ReadRecording("file", strings.NewReader(recordedLines), RecordingFilter{Secrets: true})
	if err != nil || len(r.Requests) != 4 || r.Requests[0].Headers["Cookie"] != "a=1" {
		t.Errorf("with secrets: %+v, %v", r.Requests, err)
	}
	r, err = ReadRecording("file", strings.NewReader(recordedHAR), RecordingFilter{})
	if err != nil || !reflect.DeepEqual(r.Requests[1].Headers, map[string]string{"Content-Type": "application/json"}) || r.Requests[1].Body != "{}" {
		t.Errorf("of a HAR: %+v, %v", r.Requests, err)
	}
	r, err = ReadRecording("file", strings.NewReader(recordedTraefik), RecordingFilter{})
	if err != nil || !reflect.DeepEqual(r.Requests[1].Headers, map[string]string{"User-Agent": "curl/8"}) {
		t.Errorf("of an access log: %+v, %v", r.Requests, err)
	}
}

func TestRecordingsThatCannotBeSent(t *testing.T) {
	har := func(old, replacement string) string { return strings.Replace(recordedHAR, old, replacement, 1) }
	for _, row := range []struct {
		comment, text string
		filter        RecordingFilter
		want          string
	}{
		{"empty", "", RecordingFilter{}, "file:1: no request to send again among 0"},
		{"something else", "hello\n", RecordingFilter{}, "file:1: no HAR, no line of Traefik's"},
		// Our own format.
		{"an unknown key", recordedLines + `{"at":"2s","path":"/","wait":1}`, RecordingFilter{}, `file:6: json: unknown field "wait"`},
		{"no time", recordedLines + `{"at":"soon","path":"/"}`, RecordingFilter{}, `file:6: at is "soon": write the time`},
		{"back in time", recordedLines + `{"at":"1s","path":"/"}`, RecordingFilter{}, "file:6: at is 1s, before the line above"},
		{"no path", recordedLines + `{"at":"2s"}`, RecordingFilter{}, `file:6: path is missing`},
		{"two on a line", recordedLines + `{"at":"2s","path":"/"} {}`, RecordingFilter{}, "file:6: more than one request"},
		{"no method", recordedLines + `{"at":"2s","path":"/","method":"G T"}`, RecordingFilter{}, "file:6: G T / cannot be sent"},
		{"a header of two lines", recordedLines + `{"at":"2s","path":"/","headers":{"A":"1\r\nB: 2"}}`, RecordingFilter{}, `file:6: header "A" cannot be sent`},
		{"nothing of the methods", recordedLines, RecordingFilter{Methods: []string{"HEAD"}}, "file:1: no request to send again among 4"},
		// HAR.
		{"another object", "{\n}", RecordingFilter{}, `file:2: no HAR: there is no key "log"`},
		{"cut off", recordedHAR[:len(recordedHAR)-40], RecordingFilter{}, "file:9: unexpected EOF"},
		{"no URL", har("https://shop.example/cart", "data:text/plain,x"), RecordingFilter{}, `file:10: "data:text/plain,x" is no URL`},
		{"a web socket", har("https://shop.example/cart", "wss://shop.example/cart"), RecordingFilter{}, `file:10: "wss://shop.example/cart" is not asked for by HTTP`},
		{"an entry of another shape", har(`"2026-05-01T10:00:00.100Z"`, `7`), RecordingFilter{}, "file:5: no entry of a HAR"},
		{"two hosts", har("https://shop.example/cart", "https://cdn.example/cart"), RecordingFilter{}, "file:1: requests to 2 hosts: choose one: cdn.example, shop.example"},
		{"a body in parts", har(`"text": "{}"`, `"params": [{"name": "a"}]`), RecordingFilter{}, "file:5: the body of the POST is not in the HAR"},
		// Access logs.
		{"no line of a log", recordedTraefik + "{}", RecordingFilter{}, "file:4: no line of an access log: RequestMethod is missing"},
		{"no instant", recordedTraefik + `{"RequestMethod":"GET","RequestPath":"/"}`, RecordingFilter{}, `file:4: StartUTC is ""`},
		{"a body that is not there", strings.Replace(recordedTraefik, `"RequestMethod":"GET"`, `"RequestMethod":"POST"`, 1), RecordingFilter{}, "file:2: a POST has a body, which an access log does not hold"},
		{"a line in another format", recordedCommon + "10.0.0.1 GET /cart\n", RecordingFilter{}, "file:5: no HAR"},
		{"no month", strings.Replace(recordedCommon, "01/May/2026", "01/Foo/2026", 1), RecordingFilter{}, `file:1: "01/Foo/2026:10:00:00 +0000" is no time`},
		{"garbage that was answered well", strings.Replace(recordedCommon, `\x16\x03\x01" 400`, `\x16\x03\x01" 200`, 1), RecordingFilter{}, "file:3: "},
		{"years apart", strings.Replace(recordedCommon, "01/May/2026", "01/May/2016", 1), RecordingFilter{}, "file:4: more than a year after the first one, on line 1"},
	} {
		if _, err := ReadRecording("file", strings.NewReader(row.text), row.filter); err == nil || !strings.HasPrefix(err.Error(), row.want) {
			t.Errorf("%s: got %v, want %s", row.comment, err, row.want)
		}
	}
}

func replaying(t *testing.T, text string, replay ReplaySpec) Spec {
	t.Helper()
	r, err := ReadRecording("file", strings.NewReader(text), RecordingFilter{})
	if err != nil {
		t.Fatal(err)
	}
	spec := valid()
	spec.Arrivals, spec.Replay = Replay, &replay
	if spec, err = spec.Replaying(r); err != nil {
		t.Fatal(err)
	}
	return spec
}

func TestReplayKeepsTheSpacing(t *testing.T) {
	for _, row := range []struct {
		speed Speed
		want  string
	}{
		// 1.5 s and a mean gap of 0.5 s, over and over.
		{1, "0s /cart, 100ms /orders, 100ms /gone, 1.5s /cart, 2s /cart, 2.1s /orders, "},
		{2, "0s /cart, 50ms /orders, 50ms /gone, 750ms /cart, 1s /cart, 1.05s /orders, "},
		{0.5, "0s /cart, 200ms /orders, 200ms /gone, 3s /cart, 4s /cart, 4.2s /orders, "},
	} {
		spec := replaying(t, recordedLines, ReplaySpec{Speed: row.speed}.WithDefaults())
		if err := spec.Validate(); err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, a := range arrivals(t, spec, 1, 6) {
			got += a.offset.String() + " " + a.spec.Path + ", "
			if want := "http://shop" + a.spec.Path; a.target.URL != want || string(a.target.Body) != a.spec.Body {
				t.Errorf("target %+v of %+v", a.target, a.spec)
			}
		}
		if got != row.want {
			t.Errorf("at speed %g:\n got %s\nwant %s", row.speed, got, row.want)
		}
		if want := 2 * float64(row.speed); spec.Rate.PerSecond() != want {
			t.Errorf("at speed %g the rate is %s, want %g/s", row.speed, spec.Rate, want)
		}
	}
}

// What was recorded is sent as it was, whatever stands in it.
func TestReplayFillsNothingIn(t *testing.T) {
	var mu sync.Mutex
	paths := map[string]bool{}
	dial := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		paths[r.URL.Path] = true
	})
	attack(t, dial, func(a *Attack) {
		spec := replaying(t, `{"at":"0s","path":"/a/{{.ID}}"}`+"\n"+`{"at":"10ms","path":"/${b}"}`, ReplaySpec{}.WithDefaults())
		spec.SLO, spec.Timeout = a.Spec.SLO, a.Spec.Timeout
		a.Spec = spec
	})
	mu.Lock()
	defer mu.Unlock()
	if len(paths) != 2 || !paths["/a/{{.ID}}"] || !paths["/${b}"] {
		t.Errorf("asked for %v", paths)
	}
}

// A recording that ends leaves the load going, without arrivals.
func TestReplayEnds(t *testing.T) {
	sink := attack(t, serve(t, nothing), func(a *Attack) {
		spec := replaying(t, strings.ReplaceAll(recordedLines, `"status":404`, `"status":0`), ReplaySpec{Speed: 10, Then: ThenEnd})
		spec.SLO, spec.Timeout = a.Spec.SLO, a.Spec.Timeout
		a.Spec = spec
	})
	if len(sink.requests) != 4 {
		t.Errorf("%d requests, want the 4 of the recording", len(sink.requests))
	}
	ended, _ := history.First[history.LoadEnded](sink.events)
	if ended.At < history.Micros(300_000) {
		t.Errorf("the load ended at %d µs, with the recording", ended.At)
	}
}

func TestReplayRefuses(t *testing.T) {
	for _, row := range []struct {
		comment string
		at      []time.Duration
		speed   Speed
		want    string
	}{
		{"one request", []time.Duration{0}, 1, "no two requests at different times"},
		{"all at once", []time.Duration{0, 0}, 1, "no two requests at different times"},
		{"too fast", []time.Duration{0, time.Millisecond}, 1000, "1000000 requests a second"},
	} {
		var r Recording
		for _, at := range row.at {
			r.Arrivals = append(r.Arrivals, Recorded{At: at})
		}
		_, err := Spec{Replay: &ReplaySpec{Speed: row.speed}}.Replaying(r)
		if err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: got %v, want %s", row.comment, err, row.want)
		}
	}
}

func TestSpeed(t *testing.T) {
	for text, want := range map[string]Speed{"1": 1, "0.5": 0.5, "1e2": 100, "0": 0, "-1": 0, "fast": 0, "NaN": 0, "2x": 0, "1e9": 0} {
		var got Speed
		if err := got.UnmarshalText([]byte(text)); got != want || (err != nil) != (want == 0) {
			t.Errorf("%q is read as %g, %v", text, got, err)
		}
	}
}

// fuzzRecording reads anything in a format without a panic. What it reads is the same once
// written in our own format and read again.
func fuzzRecording(f *testing.F, seed string, parse func([]byte) ([]once, error)) {
	f.Add([]byte(seed))
	f.Add([]byte(strings.ReplaceAll(seed, "GET", "get")))
	f.Add([]byte(seed[:len(seed)/2]))
	f.Fuzz(func(t *testing.T, data []byte) {
		_, _ = parse(data) // also what would not be taken for this format
		all := RecordingFilter{Secrets: true}
		one, err := ReadRecording("file", bytes.NewReader(data), all)
		if err != nil || !utf8.Valid(data) {
			return
		}
		var text bytes.Buffer
		if err := one.Write(&text); err != nil {
			t.Fatal(err)
		}
		again, err := ReadRecording("again", &text, all)
		one.Sum, again.Sum = "", "" // of different files
		if err != nil || !reflect.DeepEqual(one, again) {
			t.Errorf("%+v is read again as %+v, %v", one, again, err)
		}
	})
}

func FuzzRecordedLines(f *testing.F) { fuzzRecording(f, recordedLines, parseRecording) }
func FuzzHAR(f *testing.F)           { fuzzRecording(f, recordedHAR, parseHAR) }
func FuzzTraefikLog(f *testing.F)    { fuzzRecording(f, recordedTraefik, parseTraefik) }
func FuzzCommonLog(f *testing.F)     { fuzzRecording(f, recordedCommon, parseCommonLog) }

func nothing(http.ResponseWriter, *http.Request) {}
