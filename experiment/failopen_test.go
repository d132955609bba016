package experiment

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cutover-dev/cutover/gates"
	"github.com/cutover-dev/cutover/history"
	"github.com/cutover-dev/cutover/release"
)

var update = flag.Bool("update", false, "write the tables of the docs anew")

// The ways for a source to be broken.
const (
	sound      = "sound" // the control: a good candidate passes, a bad one fails
	refused    = "refused"
	blackHoled = "black-holed"
	broken5xx  = "5xx"
	slowly     = "slow"
	stale      = "stale"
	empty      = "empty"
	notANumber = "NaN"
	several    = "several series"
	wrong      = "wrong metric"
	html       = "HTML, not JSON"
)

var modes = []string{sound, refused, blackHoled, broken5xx, slowly, stale, empty, notANumber, several, wrong, html}

// scene is a gate whose source is broken in one way, while the candidate is good or
// bad. A source that can say anything says what tempts most.
type scene struct {
	spec  gates.Spec
	place gates.Place
	tally map[history.Version]history.Tally // of each second
	clean func()
}

// gateRow is a gate of the matrix.
type gateRow struct {
	name string
	real bool // its source lives in real time: a process
	// scene is how a way to be broken looks there; not says why it cannot be.
	scene func(t *testing.T, mode string, good bool) (s scene, not string)
}

// outcome is what became of a cell.
type outcome struct {
	reading  string // the last one
	because  string
	decision release.Decision // "" if the step was never left
	not      string
}

// TestFailOpen breaks the source of every gate in every way, with a good and with a
// bad candidate, and follows it through the policy to the decision.
func TestFailOpen(t *testing.T) {
	table, violations := matrix(t, gateRows, func(g gates.Gate) gates.Gate { return g })
	for _, v := range violations {
		t.Error(v)
	}
	writeTable(t, "../docs/gates.md", "fail-open", table)
}

// TestFailOpenIsSeen gives the same matrix gates that pass what they know nothing of.
func TestFailOpenIsSeen(t *testing.T) {
	_, violations := matrix(t, gateRows, func(g gates.Gate) gates.Gate { return careless{g} })
	for _, row := range gateRows {
		if !slices.ContainsFunc(violations, func(v string) bool { return strings.HasPrefix(v, row.name+",") }) {
			t.Errorf("%s: promotes a bad candidate without data, and nobody noticed", row.name)
		}
	}
}

// careless takes no data for a pass.
type careless struct{ gates.Gate }

func (c careless) Read(ctx context.Context, live history.Live, span gates.Span) history.Reading {
	r := c.Gate.Read(ctx, live, span)
	if r.Status == gates.NoData {
		r.Status = gates.Pass
	}
	return r
}

// matrix runs every cell and lists those in which a bad candidate came through, or a
// reading gave no reason.
func matrix(t *testing.T, rows []gateRow, wrap func(gates.Gate) gates.Gate) (table []string, violations []string) {
	head, rule := "| the source is |", "|---|"
	for _, row := range rows {
		head, rule = head+" "+row.name+" |", rule+"---|"
	}
	table = []string{head, rule}
	for _, mode := range modes {
		line := "| " + mode + " |"
		for _, row := range rows {
			good := cell(t, row, mode, true, gates.NoDataRollback, wrap)
			bad := cell(t, row, mode, false, gates.NoDataRollback, wrap)
			held := cell(t, row, mode, false, gates.NoDataHold, wrap)
			line += " " + words(good, bad) + " |"
			if mode == sound && (words(good, bad) != "pass · fail" || good.decision != release.Proceed || bad.decision != release.Rollback) {
				violations = append(violations, fmt.Sprintf("%s: a sound source is not heard: good %+v, bad %+v", row.name, good, bad))
			}
			if bad.not != "" {
				continue
			}
			for policy, o := range map[string]outcome{gates.NoDataRollback: bad, gates.NoDataHold: held} {
				if o.decision == release.Proceed {
					violations = append(violations, fmt.Sprintf("%s, %s: a bad candidate is promoted (noData: %s; %s: %s)", row.name, mode, policy, o.reading, o.because))
				}
			}
			for _, o := range []outcome{good, bad, held} {
				if o.because == "" {
					violations = append(violations, fmt.Sprintf("%s, %s: a reading without a reason: %+v", row.name, mode, o))
				}
			}
			if good.decision == release.Proceed && good.reading != gates.Pass {
				violations = append(violations, fmt.Sprintf("%s, %s: goes on with %s", row.name, mode, good.reading))
			}
		}
		table = append(table, line)
	}
	return table, violations
}

func words(good, bad outcome) string {
	word := func(o outcome) string { return strings.ReplaceAll(o.reading, "-", " ") }
	switch {
	case bad.not != "":
		return "n/a: " + bad.not
	case good.reading == bad.reading:
		return word(good)
	}
	return word(good) + " · " + word(bad)
}

// cell takes one step of a release with one gate.
func cell(t *testing.T, row gateRow, mode string, good bool, noData string, wrap func(gates.Gate) gates.Gate) (o outcome) {
	t.Helper()
	run := func(t *testing.T) {
		s, not := row.scene(t, mode, good)
		if not != "" {
			o.not = not
			return
		}
		if s.clean != nil {
			defer s.clean()
		}
		o = s.follow(t, row, noData, wrap)
	}
	if row.real {
		run(t)
	} else {
		synctest.Test(t, run)
	}
	return o
}

func (s scene) follow(t *testing.T, row gateRow, noData string, wrap func(gates.Gate) gates.Gate) (o outcome) {
	every, within := time.Second, time.Minute
	if row.real {
		every, within = 20*time.Millisecond, 20*time.Second
		if noData == gates.NoDataHold {
			within = time.Second
		}
	}
	s.spec.Every, s.spec.Min, s.spec.Fails, s.spec.NoData = history.Duration(every), 50, 2, noData
	s.place.Grace = every / 2
	all, err := gates.New(s.spec, s.place)
	if err != nil {
		t.Fatal(err)
	}
	record := &counted{tape: tape{clock: history.NewClock()}, tally: s.tally}
	p := &policy{gates: []gates.Gate{wrap(all[0])}, spec: s.spec, live: record, sink: record}
	defer func() {
		if stopper, ok := all[0].(gates.Stopper); ok {
			stopper.Stop()
		}
	}()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	decision, err := p.watch(ctx, "weight-25", 0, 4*every, func() bool { return true })
	if err == nil {
		o.decision = decision
	}
	for _, r := range history.All[history.Reading](record.events) {
		o.reading, o.because = r.Data.Status, r.Data.Because
	}
	return o
}

// counted is a tape with requests in it.
type counted struct {
	tape
	tally map[history.Version]history.Tally
}

func (c *counted) Window(from, to history.Micros) history.Window {
	return history.Window{From: from, To: to, Versions: c.tally}
}

// writeTable puts lines between the marks of a document, or compares them with what
// is there.
func writeTable(t *testing.T, document, mark string, lines []string) {
	t.Helper()
	data, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	begin, end := "<!-- "+mark+" -->\n", "<!-- end of "+mark+" -->"
	before, rest, found := strings.Cut(string(data), begin)
	_, after, closed := strings.Cut(rest, end)
	if !found || !closed {
		t.Fatalf("%s has no place for the table %s", document, mark)
	}
	made := before + begin + strings.Join(lines, "\n") + "\n" + end + after
	if *update {
		if err := os.WriteFile(document, []byte(made), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if made != string(data) {
		t.Errorf("%s does not show what the gates do: run go test ./experiment -update", document)
	}
}

var gateRows = []gateRow{
	{name: "limits", scene: ownLoadScene(gates.Spec{Errors: &gates.ErrorLimit{Max: .01}, Latency: map[string]history.Duration{"p99": history.Duration(500 * time.Millisecond)}})},
	{name: "sequential", scene: ownLoadScene(gates.Spec{Sequential: new(gates.Sequential{}.WithDefaults())})},
	{name: "compare", scene: ownLoadScene(gates.Spec{Compare: new(gates.Compare{}.WithDefaults())})},
	{name: "prometheus", scene: prometheusScene},
	{name: "webhook", scene: func(t *testing.T, mode string, good bool) (scene, string) { return webhookScene(t, mode, good, false) }},
	{name: "webhook, statusOnly", scene: func(t *testing.T, mode string, good bool) (scene, string) { return webhookScene(t, mode, good, true) }},
	{name: "command", real: true, scene: commandScene},
	{name: "command, job", scene: jobScene},
	{name: "approval", scene: approvalScene},
}

// ownLoadScene: the source is the run's own load, which sees what users see.
func ownLoadScene(spec gates.Spec) func(t *testing.T, mode string, good bool) (scene, string) {
	return func(_ *testing.T, mode string, good bool) (scene, string) {
		requests := func(n, errors, unanswered int, latency time.Duration) history.Tally {
			return history.Tally{N: n, Errors: errors, Bad: errors, Unanswered: unanswered, Latencies: slices.Repeat([]time.Duration{latency}, n)}
		}
		errs := 0
		if !good {
			errs = 20
		}
		s := scene{spec: spec, tally: map[history.Version]history.Tally{history.Baseline: requests(100, 0, 0, 20*time.Millisecond)}}
		switch mode {
		case blackHoled: // nobody answers: that is no good candidate
			s.tally[history.Unattributed] = requests(100, 100, 100, time.Second)
		case sound, slowly: // what comes late is overdue, and so an error, or comes with the next reading
			s.tally[history.Candidate] = requests(100, errs, 0, 20*time.Millisecond)
		case empty: // the candidate gets no traffic, or its answers cannot be told from the baseline's
			s.tally[history.Unattributed] = requests(100, 0, 0, time.Millisecond)
		case broken5xx:
			s.tally[history.Candidate] = requests(100, 100, 0, time.Millisecond)
		case refused:
			s.tally[history.Unattributed] = requests(100, 100, 0, time.Millisecond)
		default:
			return scene{}, "the load is cutover's own"
		}
		return s, ""
	}
}

// prometheusScene: what the server says where it can is that all is well.
func prometheusScene(t *testing.T, mode string, good bool) (scene, string) {
	answers := map[string]string{"value": `[{"metric":{},"value":[%d,"0.001"]}]`, "age": `[{"metric":{"selector":"0"},"value":[%d,"3"]},{"metric":{"selector":"1"},"value":[%d,"3"]}]`, "names": `["http_requests_total"]`}
	if !good {
		answers["value"] = `[{"metric":{},"value":[%d,"0.2"]}]`
	}
	well := `[{"metric":{},"value":[%d,"0.001"]}]`
	switch mode {
	case stale: // what is left is of a time when all was well
		answers["value"], answers["age"] = well, `[{"metric":{"selector":"0"},"value":[%d,"3"]},{"metric":{"selector":"1"},"value":[%d,"300"]}]`
	case empty:
		answers["value"] = `[]`
	case notANumber:
		answers["value"] = `[{"metric":{},"value":[%d,"NaN"]}]`
	case several:
		answers["value"] = `[{"metric":{"pod":"a"},"value":[%d,"0.001"]},{"metric":{"pod":"b"},"value":[%d,"0.001"]}]`
	case wrong: // `or vector(0)` makes a zero of it
		answers["value"], answers["names"] = `[{"metric":{},"value":[%d,"0"]}]`, `[]`
	}
	speak := func(w http.ResponseWriter, r *http.Request) {
		body, now := "", strconv.FormatInt(time.Now().Unix(), 10)
		switch query := r.FormValue("query"); {
		case strings.HasPrefix(r.URL.Path, "/api/v1/label/"):
			body = `{"status":"success","data":` + answers["names"] + `}`
		case strings.Contains(query, "timestamp("):
			body = `{"status":"success","data":{"resultType":"vector","result":` + answers["age"] + `}}`
		default:
			body = `{"status":"success","data":{"resultType":"vector","result":` + answers["value"] + `}}`
		}
		_, _ = fmt.Fprint(w, strings.ReplaceAll(body, "%d", now))
	}
	limit := &gates.Number{}
	if err := limit.UnmarshalText([]byte("1%")); err != nil {
		t.Fatal(err)
	}
	place, stop := served(mode, speak)
	return scene{place: place, clean: stop, spec: gates.Spec{Prometheus: []gates.Prometheus{gates.Prometheus{
		URL: "http://prometheus.monitoring.svc:9090", Max: limit,
		Query: `sum(rate(http_requests_total{code=~"5.."}[10s])) / sum(rate(http_requests_total[10s])) or vector(0)`,
	}.WithDefaults()}}}, ""
}

// webhookScene: what a broken one says is pass.
func webhookScene(_ *testing.T, mode string, good, statusOnly bool) (scene, string) {
	body, status := `{"status":"fail","because":"orders are missing"}`, http.StatusBadRequest
	if good {
		body, status = `{"status":"pass","because":"all is well"}`, http.StatusOK
	}
	const read = "the status is all that is asked for"
	header := http.Header{}
	switch mode {
	case stale: // as a cache has it
		body, status = `{"status":"pass"}`, http.StatusOK
		header.Set("Age", "300")
	case empty:
		body = ""
	case notANumber:
		body = `{"status":NaN}`
	case several:
		body = `{"status":"pass"}{"status":"fail"}`
	case wrong: // a word that is not one of the three
		body = `{"status":"ok"}`
	}
	if statusOnly && slices.Contains([]string{empty, notANumber, several, wrong}, mode) {
		return scene{}, read
	}
	if !statusOnly {
		status = http.StatusOK
	}
	place, stop := served(mode, func(w http.ResponseWriter, _ *http.Request) {
		for name := range header {
			w.Header().Set(name, header.Get(name))
		}
		w.WriteHeader(status)
		_, _ = fmt.Fprint(w, body)
	})
	return scene{place: place, clean: stop, spec: gates.Spec{Webhook: []gates.Webhook{gates.Webhook{URL: "http://judge.judges.svc", StatusOnly: statusOnly}.WithDefaults()}}}, ""
}

// served is a place in which a server is reached by memory alone, and broken where
// it is the transport that is.
func served(mode string, speak http.HandlerFunc) (gates.Place, func()) {
	in := &memory{conns: make(chan net.Conn), closed: make(chan struct{})}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch mode {
		case blackHoled:
			<-in.closed
		case broken5xx:
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = fmt.Fprint(w, `{"status":"pass","because":"all is well"}`)
		case html: // a page for people, that a proxy answers with
			w.Header().Set("Content-Type", "text/html")
			_, _ = fmt.Fprint(w, "<!doctype html><title>Sign in</title>")
		case slowly: // longer than a reading waits, shorter than the time-out
			select {
			case <-time.After(600 * time.Millisecond):
			case <-in.closed:
			}
			speak(w, r)
		default:
			speak(w, r)
		}
	})}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(in) })
	dial := func(ctx context.Context, _, _, _ string) (net.Conn, error) {
		if mode == refused {
			return nil, &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
		}
		ours, theirs := net.Pipe()
		select {
		case in.conns <- theirs:
			return ours, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return gates.Place{Dial: dial}, func() { _ = server.Close(); serving.Wait() }
}

// memory is a listener without a network.
type memory struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (m *memory) Accept() (net.Conn, error) {
	select {
	case c := <-m.conns:
		return c, nil
	case <-m.closed:
		return nil, net.ErrClosed
	}
}
func (m *memory) Close() error   { m.once.Do(func() { close(m.closed) }); return nil }
func (m *memory) Addr() net.Addr { return &net.UnixAddr{Name: "memory"} }

const exitCounts = "the exit code is all that counts"

// commandScene runs real programs.
func commandScene(t *testing.T, mode string, good bool) (scene, string) {
	code, timeout := 1, 10*time.Second
	if good {
		code = 0
	}
	run := []string{"/bin/sh", "-c", fmt.Sprintf("echo checked; exit %d", code)}
	switch mode {
	case refused: // it is not there
		run = []string{"./no-such-program"}
	case blackHoled: // it never ends, nor does what it starts
		run[2], timeout = "sleep 60 & sleep 60", 250*time.Millisecond
	case broken5xx: // it breaks down
		run[2] = "kill -9 $$"
	case sound:
	case slowly:
		run[2] = fmt.Sprintf("sleep 0.05; echo checked; exit %d", code)
	case wrong: // what it calls is not there
		run[2] = "no-such-command"
	case stale:
		return scene{}, "each execution is new"
	default:
		return scene{}, exitCounts
	}
	return scene{place: gates.Place{Folder: t.TempDir()}, spec: gates.Spec{Command: []gates.Command{{Run: run, Timeout: history.Duration(timeout)}}}}, ""
}

// fakeJobs is a cluster that runs no container.
type fakeJobs func(context.Context) (gates.Exit, error)

func (f fakeJobs) Run(ctx context.Context, _ string, _ gates.Job, _ map[string]string) (gates.Exit, error) {
	return f(ctx)
}

func jobScene(_ *testing.T, mode string, good bool) (scene, string) {
	exit := gates.Exit{Code: 1, Output: "checked"}
	if good {
		exit.Code = 0
	}
	var run fakeJobs
	switch mode {
	case refused:
		run = func(context.Context) (gates.Exit, error) {
			return gates.Exit{}, errors.New("the Job cannot be made: connection refused")
		}
	case blackHoled:
		run = func(ctx context.Context) (gates.Exit, error) {
			<-ctx.Done()
			return gates.Exit{}, errors.New("the Job did not end: its pod is Pending")
		}
	case broken5xx:
		run = func(context.Context) (gates.Exit, error) {
			return gates.Exit{}, errors.New("its container does not run: ErrImagePull")
		}
	case sound:
		run = func(context.Context) (gates.Exit, error) { return exit, nil }
	case slowly:
		run = func(context.Context) (gates.Exit, error) {
			<-time.After(3 * time.Second)
			return exit, nil
		}
	case wrong:
		run = func(context.Context) (gates.Exit, error) { return gates.Exit{Code: 127}, nil }
	case stale:
		return scene{}, "each execution is new"
	default:
		return scene{}, exitCounts
	}
	return scene{place: gates.Place{Jobs: run}, spec: gates.Spec{Command: []gates.Command{gates.Command{Job: &gates.Job{Image: "registry.example.com/smoke:1"}}.WithDefaults()}}}, ""
}

// approvalScene has a person answer in the folder of the run.
func approvalScene(t *testing.T, mode string, good bool) (scene, string) {
	all := t.TempDir()
	folder := gates.ApprovalsFolder(all, "run")
	if mode != refused {
		if err := os.Mkdir(folder, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	var answer func(gates.Request)
	write := func(text string) {
		if err := os.WriteFile(filepath.Join(folder, "response.json"), []byte(text), 0o600); err != nil {
			t.Error(err)
		}
	}
	said := gates.Response{Approved: good, Who: "jo"}
	switch mode {
	case refused, blackHoled:
		answer = func(gates.Request) {}
	case sound, slowly:
		after := time.Duration(0)
		if mode == slowly {
			after = 5 * time.Second
		}
		answer = func(r gates.Request) {
			time.AfterFunc(after, func() {
				if err := gates.Respond(all, r, said); err != nil {
					t.Error(err)
				}
			})
		}
	case stale: // an approval of another step
		answer = func(gates.Request) {
			text, _ := json.Marshal(gates.Response{ID: "another", Approved: true, Who: "jo"})
			write(string(text))
		}
	case empty:
		answer = func(gates.Request) { write("{}") }
	case html:
		answer = func(gates.Request) { write("<p>yes") }
	default:
		return scene{}, "a person says yes or no"
	}
	place := gates.Place{Approvals: folder, Values: func() gates.Values { return gates.Values{Run: "run"} }}
	place.Asked = func(history.ApprovalAsked) {
		open, err := gates.Open(all)
		if err != nil || len(open) != 1 {
			t.Errorf("open: %v, %v", open, err)
			return
		}
		answer(open[0])
	}
	return scene{place: place, spec: gates.Spec{Approval: &gates.Approval{Timeout: history.Duration(20 * time.Second)}}}, ""
}

// A source that is silent, and one that does not even let itself be stopped, hold up
// neither an interrupt nor the other gates.
func TestSlowGatesHoldNothingUp(t *testing.T) {
	hour := history.Duration(time.Hour)
	silent, stop := gates.Place{}, func() {}
	for _, row := range []struct {
		name  string
		spec  gates.Spec
		place func() gates.Place
		extra time.Duration // that it may take to end
	}{
		// It ends with its question.
		{"black-holed", gates.Spec{Webhook: []gates.Webhook{{URL: "http://judge.judges.svc", Timeout: hour}}}, func() gates.Place {
			silent, stop = served(blackHoled, nil)
			return silent
		}, 0},
		// It does not.
		{"stubborn", gates.Spec{Command: []gates.Command{{Job: &gates.Job{Image: "a"}, Timeout: hour}}}, func() gates.Place {
			stop = func() { <-time.After(time.Hour) } // until then it stays
			return gates.Place{Jobs: fakeJobs(func(context.Context) (gates.Exit, error) { <-time.After(30 * time.Minute); return gates.Exit{}, nil })}
		}, 5 * time.Second},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				for _, interrupted := range []bool{true, false} {
					place := row.place()
					spec := row.spec
					spec.Every, spec.Min, spec.Fails, place.Grace = history.Duration(time.Second), 50, 2, 500*time.Millisecond
					if !interrupted { // the limits fail, and are heard
						spec.Errors = &gates.ErrorLimit{Max: .01}
					}
					all, err := gates.New(spec, place)
					if err != nil {
						t.Fatal(err)
					}
					record := &counted{tape: tape{clock: history.NewClock()}, tally: map[history.Version]history.Tally{history.Candidate: {N: 100, Errors: 50}}}
					p := &policy{gates: all, spec: spec, live: record, sink: record}
					ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
					decision, err := p.watch(ctx, "weight-25", 0, time.Second, func() bool { return true })
					cancel()
					if took := record.Now().Sub(0); took > 3*time.Second+row.extra {
						t.Errorf("interrupted %v: it took %v", interrupted, took)
					}
					if interrupted != (err != nil) || decision != release.Rollback {
						t.Errorf("interrupted %v: %s, %v", interrupted, decision, err)
					}
					stop()
				}
			})
		})
	}
}
