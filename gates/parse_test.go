package gates

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"unicode/utf8"
)

func limit(t *testing.T, word string) *Number {
	t.Helper()
	n := &Number{}
	if err := n.UnmarshalText([]byte(word)); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestNumber(t *testing.T) {
	for _, row := range []struct {
		word string
		want float64
		like string // 0.25 as it is written
	}{
		// As Prometheus counts.
		{"0.01", 0.01, "0.25"},
		// A share.
		{"1%", 0.01, "25%"},
		{"99.9 %", 0.999, "25%"},
		// A time, in seconds.
		{"500ms", 0.5, "250ms"},
		{"1m", 60, "250ms"},
		// Below nothing.
		{"-3", -3, "0.25"},
	} {
		n := limit(t, row.word)
		if math.Abs(n.Value-row.want) > 1e-12 || n.like(0.25) != row.like || n.String() != row.word {
			t.Errorf("%q: %v, 0.25 is %q; want %v, %q", row.word, n.Value, n.like(0.25), row.want, row.like)
		}
	}
	for _, word := range []string{"", "%", "lots", "NaN", "Inf", "-inf%", "1e999", "5 apples", "1%%"} {
		if err := new(Number).UnmarshalText([]byte(word)); err == nil {
			t.Errorf("%q is taken for a number", word)
		}
	}
}

func TestPrometheusJudges(t *testing.T) {
	for _, row := range []struct {
		name     string
		min, max string // "" for none
		value    float64
		want     string
		because  string
	}{
		// HAPPY: within, and at the limit.
		{"within", "", "1%", 0.002, Pass, "0.2% <= 1%"},
		{"at the limit", "", "1%", 0.01, Pass, "1% <= 1%"},
		{"between", "10", "20", 15, Pass, "15 <= 20, 15 >= 10"},
		// SAD: over, and under.
		{"over", "", "500ms", 0.611, Fail, "611ms > 500ms"},
		{"under", "100", "", 99, Fail, "99 < 100"},
		{"under, of both", "10", "20", 9, Fail, "9 < 10"},
		// SAD: a latency beyond the last bucket is over any limit.
		{"endless", "", "500ms", math.Inf(1), Fail, "+Inf > 500ms"},
		{"nothing at all", "1", "", math.Inf(-1), Fail, "-Inf < 1"},
		// NO DATA: what a division by nothing gives keeps no limit.
		{"endless throughput", "100", "", math.Inf(1), NoData, "divide"},
		{"endless in the right way", "", "1%", math.Inf(-1), NoData, "divide"},
	} {
		p := Prometheus{}
		if row.min != "" {
			p.Min = limit(t, row.min)
		}
		if row.max != "" {
			p.Max = limit(t, row.max)
		}
		got := prometheus{Prometheus: p}.judge(row.value)
		if got.Status != row.want || !strings.Contains(got.Because, row.because) {
			t.Errorf("%s: %s because %q, want %s because %q", row.name, got.Status, got.Because, row.want, row.because)
		}
	}
}

func TestSelectorsOfAQuery(t *testing.T) {
	for _, row := range []struct{ query, want string }{
		// One, however deep.
		{`up`, `up`},
		{`histogram_quantile(0.99, sum by (le) (rate(http_seconds_bucket{job="shop"}[1m])))`, `http_seconds_bucket{job="shop"}`},
		// Each once, and by its labels.
		{`sum(rate(a{c="5"}[1m])) / sum(rate(a[1m])) or vector(0) * sum(rate(a[1m]))`, `a{c="5"} a`},
		// Of a comparison with the past, what is there now.
		{`a / a offset 1w`, `a`},
		{`max_over_time(a[5m:10s] @ 1609746000)`, `a`},
		// Names that are quoted, and patterns of names.
		{`sum({"http.requests",code!="200"})`, `{__name__="http.requests",code!="200"}`},
		{`sum({__name__=~"http_.*",code!~"2.."})`, `{__name__=~"http_.*",code!~"2.."}`},
		// By labels alone.
		{`count({job="shop"})`, `{job="shop"}`},
		// Words of the language are no metrics.
		{`a + on (b) group_left (c) d unless bool_metric`, `a d bool_metric`},
		// None.
		{`vector(0)`, ``},
		{`1`, ``},
	} {
		found, err := selectorsOf(row.query)
		var texts []string
		for _, s := range found {
			texts = append(texts, s.text)
		}
		if got := strings.Join(texts, " "); err != nil || got != row.want {
			t.Errorf("%s: %q, %v; want %q", row.query, got, err, row.want)
		}
	}
}

func TestServicesOfTheCluster(t *testing.T) {
	for _, row := range []struct {
		host, service, namespace string
		inside                   bool
	}{
		{"prometheus.monitoring.svc", "prometheus", "monitoring", true},
		{"prometheus.monitoring.svc.cluster.local", "prometheus", "monitoring", true},
		// Others' hosts.
		{"prometheus.example.com", "", "", false},
		{"localhost", "", "", false},
		{"svc", "", "", false},
		{"prometheus.svc", "", "", false},
	} {
		service, namespace, inside := serviceOf(row.host)
		if inside != row.inside || inside && (service != row.service || namespace != row.namespace) {
			t.Errorf("%s: %q %q %v", row.host, service, namespace, inside)
		}
	}
}

func TestTextsAreFilledIn(t *testing.T) {
	v := Values{Namespace: "ns", Candidate: "shop-candidate"}
	if got, err := text(`up{ns="{{.Namespace}}",pod=~"{{.Candidate}}-.*"}`).fill(v); err != nil || got != `up{ns="ns",pod=~"shop-candidate-.*"}` {
		t.Errorf("%s, %v", got, err)
	}
	for _, wrong := range []text{"{{.Pod}}", "{{", "{{.Namespace", "{{template \"x\"}}"} {
		if said := wrong.validate(); !strings.Contains(said, "{{.CandidateHash}}") {
			t.Errorf("%s: %q", wrong, said)
		}
	}
}

// Only one JSON object that says so passes.
func FuzzJudgement(f *testing.F) {
	for _, seed := range []string{`{"status":"pass"}`, `{"status":"fail","because":"x"}`, `{"status":"pass"}{}`, `[]`, `null`, `"pass"`, `<p>`, ``, `{"status":"PASS"}`, `{"status":"pass"} x`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		got := judgement(reply{status: 200, body: []byte(body)})
		var object struct {
			Status string `json:"status"`
		}
		if err := json.Unmarshal([]byte(body), &object); got.Status == Pass && (err != nil || object.Status != Pass) {
			t.Errorf("%q passes", body)
		}
		if got.Because == "" || got.Status == "" {
			t.Errorf("%q: %+v", body, got)
		}
	})
}

// No query makes the search for selectors fall over, and what it finds can be asked.
func FuzzSelectors(f *testing.F) {
	for _, seed := range []string{"up", `rate(a{b=~"c"}[1m])`, `{__name__=~"a.*"}`, "1 +", `{"my.metric"}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, query string) {
		if !utf8.ValidString(query) {
			return // no scenario holds it
		}
		found, _ := selectorsOf(query)
		for _, s := range found {
			if again, err := selectorsOf(s.text); err != nil || len(again) != 1 {
				t.Errorf("%q: its selector %q is none: %v, %v", query, s.text, again, err)
			}
		}
	})
}

func FuzzPoint(f *testing.F) {
	f.Add(`[1,"0.5"]`)
	f.Add(`[1,"NaN"]`)
	f.Add(`[1]`)
	f.Add(`{}`)
	f.Fuzz(func(t *testing.T, data string) {
		var p point
		var pair []json.RawMessage
		if json.Unmarshal([]byte(data), &p) == nil && (json.Unmarshal([]byte(data), &pair) != nil || len(pair) != 2) && data != "null" {
			t.Errorf("%q is a point", data)
		}
	})
}
