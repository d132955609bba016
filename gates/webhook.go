package gates

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/cutover-dev/cutover/history"
	"github.com/cutover-dev/cutover/stats"
)

// Webhook is a service that judges: it is sent what is known, and answers with
// {"status": "pass", "fail" or "no-data", "because": "…"}.
type Webhook struct {
	Name       string            `yaml:"name,omitempty" json:"name,omitempty"` // what readings call it
	URL        string            `yaml:"url" json:"url"`                       // as of a prometheus
	Headers    map[string]string `yaml:"headers,omitempty" json:"headers,omitempty"`
	Timeout    history.Duration  `yaml:"timeout,omitempty" json:"timeout,omitempty"`       // of an answer; default 5s
	StatusOnly bool              `yaml:"statusOnly,omitempty" json:"statusOnly,omitempty"` // no JSON: 2xx passes and 4xx fails
	Steps      []string          `yaml:"steps,omitempty" json:"steps,omitempty"`           // at which it is asked; default all
}

var _ = register("webhook", kind{sections: func(s Spec) []section { return list(s.Webhook) }})

// WithDefaults fills what was left out.
func (w Webhook) WithDefaults() Webhook {
	w.Timeout = cmp.Or(w.Timeout, history.Duration(5*time.Second))
	return w
}

func (w Webhook) asking() asking {
	return asking{name: w.Name, limits: cmp.Or(w.Name, "webhook") + " passes", timeout: w.Timeout.D(), steps: w.Steps}
}

func (w Webhook) validate(fail func(key, format string, args ...any)) {
	if wrong := validateURL(text(w.URL)); wrong != "" {
		fail("url", "%s", wrong)
	}
	validateHeaders(w.Headers, fail)
}

func (w Webhook) source(_ string, place Place) source {
	return webhook{Webhook: w, remote: remote{url: text(w.URL), headers: w.Headers, place: place}}
}

type webhook struct {
	Webhook
	remote
}

// Inquiry is what a webhook is sent.
type Inquiry struct {
	Run       string          `json:"run"`
	Scenario  string          `json:"scenario"`
	Step      string          `json:"step"`
	From      history.Micros  `json:"fromUs"` // microseconds since the run began
	To        history.Micros  `json:"toUs"`
	Namespace string          `json:"namespace"`
	Service   string          `json:"service"`
	Versions  map[string]Told `json:"versions"` // baseline, candidate, unattributed
}

// Told is what a webhook is told of a version's requests.
type Told struct {
	N          int      `json:"n"`
	Errors     int      `json:"errors"`
	Bad        int      `json:"bad"` // errors, and those slower than the SLO
	Unanswered int      `json:"unanswered"`
	P50Ms      *float64 `json:"p50Ms"` // null without requests
	P99Ms      *float64 `json:"p99Ms"`
}

// verdict is what a webhook answers.
type verdict struct {
	Status  string `json:"status"`
	Because string `json:"because"`
}

func (w webhook) ask(ctx context.Context, q Question) Answer {
	body, err := json.Marshal(inquiry(q))
	if err != nil {
		return noData("the inquiry cannot be written: %v", err)
	}
	got, err := w.do(ctx, "POST", "", "application/json", string(body), q.Values)
	if err != nil {
		return noData("%v", err)
	}
	if got.header.Get("Age") != "" {
		return noData("%s: the answer comes from a cache (Age: %s): a judgement is made afresh", got.address, got.header.Get("Age"))
	}
	if w.StatusOnly {
		return byStatus(got)
	}
	if got.status < 200 || got.status > 299 {
		return noData("%s: answered %d, %q: a judgement is 2xx and JSON", got.address, got.status, shortened(got.body))
	}
	return judgement(got)
}

// judgement reads exactly one answer of a known status.
func judgement(got reply) Answer {
	if err := got.notJSON(); err != nil {
		return noData("%v", err)
	}
	var said verdict
	in := json.NewDecoder(strings.NewReader(string(got.body)))
	if err := in.Decode(&said); err != nil {
		return noData("%s: answered %d with what is no JSON object, %q", got.address, got.status, shortened(got.body))
	}
	if _, err := in.Token(); !errors.Is(err, io.EOF) {
		return noData("%s: answered more than one thing, %q", got.address, shortened(got.body))
	}
	if !slices.Contains([]string{Pass, Fail, NoData}, said.Status) {
		return noData("%s: answered status %q: a judgement is pass, fail or no-data", got.address, said.Status)
	}
	return Answer{Status: said.Status, Because: cmp.Or(shortened([]byte(said.Because)), "no reason given")}
}

// byStatus reads the status alone, because the scenario asks for that. A page for
// people is still no judgement.
func byStatus(got reply) Answer {
	because := fmt.Sprintf("answered %d %s", got.status, shortened(got.body))
	switch {
	case len(got.body) > 0 && got.notJSON() != nil:
		return noData("%v", got.notJSON())
	case got.status >= 200 && got.status <= 299:
		return Answer{Status: Pass, Because: strings.TrimSpace(because)}
	case got.status >= 400 && got.status <= 499:
		return Answer{Status: Fail, Because: strings.TrimSpace(because)}
	}
	return noData("%s: %s", got.address, because)
}

func inquiry(q Question) Inquiry {
	all := Inquiry{Run: q.Values.Run, Scenario: q.Values.Scenario, Step: q.Step, From: q.From, To: q.To,
		Namespace: q.Values.Namespace, Service: q.Values.Service, Versions: map[string]Told{}}
	for v, t := range q.Window.Versions {
		told := Told{N: t.N, Errors: t.Errors, Bad: t.Bad, Unanswered: t.Unanswered}
		told.P50Ms, told.P99Ms = quantileMs(t, 0.5), quantileMs(t, 0.99)
		all.Versions[cmp.Or(string(v), "unattributed")] = told
	}
	return all
}

func quantileMs(t history.Tally, q float64) *float64 {
	if len(t.Latencies) == 0 {
		return nil
	}
	latencies := slices.Sorted(slices.Values(t.Latencies))
	got, _ := stats.Quantile(latencies, q)
	ms := float64(got.Microseconds()) / 1000
	return &ms
}
