package experiment

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/cutover-dev/cutover/cluster/image"
	"github.com/cutover-dev/cutover/faults"
	"github.com/cutover-dev/cutover/history"
	"github.com/cutover-dev/cutover/loadgen"
	"github.com/cutover-dev/cutover/release"
	"github.com/cutover-dev/cutover/safety"
)

// deployBaseline makes the namespace and brings the baseline up in it.
func (r *run) deployBaseline(ctx context.Context) error {
	if err := r.buildImages(ctx); err != nil {
		return err
	}
	if err := r.startDependencies(ctx); err != nil {
		return err
	}
	if err := r.makeApprovals(ctx); err != nil {
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
	r.inBackground(back, "watch the machine", r.watchHost)
	if err := r.prepareProcedure(ctx, back); err != nil {
		return err
	}
	if err := r.procedure.rehearse(ctx, r); err != nil {
		return err
	}
	ready, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	if err := r.bringUpBaseline(ready); err != nil {
		return err
	}
	if r.procedure.proxied() {
		r.inBackground(back, "ask the candidate for its version", r.learnCandidate)
	}
	_, err := r.router.Shift(ready, release.Split{Candidate: 0})
	return err
}

// bringUpBaseline deploys the baseline, unless the procedure brings it up itself.
func (r *run) bringUpBaseline(ctx context.Context) error {
	if r.procedure.setsUp() {
		if err := r.setUp(ctx); err != nil {
			return err
		}
		_ = r.learnVersion(ctx, history.Baseline) // or the gateway's log tells it
		return nil
	}
	versions := learning{r.app, r}
	if err := versions.Deploy(ctx, history.Baseline); err != nil {
		return err
	}
	if err := versions.AwaitReady(ctx, history.Baseline); err != nil {
		return err
	}
	return r.recognise(ctx)
}

// inBackground runs something until close stops it. What it reports after that is
// the stopping itself. What it reports before is told by close: if the cluster died,
// that is why, and these are the first to feel it.
func (r *run) inBackground(ctx context.Context, what string, do func(context.Context) error) {
	r.background.Go(func() {
		if err := do(ctx); err != nil && ctx.Err() == nil {
			r.failed.add(fmt.Errorf("%s: %w", what, err))
		}
	})
}

// buildImages builds every image of the scenario, and loads those of the app, of gates
// and of the procedure into the cluster.
func (r *run) buildImages(ctx context.Context) error {
	scratch, remove, err := r.makeScratch(ctx)
	if err != nil {
		return err
	}
	// What fails is in the record, and tried again at the end.
	defer func() { _ = remove(context.WithoutCancel(ctx)) }()
	app := r.scenario.App
	r.built, r.app.Images = map[string]image.Image{}, map[string]string{}
	for _, d := range r.scenario.Dependencies {
		if _, err := r.build(ctx, d.Image, scratch); err != nil {
			return err
		}
	}
	refs := []string{app.Image, app.Baseline.Image, app.Candidate.Image}
	if third := r.scenario.Release.Supersede; third != nil {
		refs = append(refs, third.By.Image)
	}
	if r.scenario.Gate != nil {
		for _, outside := range r.scenario.Gate.Outside() {
			refs = append(refs, outside.Image)
		}
	}
	if r.procedure != nil {
		refs = slices.AppendSeq(refs, maps.Values(r.procedure.Images))
	}
	for _, ref := range refs {
		if _, done := r.app.Images[ref]; done || ref == "" {
			continue
		}
		built, err := r.build(ctx, ref, scratch)
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

// build builds an image, once.
func (r *run) build(ctx context.Context, ref, scratch string) (image.Image, error) {
	if built, done := r.built[ref]; done {
		return built, nil
	}
	built, err := image.Build(ctx, ref, image.Options{CacheDir: r.CacheDir, Dir: r.scenario.Root(), TempDir: scratch, Notify: r.progress})
	if err == nil {
		r.built[ref] = built
	}
	return built, err
}

// makeScratch makes a folder for temporary files, through the ledger: a compiler
// that is killed, or loses this process, leaves some.
func (r *run) makeScratch(ctx context.Context) (string, safety.Undo, error) {
	path, err := filepath.Abs(filepath.Join(os.TempDir(), "cutover-run-"+r.id))
	if err != nil {
		return "", nil, err
	}
	params, err := json.Marshal(scratchParams{Path: path})
	if err != nil {
		return "", nil, err
	}
	remove, err := r.ledger.Do(ctx, safety.Action{Kind: kindScratch, Params: params}, func(context.Context) error {
		return os.Mkdir(path, 0o700)
	})
	return path, remove, err
}

func (r *run) makeNamespace(ctx context.Context) error {
	_, err := r.addNamespace(ctx, r.namespace)
	return err
}

// addNamespace makes a namespace of the run's, and returns what removes it.
func (r *run) addNamespace(ctx context.Context, name string) (safety.Undo, error) {
	params, err := json.Marshal(namespaceParams{Name: name})
	if err != nil {
		return nil, err
	}
	remove, err := r.ledger.Do(ctx, safety.Action{Kind: kindNamespace, Params: params}, func(ctx context.Context) error {
		return r.client.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{faults.RunLabel: r.id}}})
	})
	if apierrors.IsAlreadyExists(err) {
		err = fmt.Errorf("namespace %s exists: %w", name, err)
	}
	return remove, err
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
	_ = l.r.learnVersion(ctx, v) // or the gateway's log tells it
	return nil
}

// AwaitPods implements release.Versions.
func (l learning) AwaitPods(ctx context.Context, v history.Version, n int) error {
	if err := l.Installation.AwaitPods(ctx, v, n); err != nil {
		return err
	}
	_ = l.r.learnVersion(ctx, v) // or the gateway's log tells it
	return nil
}

// learnVersion asks one pod of the version, and reports whether it told. A version that
// does not answer, or not with its name, is told by the gateway's access log instead.
func (r *run) learnVersion(ctx context.Context, v history.Version) bool {
	source := r.versionSource()
	if source == (loadgen.VersionSource{}) {
		return false
	}
	addresses, err := r.podAddresses(ctx, v)
	if err != nil || len(addresses) == 0 {
		return false
	}
	for _, request := range r.scenario.Load.Requests {
		if request.Write {
			continue // asking must change nothing
		}
		if value, err := loadgen.ProbeVersion(ctx, r.dialTo(addresses[0]), r.scenario.Load.Protocol, request, source); err == nil {
			r.versions.Learn(value, v)
			return true
		}
	}
	return false
}

// smokeTest asks every pod of the version for all that the load asks for and that
// changes nothing.
func (r *run) smokeTest(ctx context.Context, v history.Version) error {
	addresses, err := r.podAddresses(ctx, v)
	if err != nil {
		return err
	}
	if len(addresses) == 0 {
		return fmt.Errorf("the %s has no pod with an address", v)
	}
	for _, address := range addresses {
		for _, request := range r.scenario.Load.Requests {
			if request.Write {
				continue
			}
			if err := loadgen.Probe(ctx, r.dialTo(address), r.scenario.Load.Protocol, request); err != nil {
				return fmt.Errorf("pod at %s: %w", address, err)
			}
		}
	}
	return nil
}

func (r *run) dialTo(address string) loadgen.Dialer {
	return func(ctx context.Context, _, _ string) (net.Conn, error) { return r.Cluster.Dial(ctx, address) }
}

// versionSource is where the app's answers tell their version.
func (r *run) versionSource() loadgen.VersionSource {
	return loadgen.VersionSource(r.scenario.App.Version)
}

// podAddresses are ip:port of the version's ready pods.
func (r *run) podAddresses(ctx context.Context, v history.Version) ([]string, error) {
	hash, known := r.pods.Hash(v)
	if !known {
		return nil, fmt.Errorf("the %s is not deployed", v)
	}
	var pods corev1.PodList
	if err := r.client.List(ctx, &pods, client.InNamespace(r.namespace), client.MatchingLabels{r.scenario.App.HashLabel(): hash}); err != nil {
		return nil, err
	}
	var addresses []string
	for _, pod := range pods.Items {
		if pod.Status.PodIP != "" && pod.DeletionTimestamp == nil && release.IsReady(&pod) {
			addresses = append(addresses, net.JoinHostPort(pod.Status.PodIP, strconv.Itoa(r.scenario.App.ServingPort(v))))
		}
	}
	return addresses, nil
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
