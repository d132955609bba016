package experiment

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/cluster/provider"
	"github.com/cutover-dev/cutover/dependencies"
	"github.com/cutover-dev/cutover/faults"
	"github.com/cutover-dev/cutover/safety"
)

// ledgerDir is where the ledgers of all runs of this user are.
func ledgerDir() (string, error) {
	dir, err := cluster.StateDir()
	return filepath.Join(dir, "ledgers"), err
}

const kindNamespace = "namespace"

type namespaceParams struct {
	Name string `json:"name"`
}

// kindScratch is a folder for temporary files. It is on this machine, not in the
// cluster.
const kindScratch = "scratch-folder"

type scratchParams struct {
	Path string `json:"path"`
}

func removeScratch(_ context.Context, params json.RawMessage) error {
	var p scratchParams
	if err := json.Unmarshal(params, &p); err != nil {
		return err
	}
	return os.RemoveAll(p.Path)
}

// undoers can undo whatever a run does, from what its ledger says.
func undoers(c client.Client) safety.Undoers {
	all := safety.Undoers{kindNamespace: func(ctx context.Context, params json.RawMessage) error {
		var p namespaceParams
		if err := json.Unmarshal(params, &p); err != nil {
			return err
		}
		return deleteNamespace(ctx, c, p.Name)
	}, kindScratch: removeScratch, kindProcesses: killProcesses}
	maps.Copy(all, faults.Undoers(c))
	maps.Copy(all, dependencies.Undoers())
	return all
}

// deleteNamespace deletes and returns when the namespace is gone. Its pods go first
// and at once: nobody is served by them any more, and the namespace controller
// would sleep for half of their grace period.
func deleteNamespace(ctx context.Context, c client.Client, name string) error {
	// Owners before what they would make again.
	for _, all := range []client.Object{&appsv1.Deployment{}, &appsv1.ReplicaSet{}, &corev1.Pod{}} {
		err := c.DeleteAllOf(ctx, all, client.InNamespace(name), client.GracePeriodSeconds(0), client.PropagationPolicy(metav1.DeletePropagationBackground))
		if client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("empty namespace %s: %w", name, err)
		}
	}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	last := "it was not deleted yet"
	err := wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, 90*time.Second, true, func(ctx context.Context) (bool, error) {
		err := c.Delete(ctx, namespace)
		if apierrors.IsNotFound(err) {
			return true, nil
		}
		if err != nil && !apierrors.IsConflict(err) {
			last = err.Error()
			return false, nil
		}
		if err := c.Get(ctx, client.ObjectKey{Name: name}, namespace); err == nil {
			for _, condition := range namespace.Status.Conditions {
				last = condition.Message
			}
		}
		return false, nil
	})
	if err != nil {
		return fmt.Errorf("namespace %s does not go away (%s): %w", name, last, err)
	}
	return nil
}

// residue lists what is left of a run in the cluster.
func residue(ctx context.Context, c client.Client, run string) ([]string, error) {
	left, err := faults.Residue(ctx, c, run)
	var namespaces corev1.NamespaceList
	if listing := c.List(ctx, &namespaces, client.MatchingLabels{faults.RunLabel: run}); listing != nil {
		return left, errors.Join(err, listing)
	}
	for _, namespace := range namespaces.Items {
		left = append(left, "namespace/"+namespace.Name)
	}
	return left, err
}

// Clean removes what dead runs left: their clusters, then what their ledgers say,
// then what carries the label of a run that nobody performs any more. Each thing
// it did is told in a line. Living runs are left alone.
func Clean(ctx context.Context, tell func(string)) error {
	dir, err := ledgerDir()
	if err != nil {
		return err
	}
	var failed []error
	for _, p := range provider.All() {
		clusters, err := p.Clean(ctx)
		failed = append(failed, err)
		for _, name := range clusters {
			tell("removed what was left of cluster " + name)
		}
	}
	dead, err := safety.Dead(dir)
	failed = append(failed, err)
	for _, ledger := range dead {
		failed = append(failed, cleanRun(ctx, ledger, tell))
	}
	failed = append(failed, sweepNamespaces(ctx, dir, tell))
	runs, err := dependencies.Sweep(ctx, dir)
	failed = append(failed, err)
	for _, run := range runs {
		tell(fmt.Sprintf("removed the dependencies of run %s, which nobody performs any more", run))
	}
	removeEmpty(dir)
	return errors.Join(failed...)
}

// cleanRun undoes what a dead run's ledger lists.
func cleanRun(ctx context.Context, ledger *safety.Ledger, tell func(string)) error {
	header := ledger.Header()
	on, c, err := reach(ctx, header)
	if err != nil {
		return errors.Join(fmt.Errorf("run %s: %w", header.RunID, err), ledger.Close())
	}
	if c == nil {
		err = ledger.Replay(ctx, gone())
	} else {
		err = replayOn(ctx, on, ledger, undoers(c))
	}
	if err == nil {
		tell(fmt.Sprintf("undid what run %s left in cluster %s", header.RunID, header.Cluster))
	}
	return errors.Join(err, ledger.Close())
}

// reach connects to a ledger's cluster; the client is nil if that is gone, and all
// damage with it.
func reach(ctx context.Context, header safety.Header) (on cluster.Cluster, c client.Client, err error) {
	made, err := provider.Named(header.Provider)
	if err != nil {
		return nil, nil, err
	}
	if on, err = made.Attach(ctx, header.Cluster); err != nil {
		return nil, nil, unlessGone(ctx, made, header.Cluster, err)
	}
	config, err := clientcmd.BuildConfigFromFlags("", header.Kubeconfig)
	if err != nil {
		return nil, nil, fmt.Errorf("its cluster cannot be reached: %w", err)
	}
	c, err = NewClient(config)
	return on, c, err
}

// unlessGone says why a cluster cannot be reached; nil if that is because there is none
// any more. A container engine that does not answer knows of none either.
func unlessGone(ctx context.Context, made provider.Provider, name string, unreached error) error {
	list, err := made.List(ctx)
	if err != nil {
		return errors.Join(unreached, err)
	}
	if slices.ContainsFunc(list, func(info provider.Info) bool { return info.Name == name && info.Alive }) {
		return unreached
	}
	return nil
}

// replayOn replays a ledger on its cluster, which may end in the middle of it.
func replayOn(ctx context.Context, on cluster.Cluster, ledger *safety.Ledger, how safety.Undoers) error {
	living, stop := whileAlive(ctx, on)
	defer stop()
	err := ledger.Replay(living, how)
	if err != nil && hasEnded(on) {
		return ledger.Replay(ctx, gone())
	}
	return err
}

// gone are the undoers for a cluster that is no more: all in it went with it, and what
// was beside it did not.
func gone() safety.Undoers {
	nothing := func(context.Context, json.RawMessage) error { return nil }
	all := safety.Undoers{}
	for kind := range undoers(nil) {
		all[kind] = nothing
	}
	all[kindScratch] = removeScratch
	all[kindProcesses] = killProcesses
	maps.Copy(all, dependencies.Undoers())
	return all
}

// sweepNamespaces deletes the run-labelled namespaces of every living cluster
// whose runs have no ledger: neither living nor dead.
func sweepNamespaces(ctx context.Context, ledgers string, tell func(string)) error {
	var failed []error
	for _, p := range provider.All() {
		list, err := p.List(ctx)
		failed = append(failed, err)
		for _, info := range list {
			if !info.Alive || info.Making || info.Owned {
				continue
			}
			err := sweepCluster(ctx, info, ledgers, tell)
			if _, gone := p.Attach(ctx, info.Name); gone != nil {
				continue // it was taken down meanwhile
			}
			failed = append(failed, err)
		}
	}
	return errors.Join(failed...)
}

func sweepCluster(ctx context.Context, info provider.Info, ledgers string, tell func(string)) error {
	config, err := clientcmd.BuildConfigFromFlags("", info.Kubeconfig)
	if err != nil {
		return fmt.Errorf("cluster %s: %w", info.Name, err)
	}
	c, err := NewClient(config)
	if err != nil {
		return fmt.Errorf("cluster %s: %w", info.Name, err)
	}
	var namespaces corev1.NamespaceList
	if err := c.List(ctx, &namespaces, client.HasLabels{faults.RunLabel}); err != nil {
		return fmt.Errorf("cluster %s: %w", info.Name, err)
	}
	for _, namespace := range namespaces.Items {
		run := namespace.Labels[faults.RunLabel]
		if _, err := os.Stat(filepath.Join(ledgers, run+".ndjson")); err == nil {
			continue
		}
		if err := errors.Join(faults.Sweep(ctx, c, run), deleteNamespace(ctx, c, namespace.Name)); err != nil {
			return err
		}
		tell(fmt.Sprintf("deleted namespace %s of a dead run in cluster %s", namespace.Name, info.Name))
	}
	return nil
}

// removeEmpty removes the folder, and the one above it, if nothing is in them.
func removeEmpty(dir string) {
	for _, d := range []string{dir, filepath.Dir(dir)} {
		if os.Remove(d) != nil {
			return // in use, or gone already
		}
	}
}
