package release

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/cutover-dev/cutover/apiproxy"
	"github.com/cutover-dev/cutover/history"
)

// Procedure is the procedure section of a scenario: the user's own way to release,
// which is run as the system under test.
type Procedure struct {
	Script string            `yaml:"script,omitempty" json:"script,omitempty"` // an executable file, as seen from the scenario's root, or a Go program: go://./folder, go://import/path[@version]
	Args   []string          `yaml:"args,omitempty" json:"args,omitempty"`     // its arguments
	Tools  []string          `yaml:"tools,omitempty" json:"tools,omitempty"`   // all programs that it finds on its PATH
	Env    map[string]string `yaml:"env,omitempty" json:"env,omitempty"`       // beside what every procedure is told
	// Setup is a script that brings up the baseline as the procedure expects to find
	// it; without one there is a Deployment and a Service, both named as the service.
	Setup string `yaml:"setup,omitempty" json:"setup,omitempty"`
	// Images that it needs beside the app's, by a name of its own.
	Images map[string]string `yaml:"images,omitempty" json:"images,omitempty"`

	Helm      *Helm      `yaml:"helm,omitempty" json:"helm,omitempty"`           // in place of a script: a chart
	Kustomize *Manifests `yaml:"kustomize,omitempty" json:"kustomize,omitempty"` // in place of a script: folders of kustomizations
	Kubectl   *Manifests `yaml:"kubectl,omitempty" json:"kubectl,omitempty"`     // in place of a script: files or folders of manifests
}

// StepOfWrite is the name of the step that a procedure's n-th write is, from 1.
func StepOfWrite(n int) string { return "write-" + strconv.Itoa(n) }

// Discoverer is a Stepper that can follow a procedure, whose steps are its writes:
// known only once they are over.
type Discoverer interface {
	// Coming is told of what will be the n-th write if it has an effect. It returns when
	// it may be done.
	Coming(ctx context.Context, n int)
	// Came is told that it was, what it was, and that it took from began until now.
	Came(ctx context.Context, n int, what string, began history.Micros)
}

// Running is a procedure that was started.
type Running interface {
	// Wait returns the exit code when nothing of it runs any more.
	Wait() (code int, err error)
	// Interrupt asks it to end.
	Interrupt() error
	// Kill ends all of it at once.
	Kill() error
}

// procedure is the user's own way to release.
type procedure struct {
	start func(ctx context.Context) (Running, error)
	api   API
	// onRequests is told of every request.
	onRequests apiproxy.Interceptor
	live       history.Live
	sink       history.Sink

	mu     sync.Mutex
	now    *attempt // the latest; nil before the first
	starts int
}

// attempt is the procedure, started once.
type attempt struct {
	Running
	ended       chan struct{}
	killed      bool // by a fault
	interrupted bool // by a fault
}

// API is the API server as procedures see it.
type API interface{ Intercept(apiproxy.Interceptor) }

// Stoppable is a release that can be stopped from outside, as its own process might be.
type Stoppable interface {
	// Kill ends it as it stands.
	Kill() error
	// Interrupt asks it to end, and kills it if it has not after the grace.
	Interrupt(grace time.Duration) error
}

// ProcedureDeps is what a procedure is run with.
type ProcedureDeps struct {
	Start func(ctx context.Context) (Running, error) // it; ctx's end is its end
	API   API                                        // that it reaches
	// OnRequests is told of each of its requests. A write is dropped whose procedure
	// was killed meanwhile.
	OnRequests apiproxy.Interceptor
	Sink       history.Sink
}

// StrategyProcedure is the strategy of a scenario that has a procedure.
const StrategyProcedure = "procedure"

var _ = register(StrategyProcedure, strategy{
	kinds: []string{KindDeployment, KindStatefulSet},
	// So the baseline is found: one workload and its Service, both named after the app.
	inPlace: true,
	steps:   func(Spec, App) ([]Step, error) { return nil, nil },
	build: func(_ Spec, _ []Step, deps Deps) Release {
		return &procedure{start: deps.Procedure.Start, api: deps.Procedure.API, onRequests: deps.Procedure.OnRequests, live: deps.Live, sink: deps.Procedure.Sink}
	},
})

var _ Stoppable = (*procedure)(nil)

// Steps implements Release: they are discovered.
func (p *procedure) Steps() (known []Step, complete bool) { return nil, false }

// Run implements Release: it runs the procedure, and once more if it was killed, and
// returns when the traffic has come to rest.
func (p *procedure) Run(ctx context.Context, stepper Stepper) error {
	discoverer, ok := stepper.(Discoverer)
	if !ok {
		return errors.New("whoever runs a procedure must be able to follow steps that are discovered")
	}
	p.api.Intercept(&writes{procedure: p, to: discoverer})
	code, killed, err := p.attempt(ctx)
	if killed && err == nil && ctx.Err() == nil {
		code, _, err = p.attempt(ctx)
	}
	if err != nil {
		return err
	}
	if err := p.settle(ctx); err != nil {
		return err
	}
	if code != 0 {
		return fmt.Errorf("the procedure ended with exit code %d", code)
	}
	return nil
}

// rest is how long no more than one version must have answered for the traffic to have
// come to rest: pods that a procedure leaves behind are served out meanwhile.
const rest = time.Second

// settle waits until the traffic has come to rest after the procedure's end. Until then
// its cutover is not finished.
func (p *procedure) settle(ctx context.Context) error {
	ended := p.live.Now()
	err := await(ctx, func(context.Context) (string, error) {
		now := p.live.Now()
		seen := p.live.Window(max(ended, now.After(-rest)), now).Versions
		switch {
		case now.Sub(ended) < rest:
			return "the procedure has only just ended", nil
		case seen[history.Baseline].N > 0 && seen[history.Candidate].N > 0:
			return "both versions answer", nil
		}
		return "", nil
	})
	if err != nil {
		return fmt.Errorf("the procedure has ended, and the traffic does not come to rest: %w", err)
	}
	return nil
}

func (p *procedure) attempt(ctx context.Context) (code int, killed bool, err error) {
	running, err := p.start(ctx)
	if err != nil {
		return 0, false, err
	}
	p.mu.Lock()
	p.starts++
	number, now := p.starts, &attempt{Running: running, ended: make(chan struct{})}
	p.now = now
	p.mu.Unlock()
	p.tell(history.ProcedureBegan{Attempt: number})
	code, err = running.Wait()
	close(now.ended)
	p.mu.Lock()
	killed = now.killed
	p.mu.Unlock()
	p.tell(history.ProcedureEnded{Attempt: number, Exit: code, Killed: killed})
	return code, killed, err
}

// Kill ends the procedure as it stands, and returns when nothing of it runs any more.
func (p *procedure) Kill() error {
	now, err := p.stop(func(a *attempt) { a.killed = true })
	if err != nil {
		return err
	}
	return now.Kill()
}

// Interrupt asks the procedure to end, and returns at once: what it does then may have
// to pass whoever called. It is not run again, since somebody did not want it.
func (p *procedure) Interrupt(grace time.Duration) error {
	now, err := p.stop(func(a *attempt) { a.interrupted = true })
	if err != nil {
		return err
	}
	go func() {
		select {
		case <-now.ended:
		case <-time.After(grace):
			_ = now.Kill() // it has ended, or its exit code tells
		}
	}()
	return now.Interrupt()
}

// stop marks the attempt that runs.
func (p *procedure) stop(mark func(*attempt)) (*attempt, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.now == nil {
		return nil, errors.New("the procedure does not run")
	}
	select {
	case <-p.now.ended:
		return nil, errors.New("the procedure does not run any more")
	default:
	}
	mark(p.now)
	return p.now, nil
}

// latest is the latest attempt.
func (p *procedure) latest() *attempt {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now
}

// fate is whether an attempt was stopped, and how.
func (p *procedure) fate(a *attempt) (killed, interrupted bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return a != nil && a.killed, a != nil && a.interrupted
}

// Abort implements Release. What a procedure left is its own affair, and shows in the
// traffic.
func (p *procedure) Abort(context.Context) error { return nil }

func (p *procedure) tell(payload history.Payload) {
	p.sink.Event(history.NewEvent(p.live.Now(), payload))
}

// writes makes steps of writes.
type writes struct {
	*procedure
	to    Discoverer
	began sync.Map // when each was let through, by its request's number
}

var _ apiproxy.Interceptor = (*writes)(nil)

// Before implements apiproxy.Interceptor. A request whose procedure was stopped while
// it was held came too late to have an effect, whatever its connection says. What an
// interrupted one asks for later is its tidying up.
func (w *writes) Before(ctx context.Context, r apiproxy.Request) apiproxy.Ruling {
	by := w.latest()
	_, before := w.fate(by)
	late := func() bool {
		killed, interrupted := w.fate(by)
		return killed || interrupted && !before
	}
	ruling := w.onRequests.Before(ctx, r)
	if r.Next > 0 && !late() {
		w.to.Coming(ctx, r.Next)
		w.began.Store(r.Number, w.live.Now())
	}
	ruling.Drop = ruling.Drop || late()
	return ruling
}

// After implements apiproxy.Interceptor.
func (w *writes) After(ctx context.Context, r apiproxy.Request, response apiproxy.Response) {
	if began, passed := w.began.LoadAndDelete(r.Number); passed && response.Step > 0 {
		w.to.Came(ctx, response.Step, r.String(), began.(history.Micros))
	}
	w.onRequests.After(ctx, r, response)
}
