package gates

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cutover-dev/cutover/history"
)

// fakeAPI is a Prometheus that says what it is told to.
type fakeAPI struct {
	value string // the answer to the query; NOW is the present
	age   string // the answer to the question for the age of its samples; "" for one of 3 s
	names string // the metrics that it knows; "" for those of the query
}

func (f fakeAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	body := f.value
	switch {
	case strings.HasPrefix(r.URL.Path, "/api/v1/label/__name__/values"):
		body = fmt.Sprintf(`{"status":"success","data":[%s]}`, f.names)
		if f.names == "" {
			body = `{"status":"success","data":["errors_total","requests_total"]}`
		}
	case r.URL.Path != "/prefix/api/v1/query" && r.URL.Path != "/api/v1/query":
		http.NotFound(w, r)
		return
	case strings.Contains(r.FormValue("query"), "timestamp("):
		body = f.age
		if f.age == "" {
			body = `{"status":"success","data":{"resultType":"vector","result":[{"metric":{"selector":"0"},"value":[NOW,"3"]}]}}`
		}
	}
	_, _ = fmt.Fprint(w, strings.ReplaceAll(body, "NOW", strconv.FormatInt(time.Now().Unix(), 10)))
}

func vector(samples string) string {
	return `{"status":"success","data":{"resultType":"vector","result":[` + samples + `]}}`
}

func TestPrometheus(t *testing.T) {
	good := vector(`{"metric":{},"value":[NOW,"0.002"]}`)
	for _, row := range []struct {
		name            string
		api             fakeAPI
		query           string // "" for errors_total / requests_total
		absent          []string
		status, because string
	}{
		// HAPPY: one series, and a scalar.
		{"a series", fakeAPI{value: good}, "", nil, Pass, "0.2% <= 1%"},
		{"a scalar", fakeAPI{value: `{"status":"success","data":{"resultType":"scalar","result":[NOW,"0.002"]}}`}, "", nil, Pass, "0.2% <= 1%"},
		{"information is no warning", fakeAPI{value: strings.Replace(good, `{"status"`, `{"infos":["metric might not be a counter"],"status"`, 1)}, "", nil, Pass, "0.2% <= 1%"},
		// SAD.
		{"over", fakeAPI{value: vector(`{"metric":{},"value":[NOW,"0.2"]}`)}, "", nil, Fail, "20% > 1%"},
		// NO DATA: the server says so.
		{"an error", fakeAPI{value: `{"status":"error","errorType":"bad_data","error":"parse error"}`}, "", nil, NoData, "bad_data: parse error"},
		{"a warning", fakeAPI{value: strings.Replace(good, `{"status"`, `{"warnings":["a store is down"],"status"`, 1)}, "", nil, NoData, "a store is down"},
		// NO DATA: it is no number.
		{"a matrix", fakeAPI{value: `{"status":"success","data":{"resultType":"matrix","result":[]}}`}, "", nil, NoData, "gives a matrix"},
		{"a text", fakeAPI{value: `{"status":"success","data":{"resultType":"string","result":[NOW,"0.002"]}}`}, "", nil, NoData, "gives a string"},
		{"a histogram", fakeAPI{value: vector(`{"metric":{},"histogram":[NOW,{"count":"1"}]}`)}, "", nil, NoData, "histogram"},
		{"not one", fakeAPI{value: vector(`{"metric":{"pod":"a"},"value":[NOW,"0"]},{"metric":{"pod":"b"},"value":[NOW,"0"]}`)}, "", nil, NoData, `2 series ({pod="a"}, {pod="b"}`},
		{"no number", fakeAPI{value: vector(`{"metric":{},"value":[NOW,"few"]}`)}, "", nil, NoData, "cannot be read as a vector"},
		{"nothing", fakeAPI{value: vector(``)}, "", nil, NoData, "no series of them with these labels"},
		{"somebody else", fakeAPI{value: `{"hello":"world"}`}, "", nil, NoData, "what no Prometheus says"},
		{"success without data", fakeAPI{value: `{"status":"success"}`}, "", nil, NoData, "has no data"},
		// NO DATA: it is old, or rests on nothing.
		{"answered long ago", fakeAPI{value: vector(`{"metric":{},"value":[1000,"0.002"]}`)}, "", nil, NoData, "by this machine's clock"},
		{"old samples", fakeAPI{value: good, age: vector(`{"metric":{"selector":"1"},"value":[NOW,"16"]}`)}, "", nil, NoData, "newest sample of requests_total is 16s old, older than 15s"},
		{"no samples", fakeAPI{value: good, age: vector(``)}, "", nil, NoData, "rests on no sample"},
		{"a number alone", fakeAPI{value: good}, "vector(0)", nil, NoData, "names no metric"},
		// NO DATA: a metric that the server never heard of, in a query that hides it.
		{"unknown", fakeAPI{value: good, names: `"requests_total"`}, "", nil, NoData, "knows no metric errors_total:"},
		{"unknown, and nothing", fakeAPI{value: vector(``), names: `"other"`}, "", nil, NoData, "knows no metric errors_total, requests_total:"},
		// HAPPY: it may be absent, as the scenario says.
		{"may be absent", fakeAPI{value: good, names: `"requests_total"`}, "", []string{"errors_total"}, Pass, "0.2% <= 1%"},
	} {
		t.Run(row.name, func(t *testing.T) {
			server := httptest.NewServer(row.api)
			defer server.Close()
			p := Prometheus{URL: server.URL, Query: row.query, Max: limit(t, "1%"), Absent: row.absent}.WithDefaults()
			if p.Query == "" {
				p.Query = "(sum(rate(errors_total[1m])) or vector(0)) / sum(rate(requests_total[1m]))"
			}
			got := p.source("", Place{}).ask(t.Context(), Question{})
			if got.Status != row.status || !strings.Contains(got.Because, row.because) {
				t.Errorf("%s because %q, want %s because %q", got.Status, got.Because, row.status, row.because)
			}
			if (got.Value != nil) != (got.Status != NoData) {
				t.Errorf("value %v of %s", got.Value, got.Status)
			}
		})
	}
}

// The address may have a path, and headers say who asks.
func TestPrometheusBehindAPath(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer ns" {
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
		r.URL.Path = strings.TrimPrefix(r.URL.Path, "/prefix")
		fakeAPI{value: vector(`{"metric":{},"value":[NOW,"0"]}`), names: `"up"`}.ServeHTTP(w, r)
	}))
	defer server.Close()
	p := Prometheus{URL: server.URL + "/prefix/", Query: `up{namespace="{{.Namespace}}"}`, Max: limit(t, "1%"), Headers: map[string]string{"Authorization": "Bearer {{.Namespace}}"}}.WithDefaults()
	q := Question{Values: Values{Namespace: "ns"}}
	if got := p.source("", Place{}).ask(t.Context(), q); got.Status != Pass {
		t.Errorf("%+v", got)
	}
	p.Headers = nil
	if got := p.source("", Place{}).ask(t.Context(), q); got.Status != NoData || !strings.Contains(got.Because, "401") {
		t.Errorf("%+v", got)
	}
}

// A page that is redirected to is not the source that was named.
func TestNoRedirectIsFollowed(t *testing.T) {
	passes := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, `{"status":"pass"}`) }))
	defer passes.Close()
	server := httptest.NewServer(http.RedirectHandler(passes.URL, http.StatusTemporaryRedirect))
	defer server.Close()
	for _, statusOnly := range []bool{false, true} {
		got := Webhook{URL: server.URL, StatusOnly: statusOnly}.source("", Place{}).ask(t.Context(), Question{})
		if got.Status != NoData || !strings.Contains(got.Because, "307") {
			t.Errorf("statusOnly %v: %+v", statusOnly, got)
		}
	}
}

// What is asked of a gate once stands for its step, and for no other.
func TestAsideAsksOnceAStep(t *testing.T) {
	asked := 0
	status := Pass
	a := &aside{asking: asking{timeout: time.Second, once: true, steps: []string{"a", "b"}}, title: "x", grace: time.Second,
		source: sourceFunc(func(context.Context, Question) Answer { asked++; return Answer{Status: status, Because: "so"} })}
	read := func(step string, performing bool) string {
		return a.Read(t.Context(), still{}, Span{Step: step, Performing: performing, To: history.Micros(asked)}).Status
	}
	for i, row := range []struct {
		step       string
		performing bool
		says, want string
		asked      int
	}{
		// While the step is on its way nobody is asked.
		{"a", true, Pass, Silent, 0},
		{"a", false, Pass, Pass, 1},
		// Its pass stands.
		{"a", false, Fail, Silent, 1},
		// Another step, another question; and a failure is asked again.
		{"b", false, Fail, Fail, 2},
		{"b", false, NoData, NoData, 3},
		{"b", false, Pass, Pass, 4},
		// A step that it is not asked at.
		{"c", false, Fail, Silent, 4},
		// The first step again.
		{"a", false, Fail, Fail, 5},
	} {
		status = row.says
		if got := read(row.step, row.performing); got != row.want || asked != row.asked {
			t.Errorf("%d: %s, asked %d times; want %s, %d", i, got, asked, row.want, row.asked)
		}
	}
}

type sourceFunc func(context.Context, Question) Answer

func (f sourceFunc) ask(ctx context.Context, q Question) Answer { return f(ctx, q) }
