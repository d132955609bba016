package experiment

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/cluster/gateway"
	"github.com/cutover-dev/cutover/cluster/image"
	"github.com/cutover-dev/cutover/faults"
	"github.com/cutover-dev/cutover/gates"
	"github.com/cutover-dev/cutover/history"
	"github.com/cutover-dev/cutover/loadgen"
	"github.com/cutover-dev/cutover/release"
	"github.com/cutover-dev/cutover/safety"
	"github.com/cutover-dev/cutover/scenarios"
	"github.com/cutover-dev/cutover/stats"
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
	ledger    *safety.Ledger
	client    client.WithWatch
	pods      *release.Pods
	versions  *loadgen.Versions
	app       *release.Installation
	router    *release.GatewayAPI
	strategy  release.Release
	tracker   *tracker
	faults    *injections

	background sync.WaitGroup     // watches and log readers
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
	header := safety.Header{RunID: r.id, Provider: o.Cluster.Provider(), Cluster: o.Cluster.Name(), Kubeconfig: o.Cluster.Kubeconfig(), Namespace: r.namespace}
	if r.ledger, err = safety.OpenLedger(LedgerDir, r.id, header, undoers(r.client)); err != nil {
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
	r.pods = release.NewPods(r.clock, r.record)
	r.app = &release.Installation{Client: r.client, Namespace: r.namespace, Run: r.id, App: sc.App, Pods: r.pods}
	r.router = &release.GatewayAPI{Client: r.client, Namespace: r.namespace, Run: r.id, App: sc.App, Gateway: gateway.Gateway(), Live: r.record, Sink: r.record}
	if r.strategy, err = release.New(sc.Release, release.Deps{Versions: learning{r.app, r}, Router: r.router}); err != nil {
		return err
	}
	if r.faults, err = newInjections(r); err != nil {
		return err
	}
	r.tracker = &tracker{live: r.record, sink: r.record, faults: r.faults,
		hold: sc.Release.Hold.D(), watch: sc.Release.Watch.D(), patience: min(time.Minute, sc.Release.Deadline.D()/2)}
	if sc.Gate != nil {
		gate, err := gates.NewThreshold(*sc.Gate)
		if err != nil {
			return err
		}
		r.tracker.policy = &policy{gate: gate, spec: *sc.Gate, live: r.record, sink: r.record}
	}
	return nil
}

// plan is the first event of the record.
func (r *run) plan(ctx context.Context) (history.Plan, error) {
	sc := r.scenario
	steps, err := release.StepNames(sc.Release)
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
			"cluster": r.Cluster.Name(), "Kubernetes": facts.Kubernetes, "nodes": strconv.Itoa(facts.Nodes), "kernel": facts.Kernel,
			"namespace": r.namespace, "image": sc.App.Image,
		},
	}
	if p := r.tracker.policy; p != nil {
		plan.GateEvery, plan.GateFails, plan.GateLimits = sc.Gate.Every, sc.Gate.Fails, p.gate.Limits()
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
	if len(r.faults.planned) > 0 && !r.Platform.Agent {
		return "the scenario injects faults, and this cluster has no node agent"
	}
	return ""
}

// deployBaseline makes the namespace and brings the baseline up in it.
func (r *run) deployBaseline(ctx context.Context) error {
	if err := r.buildImages(ctx); err != nil {
		return err
	}
	if err := r.makeNamespace(ctx); err != nil {
		return err
	}
	back, stop := context.WithCancel(context.WithoutCancel(ctx))
	r.stopBack = stop
	if err := r.pods.Watch(back, r.client, r.namespace); err != nil {
		return err
	}
	r.inBackground(back, "watch events", r.watchClusterEvents)
	ready, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	versions := learning{r.app, r}
	if err := versions.Deploy(ready, history.Baseline); err != nil {
		return err
	}
	if err := versions.AwaitReady(ready, history.Baseline); err != nil {
		return err
	}
	_, err := r.router.Shift(ready, release.Split{Candidate: 0})
	return err
}

// inBackground runs something until close stops it. What it reports after that is
// the stopping itself.
func (r *run) inBackground(ctx context.Context, what string, do func(context.Context) error) {
	r.background.Go(func() {
		if err := do(ctx); err != nil && ctx.Err() == nil {
			r.tell(history.Broken{Because: fmt.Sprintf("%s: %v", what, err)})
		}
	})
}

// buildImages builds every image of the app and loads it into the cluster.
func (r *run) buildImages(ctx context.Context) error {
	app := r.scenario.App
	r.app.Images = map[string]string{}
	for _, ref := range []string{app.Image, app.Baseline.Image, app.Candidate.Image} {
		if _, done := r.app.Images[ref]; done || ref == "" {
			continue
		}
		built, err := image.Build(ctx, ref, image.Options{CacheDir: r.CacheDir, Dir: r.scenario.Root(), Notify: r.progress})
		if err != nil {
			return err
		}
		if err := r.Cluster.LoadImage(ctx, built.Ref, built.Image); err != nil {
			return err
		}
		r.app.Images[ref] = built.Ref
	}
	return nil
}

func (r *run) makeNamespace(ctx context.Context) error {
	params, err := json.Marshal(namespaceParams{Name: r.namespace})
	if err != nil {
		return err
	}
	_, err = r.ledger.Do(ctx, safety.Action{Kind: kindNamespace, Params: params}, func(ctx context.Context) error {
		return r.client.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: r.namespace, Labels: map[string]string{faults.RunLabel: r.id}}})
	})
	if apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("namespace %s exists: %w", r.namespace, err)
	}
	return err
}

// learning is the installation that also asks each version, once it is ready, how
// its answers tell it from the other one.
type learning struct {
	*release.Installation
	r *run
}

// AwaitReady implements release.Versions.
func (l learning) AwaitReady(ctx context.Context, v history.Version) error {
	if err := l.Installation.AwaitReady(ctx, v); err != nil {
		return err
	}
	l.r.learnVersion(ctx, v)
	return nil
}

// learnVersion asks one pod of the version. A version that does not answer, or not
// with its name, is told by the gateway's access log instead.
func (r *run) learnVersion(ctx context.Context, v history.Version) {
	source := loadgen.VersionSource{Header: r.scenario.App.Version.Header, JSON: r.scenario.App.Version.JSON}
	if source == (loadgen.VersionSource{}) {
		return
	}
	address, err := r.podAddress(ctx, v)
	if err != nil {
		return
	}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) { return r.Cluster.Dial(ctx, address) }
	for _, request := range r.scenario.Load.Requests {
		if request.Write {
			continue // asking must change nothing
		}
		if value, err := loadgen.ProbeVersion(ctx, dial, request, source); err == nil {
			r.versions.Learn(value, v)
			return
		}
	}
}

// podAddress is ip:port of one ready pod of the version.
func (r *run) podAddress(ctx context.Context, v history.Version) (string, error) {
	hash, known := r.pods.Hash(v)
	if !known {
		return "", fmt.Errorf("the %s is not deployed", v)
	}
	var pods corev1.PodList
	if err := r.client.List(ctx, &pods, client.InNamespace(r.namespace), client.MatchingLabels{"pod-template-hash": hash}); err != nil {
		return "", err
	}
	for _, pod := range pods.Items {
		if pod.Status.PodIP != "" && pod.DeletionTimestamp == nil {
			return net.JoinHostPort(pod.Status.PodIP, strconv.Itoa(r.scenario.App.Ports["http"])), nil
		}
	}
	return "", fmt.Errorf("the %s has no pod with an address", v)
}

// startLoad starts the load and returns when the route answers it.
func (r *run) startLoad(ctx context.Context) error {
	ip, port, pod, err := gateway.Endpoint(ctx, r.client)
	if err != nil {
		return err
	}
	log := loadgen.NewAccessLog()
	if err := r.followAccessLog(ctx, pod, log); err != nil {
		return err
	}
	address := net.JoinHostPort(ip, strconv.Itoa(port))
	attack := &loadgen.Attack{
		Spec: r.scenario.Load, Seed: r.Seed, RunID: r.id, Host: release.Hostname(r.scenario.App.Service, r.namespace),
		Dial:  func(ctx context.Context, _, _ string) (net.Conn, error) { return r.Cluster.Dial(ctx, address) },
		Clock: r.clock, Sink: r.record,
		Attribution: &loadgen.Attribution{
			Source:   loadgen.VersionSource{Header: r.scenario.App.Version.Header, JSON: r.scenario.App.Version.JSON},
			Versions: r.versions, Log: log,
			Resolve: func(ip string) (history.Version, string) { v, pod, _ := r.pods.Resolve(ip); return v, pod },
		},
	}
	loading, stop := context.WithCancel(context.WithoutCancel(ctx))
	r.stopLoad, r.loadEnded = stop, make(chan error, 1)
	go func() { r.loadEnded <- attack.Run(loading) }()
	serving, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	return r.router.Serving(serving, 1)
}

// followAccessLog reads the gateway's log from now on.
func (r *run) followAccessLog(ctx context.Context, pod string, log *loadgen.AccessLog) error {
	config := r.Cluster.REST()
	set, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	back, stop := context.WithCancel(context.WithoutCancel(ctx))
	previous := r.stopBack
	r.stopBack = func() { stop(); previous() }
	none := int64(0)
	stream, err := set.CoreV1().Pods(gateway.Namespace).GetLogs(pod, &corev1.PodLogOptions{Follow: true, TailLines: &none}).Stream(back)
	if err != nil {
		return fmt.Errorf("read the gateway's access log: %w", err)
	}
	r.inBackground(back, "read the gateway's access log", func(context.Context) error {
		defer stream.Close()
		err := log.Consume(stream)
		if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, context.Canceled) {
			return nil
		}
		return err
	})
	return nil
}

// proveSteadyState watches the baseline until there are enough requests to judge
// it by, and reports whether it may be broken.
func (r *run) proveSteadyState(ctx context.Context) (bool, error) {
	slo := r.scenario.Load.SLO
	from := r.clock.Now().After(r.scenario.Load.Warmup.D())
	// Fewer could not tell an SLO of 99.9 % from 99 %.
	enough := max(300, int(1/(1-float64(slo.Availability))+0.5))
	limit := from.After(3*time.Duration(float64(enough)/r.scenario.Load.Rate.PerSecond()*float64(time.Second)) + 10*time.Second)
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return false, context.Cause(ctx)
		case err := <-r.loadEnded:
			return false, fmt.Errorf("the load ended by itself: %w", err)
		case <-ticker.C:
		}
		now := r.clock.Now()
		seen := total(r.record.Window(from, now))
		if seen.N < enough && now < limit {
			continue
		}
		result := judgeSteady(seen, slo, enough)
		result.From = from
		r.tell(result)
		return !result.Rejected, nil
	}
}

// steadyAlpha is the level at which the baseline's bad requests reject the SLO.
const steadyAlpha = 0.01

// judgeSteady rejects the SLO only when an exact one-sided binomial test does, or
// when there was hardly any traffic to judge by.
func judgeSteady(seen history.Tally, slo history.SLO, enough int) history.SteadyState {
	p99, _ := stats.Quantile(seen.Latencies, 0.99)
	result := history.SteadyState{N: seen.N, Bad: seen.Bad, P99Us: p99.Microseconds()}
	p := stats.BinomialTail(seen.Bad, seen.N, 1-float64(slo.Availability))
	switch {
	case seen.N < enough:
		result.Rejected = true
		result.Because = fmt.Sprintf("only %d of the %d requests that judging takes were answered in time; raise load.rate or look at the gateway", seen.N, enough)
	case p < steadyAlpha:
		result.Rejected = true
		result.Because = fmt.Sprintf("%d of %d requests were bad before anything was touched; at %v availability that has a chance of %.2g", seen.Bad, seen.N, slo.Availability, p)
	default:
		result.Because = fmt.Sprintf("%d requests, %d bad, p99 %v (limit %v)", seen.N, seen.Bad, p99.Round(time.Millisecond), slo.Latency)
	}
	return result
}

func total(w history.Window) history.Tally {
	var sum history.Tally
	for _, tally := range w.Versions {
		sum = sum.Add(tally)
	}
	return sum
}

// watchClusterEvents records the Kubernetes events of the run's namespace.
func (r *run) watchClusterEvents(ctx context.Context) error {
	for ctx.Err() == nil {
		var list corev1.EventList
		watcher, err := r.client.Watch(ctx, &list, client.InNamespace(r.namespace))
		if err != nil {
			return err
		}
		for change := range watcher.ResultChan() {
			if event, ok := change.Object.(*corev1.Event); ok && change.Type == "ADDED" {
				r.tell(history.ClusterEvent{
					Object: strings.ToLower(event.InvolvedObject.Kind) + "/" + event.InvolvedObject.Name,
					Reason: event.Reason, Message: event.Message, Warning: event.Type == corev1.EventTypeWarning,
				})
			}
		}
	}
	return nil
}
