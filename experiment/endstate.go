package experiment

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/cutover-dev/cutover/faults"
	"github.com/cutover-dev/cutover/history"
	"github.com/cutover-dev/cutover/release"
)

// endState is what a namespace holds, by "Kind/name", without what differs from one run
// to the next.
type endState map[string]string

// undisturbedWithin bounds the rehearsal of a procedure.
const undisturbedWithin = 3 * time.Minute

// rehearse runs the procedure without load and faults in a namespace beside the run's,
// if one of the faults is to kill it: what it leaves there is what it must leave when
// it is killed and run again. It returns once that namespace is gone.
func (p *procedure) rehearse(ctx context.Context, r *run) error {
	kills := func(f *pinned) bool { return f.fault.Kind() == faults.KindProcedure }
	if p == nil || !slices.ContainsFunc(r.faults.planned, kills) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, undisturbedWithin)
	defer cancel()
	namespace := r.namespace + "-undisturbed"
	remove, err := r.addNamespace(ctx, namespace)
	if err == nil {
		err = p.rehearseIn(ctx, r, namespace)
	}
	if remove != nil {
		_ = remove(context.WithoutCancel(ctx)) // the ledger has told the record, and tries again
	}
	return err
}

func (p *procedure) rehearseIn(ctx context.Context, r *run, namespace string) error {
	app := &release.Installation{
		Client: r.client, Namespace: namespace, Run: r.id, App: r.app.App, Spec: r.app.Spec, Layout: r.app.Layout, Images: r.app.Images,
		Pods: release.NewPods(r.clock, nobody{}),
	}
	in, err := p.elsewhere(namespace)
	if err != nil {
		return err
	}
	if p.setsUp() {
		err = complete(in.SetUp(ctx, p.Procedure))
	} else if err = app.Deploy(ctx, history.Baseline); err == nil {
		err = app.AwaitReady(ctx, history.Baseline)
	}
	if err != nil {
		return fmt.Errorf("bring up the baseline to rehearse the procedure on: %w", err)
	}
	if err := complete(in.Release(ctx, p.Procedure)); err != nil {
		p.unknown = "the procedure went wrong without a fault, too: " + err.Error()
		return nil //nolint:nilerr // the run goes on: there is nothing to compare with, which is said
	}
	p.undisturbed, err = r.stateOf(ctx, namespace)
	return err
}

// elsewhere are the surroundings of a rehearsal.
func (p *procedure) elsewhere(namespace string) (release.Surroundings, error) {
	in := p.in
	in.Namespace, in.Scratch = namespace, filepath.Join(p.in.Scratch, "undisturbed")
	in.Told = func(string, string) {} // its requests are in the record, under its own name
	token, err := p.proxy.Admit("undisturbed procedure")
	if err != nil {
		return in, err
	}
	if in.Kubeconfig, err = p.proxy.Kubeconfig(p.address, token, namespace); err != nil {
		return in, err
	}
	if err := os.Mkdir(in.Scratch, 0o700); err != nil {
		return in, err
	}
	return in, in.Furnish(p.Procedure)
}

// complete waits for what was started of the procedure, which must end well.
func complete(running release.Running, err error) error {
	if err != nil {
		return err
	}
	code, err := running.Wait()
	if err == nil && code != 0 {
		err = fmt.Errorf("it ended with exit code %d: what it said is in procedure.log of the record", code)
	}
	return err
}

// compareEndState records in what the namespace differs from an undisturbed one.
func (r *run) compareEndState(ctx context.Context) {
	p := r.procedure
	if p == nil || p.undisturbed == nil && p.unknown == "" {
		return
	}
	if p.unknown != "" {
		r.tell(history.EndState{Because: p.unknown})
		return
	}
	now, err := r.stateOf(ctx, r.namespace)
	if err != nil {
		r.tell(history.EndState{Because: err.Error()})
		return
	}
	r.tell(history.EndState{Compared: true, Differences: now.differences(p.undisturbed)})
}

// differences says in what a state is another one than it should be.
func (s endState) differences(want endState) []string {
	differ := []string{}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if is, there := s[name]; !there {
			differ = append(differ, name+" is missing")
		} else if is != want[name] {
			differ = append(differ, name+" is another one")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s)) {
		if _, wanted := want[name]; !wanted {
			differ = append(differ, name+" is left over")
		}
	}
	return differ
}

// stateOf lists all that a namespace holds and that nothing else in it made.
func (r *run) stateOf(ctx context.Context, namespace string) (endState, error) {
	config := r.Cluster.REST()
	config.WarningHandler = rest.NoWarnings{} // of kinds that are only looked at
	finder, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return nil, err
	}
	objects, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	groups, err := discovery.ServerPreferredNamespacedResources(finder)
	if err != nil {
		return nil, fmt.Errorf("find out what there may be in namespace %s: %w", namespace, err)
	}
	state := endState{}
	for _, group := range discovery.FilteredBy(discovery.SupportsAllVerbs{Verbs: []string{"list", "create"}}, groups) {
		version, err := schema.ParseGroupVersion(group.GroupVersion)
		if err != nil {
			return nil, err
		}
		for _, resource := range group.APIResources {
			list, err := objects.Resource(version.WithResource(resource.Name)).Namespace(namespace).List(ctx, metav1.ListOptions{})
			if err != nil {
				return nil, fmt.Errorf("look at the %s of namespace %s: %w", resource.Name, namespace, err)
			}
			for _, item := range list.Items {
				if counts(item) {
					state[item.GetKind()+"/"+item.GetName()] = normalised(item, namespace)
				}
			}
		}
	}
	return state, nil
}

// counts leaves out what Kubernetes and cutover make themselves, and what goes of
// itself.
func counts(o unstructured.Unstructured) bool {
	switch name := o.GetName(); {
	case len(o.GetOwnerReferences()) > 0, o.GetDeletionTimestamp() != nil:
		return false
	case o.GetKind() == "Event", o.GetKind() == "Lease", o.GetKind() == "Endpoints", o.GetKind() == "PodMetrics":
		return false
	case o.GetKind() == "HTTPRoute":
		return o.GetLabels()[faults.RunLabel] == ""
	case o.GetKind() == "ConfigMap" && name == "kube-root-ca.crt", o.GetKind() == "ServiceAccount" && name == "default":
		return false
	case o.GetKind() == "Pod" && o.GetLabels()[drillLabel] != "":
		return false
	}
	return o.GroupVersionKind().Group != faults.MeshGroup && o.GroupVersionKind().Group != faults.AgentGroup
}

// normalised is an object without what no two runs have in common.
func normalised(o unstructured.Unstructured, namespace string) string {
	fields := o.DeepCopy().Object
	delete(fields, "status")
	annotations := map[string]string{}
	for key, value := range o.GetAnnotations() {
		if key != "kubectl.kubernetes.io/last-applied-configuration" && key != "deployment.kubernetes.io/revision" {
			annotations[key] = value
		}
	}
	labels := o.GetLabels()
	if strings.HasPrefix(o.GetName(), "sh.helm.release.v1.") { // Helm's record: when, and of what is compared by itself
		delete(fields, "data")
		delete(labels, "createdAt")
		delete(labels, "modifiedAt")
	}
	fields["metadata"] = map[string]any{"labels": labels, "annotations": annotations, "finalizers": o.GetFinalizers()}
	if spec, ok := fields["spec"].(map[string]any); ok {
		for _, drawn := range []string{"clusterIP", "clusterIPs", "healthCheckNodePort", "volumeName", "nodeName"} {
			delete(spec, drawn)
		}
		ports, _ := spec["ports"].([]any)
		for _, port := range ports {
			if port, ok := port.(map[string]any); ok {
				delete(port, "nodePort")
			}
		}
	}
	text, err := json.Marshal(fields)
	if err != nil {
		return err.Error() // it came as JSON
	}
	return strings.ReplaceAll(string(text), namespace, "NAMESPACE")
}

// nobody is told nothing.
type nobody struct{}

func (nobody) Event(history.Event)     {}
func (nobody) Request(history.Request) {}
