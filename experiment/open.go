package experiment

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"strconv"
	"sync"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/cluster/gateway"
	"github.com/cutover-dev/cutover/cluster/image"
	"github.com/cutover-dev/cutover/dependencies"
	"github.com/cutover-dev/cutover/history"
	"github.com/cutover-dev/cutover/loadgen"
	"github.com/cutover-dev/cutover/release"
	"github.com/cutover-dev/cutover/safety"
	"github.com/cutover-dev/cutover/scenarios"
)

// Options says where a scenario runs and where its record goes.
type Options struct {
	Cluster cluster.Cluster
	// Platform is what was installed in the cluster by [Install].
	Platform Platform
	// Out is the folder of the record. It must not hold one.
	Out string
	// CacheDir is where built images are kept.
	CacheDir string
	// Seed of all chance; the scenario's own if it gives one.
	Seed int64
	// Replay is the command that does it again.
	Replay string
	// Watch is told of every event, for a terminal. May be nil.
	Watch func(history.Event)
	// Observe is given the live view when the run begins. May be nil.
	Observe func(history.Live)
	// Progress is told, in a line, of work that may take long. May be nil.
	Progress func(string)
}

// run is one execution of one scenario.
type run struct {
	Options
	scenario  scenarios.Scenario
	id        string
	namespace string
	clock     history.Clock
	record    *history.Recorder
	ledgers   string // folder of this user's
	ledger    *safety.Ledger
	client    client.WithWatch
	pods      *release.Pods
	versions  *loadgen.Versions
	app       *release.Installation
	router    release.Router
	strategy  release.Release
	procedure *procedure // nil of a built-in strategy
	tracker   *tracker
	faults    *injections

	built        map[string]image.Image // by what the scenario calls them
	dependencies dependencies.Running

	background sync.WaitGroup     // watches and log readers
	failed     failures           // of those
	stopBack   context.CancelFunc // ends them
	stopLoad   context.CancelFunc
	loadEnded  chan error
}

// open makes the record and the ledger, and the parts of a run that need no cluster.
func open(ctx context.Context, scenario scenarios.Scenario, o Options) (_ *run, err error) {
	r := &run{Options: o, scenario: scenario, clock: history.NewClock(), versions: &loadgen.Versions{}}
	if r.id, err = freshID(); err != nil {
		return nil, err
	}
	r.namespace = "cutover-" + r.id
	if r.client, err = NewClient(o.Cluster.REST()); err != nil {
		return nil, err
	}
	if r.record, err = history.Open(o.Out, r.clock, scenario.Load.SLO.Latency.D()); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.record.Close())
		}
	}()
	if o.Watch != nil {
		r.record.Subscribe(o.Watch)
	}
	if o.Observe != nil {
		o.Observe(r.record)
	}
	if r.ledgers, err = ledgerDir(); err != nil {
		return nil, err
	}
	header := safety.Header{RunID: r.id, Provider: o.Cluster.Provider(), Cluster: o.Cluster.Name(), Kubeconfig: o.Cluster.Kubeconfig(), Namespace: r.namespace}
	if r.ledger, err = safety.OpenLedger(r.ledgers, r.id, header, undoers(r.client)); err != nil {
		return nil, err
	}
	r.ledger.Report(r.record, r.clock)
	if err := r.assemble(); err != nil {
		return nil, errors.Join(err, r.ledger.Close())
	}
	plan, err := r.plan(ctx)
	if err != nil {
		return nil, errors.Join(err, r.ledger.Close())
	}
	r.tell(plan)
	return r, nil
}

// freshID is a run's name: unique, short, and fit for a namespace.
func freshID() (string, error) {
	random := make([]byte, 4)
	if _, err := rand.Read(random); err != nil {
		return "", err
	}
	return hex.EncodeToString(random), nil
}

// NewSeed draws a seed for a scenario that gives none.
func NewSeed() (int64, error) {
	var random [8]byte
	if _, err := rand.Read(random[:]); err != nil {
		return 0, err
	}
	// Small enough to be typed again.
	return int64(binary.LittleEndian.Uint64(random[:]) % 1_000_000), nil
}

// assemble builds strategy, router, tracker and faults from the scenario.
func (r *run) assemble() (err error) {
	sc := r.scenario
	if r.faults, err = newInjections(r); err != nil {
		return err
	}
	r.pods = release.NewPods(r.clock, r.record)
	layout := sc.Release.Layout()
	r.app = &release.Installation{Client: r.client, Namespace: r.namespace, Run: r.id, App: sc.App, Spec: sc.Release, Layout: layout, Pods: r.pods}
	route := &release.GatewayAPI{Client: r.client, Namespace: r.namespace, Run: r.id, App: sc.App, Entry: layout.Entry, Gateway: gateway.Gateway(), Live: r.record, Sink: r.record, Copies: r.copies}
	versions := learning{r.app, r}
	r.router = release.NewRouter(r.app, route, versions)
	deps := release.Deps{Versions: versions, Router: r.router, Smoke: r.smokeTest, Live: r.record}
	if sc.Procedure != nil {
		if r.procedure, err = newProcedure(r); err != nil {
			return err
		}
		deps.Procedure = r.procedure.deps(r)
	}
	if r.strategy, err = release.New(sc.Release, sc.App, deps); err != nil {
		return err
	}
	r.tracker = &tracker{live: r.record, sink: r.record, faults: r.faults,
		hold: sc.Release.Hold.D(), watch: sc.Release.Watch.D(), patience: min(time.Minute, sc.Release.Deadline.D()/2), reduced: r.procedure.reduced(r)}
	if third := sc.Release.Supersede; third != nil {
		r.tracker.supersede = &supersede{step: third.Step, deploy: r.app.Supersede}
	}
	if sc.Gate != nil {
		if r.tracker.policy, err = r.newPolicy(*sc.Gate); err != nil {
			return err
		}
	}
	return nil
}

// plan is the first event of the record.
func (r *run) plan(ctx context.Context) (history.Plan, error) {
	sc := r.scenario
	steps, err := release.StepNames(sc.Release, sc.App)
	if err != nil {
		return history.Plan{}, err
	}
	facts, err := r.Cluster.Facts(ctx)
	if err != nil {
		return history.Plan{}, err
	}
	plan := history.Plan{
		Scenario: sc.Metadata.Name, Path: sc.Path, Labels: sc.Metadata.Labels, Why: sc.Why,
		RunID: r.id, Started: r.clock.Began().UTC().Format(time.RFC3339), Seed: r.Seed, PlanHash: sc.Hash(),
		Provider: r.Cluster.Provider(), Replay: r.Replay,
		Strategy: sc.Release.Strategy, Steps: steps, Deadline: sc.Release.Deadline, SLO: sc.Load.SLO,
		Rate: sc.Load.Rate.PerSecond(), Faults: r.faults.describe(), Recover: sc.Recover, Expect: sc.Expect, Control: sc.Control,
		Facts: map[string]string{
			"cutover": ThisBuild().String(), "cluster": r.Cluster.Name(), "Kubernetes": facts.Kubernetes, "nodes": strconv.Itoa(facts.Nodes), "kernel": facts.Kernel,
			"namespace": r.namespace, "image": sc.App.Image,
		},
	}
	for _, d := range sc.Dependencies {
		plan.Facts["dependency "+d.Name] = d.Image
	}
	if shape := sc.Load.Shape; shape != nil {
		plan.Shape = shape.String()
	}
	if p := r.tracker.policy; p != nil {
		plan.GateEvery, plan.GateFails, plan.GateLimits = sc.Gate.Every, sc.Gate.Fails, p.limits()
	}
	return plan, nil
}

func (r *run) tell(payload history.Payload) {
	r.record.Event(history.NewEvent(r.clock.Now(), payload))
}

func (r *run) phase(name string) { r.tell(history.Phase{Name: name}) }

func (r *run) progress(line string) {
	if r.Progress != nil {
		r.Progress(line)
	}
}

// preflight says what the scenario requires and this cluster lacks; "" if nothing.
func (r *run) preflight() string {
	if missing := r.scenario.Missing(); len(missing) > 0 {
		return "an archive of an image is missing: " + missing.Error()
	}
	for _, p := range r.faults.planned {
		if _, err := r.Platform.Serving.Of(p.fault); err != nil {
			return "nobody can inject a fault here: " + err.Error()
		}
	}
	if missing := r.procedureNeeds(); missing != "" {
		return missing
	}
	return r.dependenciesNeed()
}
