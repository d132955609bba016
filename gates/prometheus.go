package gates

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/VictoriaMetrics/metricsql"

	"github.com/cutover-dev/cutover/history"
)

// Prometheus is a question to the HTTP API of Prometheus, or of whatever speaks it.
// Its answer must be one number. An answer that rests on no sample, or on old ones,
// is no data.
type Prometheus struct {
	Name    string            `yaml:"name,omitempty" json:"name,omitempty"`       // what readings call it
	URL     string            `yaml:"url" json:"url"`                             // http://HOST:PORT as this machine reaches it, or http://SERVICE.NAMESPACE.svc:PORT in the cluster
	Query   string            `yaml:"query" json:"query"`                         // PromQL with one number for an answer; may name {{.Namespace}}, {{.Candidate}} and others
	Max     *Number           `yaml:"max,omitempty" json:"max,omitempty"`         // 0.01, 1%, or seconds as 500ms
	Min     *Number           `yaml:"min,omitempty" json:"min,omitempty"`         // as max; at least one of the two
	MaxAge  history.Duration  `yaml:"maxAge,omitempty" json:"maxAge,omitempty"`   // of the newest sample of every series that the query names; default 15s
	Absent  []string          `yaml:"absent,omitempty" json:"absent,omitempty"`   // metrics that the server may never have heard of, such as a counter of errors before the first one
	Timeout history.Duration  `yaml:"timeout,omitempty" json:"timeout,omitempty"` // of an answer; default 2s
	Headers map[string]string `yaml:"headers,omitempty" json:"headers,omitempty"`
	Steps   []string          `yaml:"steps,omitempty" json:"steps,omitempty"` // at which it is asked; default all
}

var _ = register("prometheus", kind{sections: func(s Spec) []section { return list(s.Prometheus) }})

// WithDefaults fills what was left out.
func (p Prometheus) WithDefaults() Prometheus {
	p.MaxAge = cmp.Or(p.MaxAge, history.Duration(15*time.Second))
	p.Timeout = cmp.Or(p.Timeout, history.Duration(2*time.Second))
	return p
}

func (p Prometheus) asking() asking {
	var limits []string
	if p.Min != nil {
		limits = append(limits, ">= "+p.Min.String())
	}
	if p.Max != nil {
		limits = append(limits, "<= "+p.Max.String())
	}
	return asking{name: p.Name, limits: cmp.Or(p.Name, "prometheus") + " " + strings.Join(limits, " and "), timeout: p.Timeout.D(), steps: p.Steps}
}

func (p Prometheus) validate(fail func(key, format string, args ...any)) {
	if wrong := validateURL(text(p.URL)); wrong != "" {
		fail("url", "%s", wrong)
	}
	validateHeaders(p.Headers, fail)
	if wrong := text(p.Query).validate(); wrong != "" {
		fail("query", "%s", wrong)
	} else if filled, _ := text(p.Query).fill(Values{}); len(strings.TrimSpace(filled)) > 0 {
		if _, err := metricsql.Parse(filled); err != nil {
			fail("query", "is no PromQL: %s", shortened([]byte(err.Error())))
		}
	} else {
		fail("query", "is empty: write PromQL with one number for an answer")
	}
	if p.Max == nil && p.Min == nil {
		fail("", "limits nothing: set max, min or both")
	}
	if p.Max != nil && p.Min != nil && p.Min.Value > p.Max.Value {
		fail("min", "is %s and max is %s: nothing lies between", p.Min, p.Max)
	}
	if p.MaxAge <= 0 {
		fail("maxAge", "is %s: write how old the newest sample may be, such as 15s", p.MaxAge)
	}
}

func (p Prometheus) source(_ string, place Place) source {
	return prometheus{Prometheus: p, remote: remote{url: text(p.URL), headers: p.Headers, place: place}}
}

// prometheus asks for the value, and for what the value rests on.
type prometheus struct {
	Prometheus
	remote
}

func (p prometheus) ask(ctx context.Context, q Question) Answer {
	query, err := text(p.Query).fill(q.Values)
	if err != nil {
		return noData("the query: %v", err)
	}
	value, err := p.value(ctx, query, q.Values)
	if err == nil {
		err = p.rests(ctx, query, q.Values)
	}
	if err != nil {
		return noData("%v", err)
	}
	if math.IsNaN(value) {
		return noData("the query gives NaN, as 0/0 does: does it divide by a rate that is nothing yet?")
	}
	return p.judge(value)
}

// judge compares the value with the limits. An infinite one can break a limit, and
// never keeps one: it is what a division by nothing gives.
func (p prometheus) judge(value float64) Answer {
	answer := Answer{Status: Pass}
	if !math.IsInf(value, 0) {
		answer.Value = &value
	}
	for _, limit := range []struct {
		*Number
		over bool
		sign [2]string
	}{
		{p.Max, p.Max != nil && value > p.Max.Value, [2]string{"<=", ">"}},
		{p.Min, p.Min != nil && value < p.Min.Value, [2]string{">=", "<"}},
	} {
		switch {
		case limit.Number == nil:
		case limit.over:
			return Answer{Status: Fail, Value: answer.Value, Because: limit.like(value) + " " + limit.sign[1] + " " + limit.String()}
		default:
			answer.Because += ", " + limit.like(value) + " " + limit.sign[0] + " " + limit.String()
		}
	}
	answer.Because = strings.TrimPrefix(answer.Because, ", ")
	if math.IsInf(value, 0) {
		return noData("the query gives %g: does it divide by a rate that is nothing yet?", value)
	}
	return answer
}

// result is what the API answers to an instant query.
type result struct {
	Status    string   `json:"status"`
	ErrorType string   `json:"errorType"`
	Error     string   `json:"error"`
	Warnings  []string `json:"warnings"`
	Data      *struct {
		Type   string          `json:"resultType"`
		Result json.RawMessage `json:"result"`
	} `json:"data"`
}

// series is one of a result and its value at an instant.
type series struct {
	Metric map[string]string `json:"metric"`
	Value  *point            `json:"value"` // none of a native histogram
}

// point is [seconds since 1970, "value"].
type point struct {
	at    float64
	value float64
}

// UnmarshalJSON reads the API's pair.
func (p *point) UnmarshalJSON(data []byte) error {
	var written string
	pair := []any{&p.at, &written}
	if err := json.Unmarshal(data, &pair); err != nil {
		return err
	}
	if len(pair) != 2 {
		return fmt.Errorf("%d values in place of two", len(pair))
	}
	value, err := strconv.ParseFloat(written, 64)
	p.value = value
	return err
}

// value is the one number that the query gives.
func (p prometheus) value(ctx context.Context, query string, v Values) (float64, error) {
	samples, err := p.query(ctx, query, v)
	switch {
	case err != nil:
		return 0, err
	case len(samples) == 0:
		return 0, p.whyEmpty(ctx, query, v)
	case len(samples) > 1:
		var seen []string
		for _, s := range samples[:min(3, len(samples))] {
			seen = append(seen, labels(s.Metric))
		}
		return 0, fmt.Errorf("the query gives %d series (%s, …), and it is not known which one counts: make one of them, with sum(…) or max(…)", len(samples), strings.Join(seen, ", "))
	case samples[0].Value == nil:
		return 0, fmt.Errorf("the query gives a histogram in place of a number: take a quantile or an average of it")
	}
	if age := time.Since(time.UnixMilli(int64(1000 * samples[0].Value.at))); age > p.MaxAge.D() {
		return 0, fmt.Errorf("the answer is of %s ago by this machine's clock, older than %s: is there a cache in between, or do the clocks differ?", age.Round(time.Second), p.MaxAge)
	}
	return samples[0].Value.value, nil
}

// query asks and understands the answer.
func (p prometheus) query(ctx context.Context, query string, v Values) ([]series, error) {
	got, err := p.api(ctx, "query", url.Values{"query": {query}}, v)
	if err != nil {
		return nil, err
	}
	if got.Data == nil {
		return nil, fmt.Errorf("%s: the answer has no data: is this the address of a Prometheus?", p.URL)
	}
	var samples []series
	switch got.Data.Type {
	case "vector":
		err = json.Unmarshal(got.Data.Result, &samples)
	case "scalar":
		samples = []series{{Value: &point{}}}
		err = json.Unmarshal(got.Data.Result, samples[0].Value)
	default:
		return nil, fmt.Errorf("the query gives a %s, and not a number: ask for a value at an instant, such as rate(…[1m]) in place of …[1m]", cmp.Or(got.Data.Type, "result of no type"))
	}
	if err != nil {
		return nil, fmt.Errorf("%s: the answer cannot be read as a %s: %w", p.URL, got.Data.Type, err)
	}
	return samples, nil
}

// api asks one of the endpoints for a whole, sound answer.
func (p prometheus) api(ctx context.Context, endpoint string, form url.Values, v Values) (result, error) {
	got, err := p.do(ctx, "POST", "/api/v1/"+endpoint, "application/x-www-form-urlencoded", form.Encode(), v)
	if err == nil {
		err = got.notJSON()
	}
	if err != nil {
		return result{}, err
	}
	var answer result
	if err := json.Unmarshal(got.body, &answer); err != nil || answer.Status == "" {
		return result{}, fmt.Errorf("%s: answered %d with what no Prometheus says, %q: is it the right address?", got.address, got.status, shortened(got.body))
	}
	switch {
	case answer.Error != "":
		return result{}, fmt.Errorf("%s: answered %d, %s: %s", got.address, got.status, answer.ErrorType, answer.Error)
	case answer.Status != "success" || got.status != 200:
		return result{}, fmt.Errorf("%s: answered %d, %q", got.address, got.status, shortened(got.body))
	case len(answer.Warnings) > 0:
		return result{}, fmt.Errorf("the answer is not whole, the server warns: %s", strings.Join(answer.Warnings, "; "))
	}
	return answer, nil
}

// rests returns an error unless the value rests on fresh samples: of each selector
// in the query that finds any, and of one at least. `… or vector(0)` gives a number
// without any, which is how a query for a metric that is not there passes.
func (p prometheus) rests(ctx context.Context, query string, v Values) error {
	selectors, err := selectorsOf(query)
	if err != nil {
		return fmt.Errorf("what the query rests on cannot be read, so that nothing is known of its age: %w", err)
	}
	if len(selectors) == 0 {
		return errors.New("the query names no metric, so that nothing is known of its age")
	}
	if err := p.known(ctx, selectors, v); err != nil {
		return err
	}
	var ages []string
	for i, s := range selectors {
		ages = append(ages, fmt.Sprintf(`label_replace(time() - max(timestamp(%s)), "selector", "%d", "", "")`, s.text, i))
	}
	samples, err := p.query(ctx, strings.Join(ages, " or "), v)
	if err != nil {
		return fmt.Errorf("the age of its samples: %w", err)
	}
	if len(samples) == 0 {
		return fmt.Errorf("the answer rests on no sample: nothing is there of %s at present", selectors)
	}
	for _, s := range samples {
		i, err := strconv.Atoi(s.Metric["selector"])
		if err != nil || i >= len(selectors) || s.Value == nil || math.IsNaN(s.Value.value) {
			return fmt.Errorf("the age of its samples cannot be told from %s", labels(s.Metric))
		}
		if age := time.Duration(s.Value.value * float64(time.Second)); age > p.MaxAge.D() {
			return fmt.Errorf("the newest sample of %s is %s old, older than %s: is it still scraped, and is maxAge longer than the scrape interval?", selectors[i].text, age.Round(time.Second), p.MaxAge)
		}
	}
	return nil
}

// whyEmpty says why the query gives nothing.
func (p prometheus) whyEmpty(ctx context.Context, query string, v Values) error {
	if selectors, err := selectorsOf(query); err == nil {
		if err := p.known(ctx, selectors, v); err != nil {
			return err
		}
	}
	return fmt.Errorf("the query gives nothing: the server knows the metrics, and has no series of them with these labels at present")
}

// known returns an error that names the metrics that the server has never heard of.
func (p prometheus) known(ctx context.Context, selectors []selector, v Values) error {
	var missing, seen []string
	for _, s := range selectors {
		if s.metric == "" || slices.Contains(p.Absent, s.metric) || slices.Contains(seen, s.metric) {
			continue
		}
		seen = append(seen, s.metric)
		form := url.Values{"match[]": {s.metric}}
		got, err := p.names(ctx, form, v)
		if err != nil {
			return fmt.Errorf("whether the server knows %s: %w", s.metric, err)
		}
		if !slices.Contains(got, s.metric) {
			missing = append(missing, s.metric)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return fmt.Errorf("the server knows no metric %s: is it spelt right and scraped? One that is only there after its first event belongs under absent", strings.Join(missing, ", "))
}

// names are the metrics that the server knows of those that match.
func (p prometheus) names(ctx context.Context, form url.Values, v Values) ([]string, error) {
	got, err := p.do(ctx, "GET", "/api/v1/label/__name__/values?"+form.Encode(), "", "", v)
	if err == nil {
		err = got.notJSON()
	}
	if err != nil {
		return nil, err
	}
	var answer struct {
		Status string   `json:"status"`
		Error  string   `json:"error"`
		Data   []string `json:"data"`
	}
	if err := json.Unmarshal(got.body, &answer); err != nil || answer.Status != "success" {
		return nil, fmt.Errorf("%s: answered %d, %q", got.address, got.status, cmp.Or(answer.Error, shortened(got.body)))
	}
	return answer.Data, nil
}

// selector is a choice of series in a query.
type selector struct {
	text   string // as it can be asked
	metric string // its name; "" if the labels alone choose
}

// String is the selector.
func (s selector) String() string { return s.text }

// selectorsOf lists the selectors of a query, each once.
func selectorsOf(query string) ([]selector, error) {
	parsed, err := metricsql.Parse(query)
	if err != nil {
		return nil, err
	}
	var all []selector
	metricsql.VisitAll(parsed, func(e metricsql.Expr) {
		chosen, ok := e.(*metricsql.MetricExpr)
		if !ok || chosen.IsEmpty() {
			return
		}
		s := selectorOf(chosen)
		if !slices.Contains(all, s) {
			all = append(all, s)
		}
	})
	return all, nil
}

// plainName is a metric's name that needs no quotes.
var plainName = regexp.MustCompile(`^[a-zA-Z_:][a-zA-Z0-9_:]*$`)

// selectorOf writes a selector as every version of Prometheus reads it.
func selectorOf(m *metricsql.MetricExpr) selector {
	var s selector
	if len(m.LabelFilterss) != 1 { // an alternative, which is of a dialect
		return selector{text: string(m.AppendString(nil))}
	}
	var filters []string
	for _, f := range m.LabelFilterss[0] {
		if f.Label == "__name__" && !f.IsRegexp && !f.IsNegative {
			s.metric = f.Value
			if plainName.MatchString(f.Value) {
				s.text = f.Value
				continue
			}
		}
		sign := map[[2]bool]string{{false, false}: "=", {true, false}: "!=", {false, true}: "=~", {true, true}: "!~"}[[2]bool{f.IsNegative, f.IsRegexp}]
		filters = append(filters, f.Label+sign+strconv.Quote(f.Value))
	}
	if len(filters) > 0 {
		s.text += "{" + strings.Join(filters, ",") + "}"
	}
	return s
}

// labels writes a series as PromQL does.
func labels(metric map[string]string) string {
	var pairs []string
	for name, value := range metric {
		if name != "__name__" {
			pairs = append(pairs, fmt.Sprintf("%s=%q", name, value))
		}
	}
	slices.Sort(pairs)
	return metric["__name__"] + "{" + strings.Join(pairs, ",") + "}"
}
