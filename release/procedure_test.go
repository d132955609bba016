package release

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/cutover-dev/cutover/apiproxy"
	"github.com/cutover-dev/cutover/history"
)

// script is a procedure that ends with a code, or when it is killed.
type script struct {
	code    int
	started chan struct{}
	over    chan struct{}
	once    sync.Once
	alive   bool        // until it is killed
	asked   atomic.Bool // to end
}

func (s *script) Wait() (int, error) {
	close(s.started)
	if s.alive {
		<-s.over
		return 137, nil
	}
	return s.code, nil
}

func (s *script) Interrupt() error {
	s.asked.Store(true)
	return nil
}

func (s *script) Kill() error {
	s.once.Do(func() { close(s.over) })
	return nil
}

// api keeps who intercepts.
type api struct{ by apiproxy.Interceptor }

func (a *api) Intercept(by apiproxy.Interceptor) { a.by = by }

// discoverer keeps what it is told.
type discoverer struct {
	Stepper
	told   []string
	coming func()
}

func (d *discoverer) Coming(context.Context, int) {
	d.told = append(d.told, "coming")
	if d.coming != nil {
		d.coming()
	}
}

func (d *discoverer) Came(_ context.Context, n int, what string, _ history.Micros) {
	d.told = append(d.told, StepOfWrite(n)+" "+what)
}

func newScripted(scripts ...*script) (*procedure, *api, *sink) {
	api, told, n := &api{}, &sink{}, 0
	start := func(context.Context) (Running, error) {
		n++
		if n > len(scripts) {
			return nil, errors.New("started too often")
		}
		return scripts[n-1], nil
	}
	for _, s := range scripts {
		s.started, s.over = make(chan struct{}), make(chan struct{})
	}
	return &procedure{start: start, api: api, onRequests: apiproxy.Pass{}, live: answering{}, sink: told}, api, told
}

func TestProcedureEndsAsItsScriptDoes(t *testing.T) {
	for _, c := range []struct {
		code int
		want string
	}{{0, ""}, {3, "exit code 3"}} {
		p, _, told := newScripted(&script{code: c.code})
		err := p.Run(t.Context(), &discoverer{})
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("exit code %d: %v", c.code, err)
		}
		if ended := history.All[history.ProcedureEnded](told.events); len(ended) != 1 || ended[0].Data != (history.ProcedureEnded{Attempt: 1, Exit: c.code}) {
			t.Errorf("recorded %+v", ended)
		}
	}
}

func TestProcedureIsRunAgainOnceItWasKilled(t *testing.T) {
	for _, c := range []struct {
		comment string
		scripts []*script
		kills   int
		want    string
	}{
		{"and goes well then", []*script{{alive: true}, {}}, 1, ""},
		{"and goes wrong then", []*script{{alive: true}, {code: 1}}, 1, "exit code 1"},
		{"and is not, the second time", []*script{{alive: true}, {alive: true}}, 2, "exit code 137"},
	} {
		p, _, told := newScripted(c.scripts...)
		ended := make(chan error)
		go func() { ended <- p.Run(t.Context(), &discoverer{}) }()
		for _, s := range c.scripts[:c.kills] {
			<-s.started
			if err := p.Kill(); err != nil {
				t.Error(err)
			}
		}
		if err := <-ended; (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.comment, err)
		}
		attempts := history.All[history.ProcedureEnded](told.events)
		if len(attempts) != 2 || !attempts[0].Data.Killed {
			t.Errorf("%s: recorded %+v", c.comment, attempts)
		}
	}
	p, _, _ := newScripted()
	if err := p.Kill(); err == nil {
		t.Error("what does not run was killed")
	}
}

// One that does not heed an interruption is killed after the grace, and none is run
// again.
func TestProcedureIsInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		deaf := &script{alive: true}
		p, _, told := newScripted(deaf)
		ended := make(chan error)
		go func() { ended <- p.Run(t.Context(), &discoverer{}) }()
		<-deaf.started
		began := time.Now()
		if err := p.Interrupt(7 * time.Second); err != nil || !deaf.asked.Load() {
			t.Fatalf("interrupted: %v, asked %t", err, deaf.asked.Load())
		}
		if err := <-ended; err == nil || !strings.Contains(err.Error(), "exit code 137") {
			t.Errorf("it ended with %v", err)
		}
		if took := time.Since(began); took < 7*time.Second {
			t.Errorf("killed after %s", took)
		}
		if attempts := history.All[history.ProcedureEnded](told.events); len(attempts) != 1 || attempts[0].Data.Killed {
			t.Errorf("recorded %+v", attempts)
		}
		if err := p.Interrupt(time.Second); err == nil {
			t.Error("what does not run was interrupted")
		}
	})
}

// Pods that are being served out still answer when the procedure has ended.
func TestProcedureWaitsForTheTrafficToComeToRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		p, _, _ := newScripted(&script{})
		p.live = mixedUntil{began.Add(5 * time.Second), began}
		if err := p.Run(t.Context(), &discoverer{}); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took < 5*time.Second || took > 5*time.Second+2*rest {
			t.Errorf("the release ended after %s", took)
		}
		p, _, _ = newScripted(&script{})
		p.live = mixedUntil{time.Now().Add(time.Hour), began}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := p.Run(ctx, &discoverer{}); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "both versions answer") {
			t.Errorf("traffic that stays mixed: %v", err)
		}
	})
}

// mixedUntil shows both versions answering until a time.
type mixedUntil struct{ until, began time.Time }

func (m mixedUntil) Now() history.Micros { return history.Micros(time.Since(m.began).Microseconds()) }
func (m mixedUntil) Window(from, _ history.Micros) history.Window {
	w := history.Window{Versions: map[history.Version]history.Tally{history.Candidate: {N: 1}}}
	if from < history.Micros(m.until.Sub(m.began).Microseconds()) {
		w.Versions[history.Baseline] = history.Tally{N: 1}
	}
	return w
}
func (mixedUntil) Serving(int64) <-chan struct{} { return nil }

func TestWritesBecomeSteps(t *testing.T) {
	p, api, _ := newScripted(&script{})
	d := &discoverer{}
	if err := p.Run(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	for n, answer := range []apiproxy.Response{{Step: 1}, {Because: "it changed nothing"}, {Step: 2}} {
		request := apiproxy.Request{Number: int64(n), Verb: "patch", Kind: "Service", Resource: "services", Name: "shop", Next: 1}
		api.by.Before(t.Context(), request)
		api.by.After(t.Context(), request, answer)
	}
	read := apiproxy.Request{Number: 9, Verb: "get", Resource: "services"}
	api.by.Before(t.Context(), read)
	api.by.After(t.Context(), read, apiproxy.Response{Status: 200})
	want := []string{"coming", "write-1 patch Service/shop", "coming", "coming", "write-2 patch Service/shop"}
	if !reflect.DeepEqual(d.told, want) {
		t.Errorf("told %q, want %q", d.told, want)
	}
}

// What is held while the procedure is killed must not take effect afterwards.
func TestAWriteOfAKilledProcedureIsCutOff(t *testing.T) {
	scripts := []*script{{alive: true}, {alive: true}}
	p, api, _ := newScripted(scripts...)
	d := &discoverer{}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- p.Run(ctx, d) }()
	request := apiproxy.Request{Verb: "patch", Resource: "services", Name: "shop", Next: 1}
	<-scripts[0].started
	d.coming = func() {
		if err := p.Kill(); err != nil {
			t.Error(err)
		}
	}
	if ruling := api.by.Before(t.Context(), request); !ruling.Drop {
		t.Errorf("ruling %+v, want it dropped", ruling)
	}
	d.coming = nil
	<-scripts[1].started
	if ruling := api.by.Before(t.Context(), request); ruling.Drop {
		t.Error("the second attempt's write was dropped too")
	}
	stop()
	if err := p.Kill(); err != nil {
		t.Error(err)
	}
	if err := <-ended; err == nil {
		t.Error("a release that was stopped ended well")
	}
}

func TestOutputIsToldLineByLine(t *testing.T) {
	var all bytes.Buffer
	var told []string
	l := &lines{all: &all, tell: func(line string) { told = append(told, line) }}
	for _, piece := range []string{"one\ntw", "o\n\nthr", "ee"} {
		if n, err := l.Write([]byte(piece)); n != len(piece) || err != nil {
			t.Fatal(n, err)
		}
	}
	l.end()
	long := strings.Repeat("x", 2*longestLine)
	_, _ = l.Write([]byte(long))
	if want := []string{"one", "two", "", "three", long[:longestLine]}; !reflect.DeepEqual(told, want) {
		t.Errorf("told %.60q, want %.60q", told, want)
	}
	if all.String() != "one\ntwo\n\nthree"+long {
		t.Error("not all of it is in the log")
	}
}

func TestVersionsAreRecognisedByWhatRuns(t *testing.T) {
	env := []corev1.EnvVar{{Name: "A", Value: "1"}, {Name: "VERSION", Value: "v1"}}
	base := corev1.Container{Name: "app", Image: "shop:1", Env: env}
	r := &Recogniser{images: []string{"shop:1", "shop:2"}, baseline: base}
	with := func(change func(*corev1.Container)) corev1.PodSpec {
		c := *base.DeepCopy()
		change(&c)
		return corev1.PodSpec{Containers: []corev1.Container{{Name: "sidecar", Image: "proxy:1"}, c}}
	}
	for _, c := range []struct {
		comment string
		spec    corev1.PodSpec
		want    history.Version
		ours    bool
	}{
		{"as it is", with(func(*corev1.Container) {}), history.Baseline, true},
		{"under another name, with other probes", with(func(c *corev1.Container) { c.Name, c.ReadinessProbe = "web", &corev1.Probe{} }), history.Baseline, true},
		{"its environment in another order", with(func(c *corev1.Container) { c.Env[0], c.Env[1] = c.Env[1], c.Env[0] }), history.Baseline, true},
		{"another image", with(func(c *corev1.Container) { c.Image = "shop:2" }), history.Candidate, true},
		{"another environment", with(func(c *corev1.Container) { c.Env[1].Value = "v2" }), history.Candidate, true},
		{"other arguments", with(func(c *corev1.Container) { c.Args = []string{"-v2"} }), history.Candidate, true},
		// Somebody else's.
		{"a job of the procedure", corev1.PodSpec{Containers: []corev1.Container{{Image: "migrate:1"}}}, history.Unattributed, false},
	} {
		if v, ours := r.Version(c.spec); v != c.want || ours != c.ours {
			t.Errorf("%s: %q, %v", c.comment, v, ours)
		}
	}
}

func TestTheBaselineIsLearned(t *testing.T) {
	pod := func(name, image, version string) corev1.Pod {
		return corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Image: image, Env: []corev1.EnvVar{{Name: "VERSION", Value: version}}}}}}
	}
	going := pod("c", "shop:1", "v0")
	going.DeletionTimestamp = &metav1.Time{}
	for _, c := range []struct {
		comment string
		pods    []corev1.Pod
		found   bool
		err     string
	}{
		{"the app's, beside others", []corev1.Pod{pod("p", "proxy:1", ""), pod("a", "shop:1", "v1"), pod("b", "shop:1", "v1")}, true, ""},
		{"one of another kind is leaving", []corev1.Pod{going, pod("a", "shop:1", "v1")}, true, ""},
		{"two kinds", []corev1.Pod{pod("a", "shop:1", "v1"), pod("b", "shop:1", "v2")}, false, "the pods a and b run the app in different ways"},
		{"a proxy's", []corev1.Pod{pod("p", "proxy:1", "")}, false, ""},
		{"none", nil, false, ""},
	} {
		r := &Recogniser{images: []string{"shop:1", "shop:2"}}
		found, err := r.learn(c.pods)
		if found != c.found || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: found %v, %v", c.comment, found, err)
		}
		if v, _ := r.Version(pod("", "shop:1", "v1").Spec); c.found && v != history.Baseline {
			t.Errorf("%s: what is there is taken for the %s", c.comment, v)
		}
	}
}

func TestTheBaselineIsFoundBehindAProxy(t *testing.T) {
	pod := func(name, image string) *corev1.Pod {
		return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "run-1", Name: name, Labels: map[string]string{"app": name}},
			Spec: corev1.PodSpec{Containers: []corev1.Container{{Image: image}}}}
	}
	selecting := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "run-1", Name: "shop"}, Spec: corev1.ServiceSpec{Selector: map[string]string{"app": "front"}}}
	const ours = "cutover.local/shop:abc"
	for _, c := range []struct {
		comment string
		pods    []client.Object
		proxied bool
		err     string
	}{
		{"the Service selects the app", []client.Object{pod("front", ours)}, false, ""},
		{"it selects a proxy", []client.Object{pod("front", "proxy:1"), pod("shop-v1", ours)}, true, ""},
		{"it selects nothing", []client.Object{pod("shop-v1", ours)}, false, "nor one behind them"},
		{"the app is nowhere", []client.Object{pod("front", "proxy:1")}, true, "nor one behind them runs an image of the app"},
	} {
		i := installation(builder(t).WithObjects(append(c.pods, selecting)...).Build(), &sink{})
		r, err := i.Recognise(t.Context())
		if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %v", c.comment, err)
		}
		if err == nil && (r.baseline.Image != ours || r.Proxied() != c.proxied) {
			t.Errorf("%s: %+v", c.comment, r)
		}
	}
}

func TestPodsLearnFromTheRecogniser(t *testing.T) {
	pods := NewPods(history.NewClock(), &sink{})
	pod := func(name, hash, image string) *corev1.Pod {
		return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(name), Labels: map[string]string{"pod-template-hash": hash}},
			Spec: corev1.PodSpec{Containers: []corev1.Container{{Image: image}}}}
	}
	pods.observe(pod("before", "h1", "shop:1"), false)
	pods.Recognise(&Recogniser{images: []string{"shop:1", "shop:2"}, baseline: corev1.Container{Image: "shop:1"}})
	pods.observe(pod("after", "h2", "shop:2"), false)
	pods.observe(pod("other", "h3", "tool:1"), false)
	for v, want := range map[history.Version]string{history.Baseline: "h1", history.Candidate: "h2"} {
		if hash, _ := pods.Hash(v); hash != want {
			t.Errorf("%s has hash %q, want %q", v, hash, want)
		}
	}
	if _, known := pods.versions["h3"]; known {
		t.Error("a stranger's pod was taken for the app's")
	}
}

func TestToolsAreFoundThatCanRunAlone(t *testing.T) {
	shims, bin := t.TempDir(), t.TempDir()
	for file, text := range map[string]string{
		filepath.Join(shims, "python3"): "#!/usr/bin/env bash\n",
		filepath.Join(bin, "python3"):   "\x7fELF",
		filepath.Join(shims, "ruby"):    "#!/usr/bin/env bash\n",
		filepath.Join(bin, "release"):   "#!/bin/sh\n",
		filepath.Join(bin, "bash"):      "\x7fELF",
	} {
		if err := os.WriteFile(file, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", shims+":"+bin)
	for _, c := range []struct {
		tools []string
		want  string // of the first
	}{
		{[]string{"release"}, filepath.Join(bin, "release")},
		// A shim that cannot run is passed over, and used where it can.
		{[]string{"python3"}, filepath.Join(bin, "python3")},
		{[]string{"python3", "bash"}, filepath.Join(shims, "python3")},
		{[]string{"ruby"}, "that needs bash: add that to procedure.tools too"},
		{[]string{"jq"}, "jq is not on this machine"},
	} {
		got, err := Procedure{Tools: c.tools}.find(c.tools[0], "")
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, c.want) {
			t.Errorf("%q: %s, want %s", c.tools, got, c.want)
		}
	}
}
