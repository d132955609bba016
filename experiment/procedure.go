package experiment

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/cutover-dev/cutover/apiproxy"
	"github.com/cutover-dev/cutover/cluster/embedded/components"
	"github.com/cutover-dev/cutover/cluster/gateway"
	"github.com/cutover-dev/cutover/cluster/image"
	"github.com/cutover-dev/cutover/cluster/inside"
	"github.com/cutover-dev/cutover/history"
	"github.com/cutover-dev/cutover/loadgen"
	"github.com/cutover-dev/cutover/release"
)

// procedure is the user's own way to release, in a run.
type procedure struct {
	release.Procedure
	proxy *apiproxy.Proxy
	in    release.Surroundings // complete once it was prepared
	log   *os.File
	knows *release.Recogniser

	address     string   // of the proxy, in the cluster's network
	undisturbed endState // what it leaves when nobody disturbs it; nil if nobody asked
	unknown     string   // why that is not known

	mu    sync.Mutex
	reach float64 // share of the users that the candidate is to get
}

// newProcedure makes the way on which the procedure of a run reaches the API server.
func newProcedure(r *run) (*procedure, error) {
	proxy, err := apiproxy.New(r.Cluster.REST(), r.clock, r.record)
	return &procedure{Procedure: *r.scenario.Procedure, proxy: proxy}, err
}

// deps is what the release runs the procedure with.
func (p *procedure) deps(r *run) release.ProcedureDeps {
	return release.ProcedureDeps{
		Start: func(ctx context.Context) (release.Running, error) {
			return p.in.Release(ctx, p.Procedure)
		},
		API: p.proxy, OnRequests: r.faults, Sink: r.record,
	}
}

// end closes what was opened for the procedure, which does not run any more.
func (p *procedure) end() {
	if p != nil && p.log != nil {
		_ = p.log.Close() // what it said is in the events, too
	}
}

// setsUp reports whether the procedure brings up the baseline itself.
func (p *procedure) setsUp() bool { return p != nil && p.SetsUp() }

// procedureNeeds says what the procedure needs and is not here; "" if nothing is missing.
func (r *run) procedureNeeds() string {
	if r.procedure == nil {
		return ""
	}
	if _, can := r.Cluster.(inside.Cluster); !can {
		return fmt.Sprintf("a procedure runs in the cluster's network, and that of a cluster of sort %s cannot be entered from here", r.Cluster.Provider())
	}
	for _, program := range []string{"nsenter", "unshare"} {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Sprintf("a procedure is put into the cluster's network by %s, which is not on this machine: install the package util-linux", program)
		}
	}
	if sources := r.procedure.Sources(); len(sources) > 0 {
		if _, err := exec.LookPath("go"); err != nil {
			return fmt.Sprintf("the procedure's program %s is built by the go command, which is not on this machine: install Go and put it in PATH", sources[0])
		}
	}
	if err := r.procedure.Lacking(r.ownPrograms()); err != nil {
		return err.Error()
	}
	return ""
}

// ownPrograms is the folder of programs that were built for the cluster, kubectl among
// them; "" if there is none.
func (r *run) ownPrograms() string {
	built, are := r.Cluster.(interface{ Programs() components.Programs })
	if !are {
		return ""
	}
	return built.Programs().Path("")
}

// prepareProcedure makes all that the procedure needs to be started: what is on disk
// goes with the ledger, and the proxy with the run.
func (r *run) prepareProcedure(ctx, back context.Context) error {
	if r.procedure == nil {
		return nil
	}
	p, in := r.procedure, r.Cluster.(inside.Cluster)
	scratch, _, err := r.makeScratch(ctx)
	if err != nil {
		return err
	}
	listener, err := in.ListenInside(ctx)
	if err != nil {
		return fmt.Errorf("listen for the procedure in the cluster's network: %w", err)
	}
	r.inBackground(back, "serve the procedure", func(ctx context.Context) error { return p.proxy.Serve(ctx, listener) })
	token, err := p.proxy.Admit("procedure")
	if err != nil {
		return err
	}
	p.address = listener.Addr().String()
	kubeconfig, err := p.proxy.Kubeconfig(p.address, token, r.namespace)
	if err != nil {
		return err
	}
	dns, err := r.clusterDNS(ctx)
	if err != nil {
		return err
	}
	if p.log, err = os.OpenFile(filepath.Join(r.Out, "procedure.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644); err != nil {
		return err
	}
	p.in = release.Surroundings{
		Cluster: in, Executable: r.Platform.Executable, Root: r.scenario.Root(), Scratch: scratch, Kubeconfig: kubeconfig, DNS: dns,
		Namespace: r.namespace, Gateway: gateway.Gateway(), App: r.scenario.App, Images: r.app.Images, Own: r.ownPrograms(),
		Told: release.OutputOf(r.record, r.record), Log: p.log,
	}
	if p.in.Programs, err = r.buildPrograms(ctx, scratch); err != nil {
		return err
	}
	return p.in.Furnish(p.Procedure)
}

// buildPrograms builds those of the procedure's programs that are given as their source.
func (r *run) buildPrograms(ctx context.Context, scratch string) (map[string]string, error) {
	built := map[string]string{}
	for i, script := range r.procedure.Sources() {
		output := filepath.Join(scratch, fmt.Sprintf("program-%d", i))
		options := image.Options{CacheDir: r.CacheDir, Dir: r.scenario.Root(), TempDir: scratch, Notify: r.progress}
		if err := image.Executable(ctx, strings.TrimPrefix(script, release.SchemeGo), output, options); err != nil {
			return nil, err
		}
		built[script] = output
	}
	return built, nil
}

// clusterDNS is the address of the cluster's DNS.
func (r *run) clusterDNS(ctx context.Context) (string, error) {
	var services corev1.ServiceList
	if err := r.client.List(ctx, &services, client.InNamespace("kube-system"), client.MatchingLabels{"k8s-app": "kube-dns"}); err != nil {
		return "", fmt.Errorf("look for the cluster's DNS: %w", err)
	}
	for _, service := range services.Items {
		if service.Spec.ClusterIP != "" && service.Spec.ClusterIP != corev1.ClusterIPNone {
			return service.Spec.ClusterIP, nil
		}
	}
	return "", errors.New("the cluster has no DNS: there is no Service with the label k8s-app=kube-dns in kube-system")
}

// setUp has the procedure's own setup bring up the baseline, and returns when a Service
// that users come in by has an endpoint that is ready. If that brought up a route, too,
// it stays the procedure's.
func (r *run) setUp(ctx context.Context) error {
	p := r.procedure
	if err := complete(p.in.SetUp(ctx, p.Procedure)); err != nil {
		return fmt.Errorf("the procedure's setup: %w", err)
	}
	if err := r.app.AwaitServing(ctx); err != nil {
		return fmt.Errorf("the procedure's setup brought up no baseline: %w", err)
	}
	own, err := r.app.HasOwnRoute(ctx)
	if err != nil {
		return err
	}
	if own {
		r.router = release.OwnRoute{Live: r.record}
	}
	return r.recognise(ctx)
}

// recognise learns to tell the versions of pods that a procedure deploys.
func (r *run) recognise(ctx context.Context) (err error) {
	if r.procedure == nil {
		return nil
	}
	r.procedure.knows, err = r.app.Recognise(ctx)
	if r.procedure.proxied() && r.versionSource() == (loadgen.VersionSource{}) {
		return errors.New("users come in to a proxy of the procedure's, and nobody could tell who answers behind it: app.version must say where answers tell their version")
	}
	return err
}

// proxied reports whether a proxy of the procedure's own stands before the app.
func (p *procedure) proxied() bool { return p != nil && p.knows != nil && p.knows.Proxied() }

// learnCandidate asks the candidate how its answers tell it as soon as one of its pods
// is ready. The gateway's log does not: behind a proxy it names the proxy.
func (r *run) learnCandidate(ctx context.Context) error {
	look := time.NewTicker(100 * time.Millisecond)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-look.C:
			if r.learnVersion(ctx, history.Candidate) {
				return nil
			}
		}
	}
}

// leastReach is a share of the users that rounding does not make.
const leastReach = 1e-6

// reduced tells whether a write of the procedure leaves the candidate a smaller share of
// the users than it was to have: that is the decision to roll back, and recorded as such.
func (p *procedure) reduced(r *run) func(ctx context.Context, step, what string, began history.Micros) bool {
	return func(ctx context.Context, step, what string, began history.Micros) bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		now, err := r.app.Reach(ctx, p.knows)
		before := p.reach
		if err == nil { // or the next write is compared with what was known before
			p.reach = now
		}
		if err != nil || now > before-leastReach {
			return false
		}
		r.record.Event(history.NewEvent(began, history.Decision{
			Step: step, Action: release.StepRollback, First: history.Never,
			Because: fmt.Sprintf("%s: %s leaves the candidate %.4g %% of the users; it was to have %.4g %%", step, what, 100*now, 100*before),
		}))
		return true
	}
}
