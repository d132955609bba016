package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/cutover-dev/cutover/faults"
)

// Options say which node the agent is on and how it reaches the API.
type Options struct {
	NodeName   string
	Group      string // the API group of the objects that it serves, and of no others
	RESTConfig *rest.Config
	Log        *slog.Logger
	Driver     Driver // default [NewDriver]
}

// sweepWithin bounds the healing of everything when the agent ends.
const sweepWithin = 10 * time.Second

// Run serves the chaos objects on one node until ctx ends, and heals everything
// then. What a predecessor left on the node is removed first; objects that live on
// are taken up again from the API.
func Run(ctx context.Context, o Options) (err error) {
	if o.NodeName == "" {
		return errors.New("the agent does not know its node: set NODE_NAME from spec.nodeName")
	}
	if o.Group == "" {
		o.Group = faults.MeshGroup
	}
	driver := o.Driver
	if driver == nil {
		if driver, err = NewDriver(); err != nil {
			return err
		}
	}
	o.Log.Info("agent begins", "node", o.NodeName, "group", o.Group, "driver", fmt.Sprintf("%T", driver))
	if err := driver.Sweep(ctx); err != nil {
		return fmt.Errorf("remove what an earlier agent left on this node: %w", err)
	}
	defer func() {
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), sweepWithin)
		defer cancel()
		if swept := driver.Sweep(last); swept != nil {
			err = errors.Join(err, fmt.Errorf("heal this node before leaving: %w", swept))
		}
	}()
	manager, err := newManager(o, driver)
	if err != nil {
		return err
	}
	if err := manager.Start(ctx); err != nil {
		return fmt.Errorf("serve chaos objects: %w", err)
	}
	return nil
}

func newManager(o Options, driver Driver) (ctrl.Manager, error) {
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), faults.AddToScheme(scheme, o.Group)); err != nil {
		return nil, fmt.Errorf("build the agent's scheme: %w", err)
	}
	config := rest.CopyConfig(o.RESTConfig)
	config.QPS = -1 // a fault waits for every write; the API server protects itself
	manager, err := ctrl.NewManager(config, ctrl.Options{
		Scheme:  scheme,
		Logger:  logr.FromSlogHandler(o.Log.Handler()),
		Metrics: metricsserver.Options{BindAddress: "0"},
		Cache:   cache.Options{DefaultTransform: cache.TransformStripManagedFields()},
	})
	if err != nil {
		return nil, fmt.Errorf("reach the API: %w", err)
	}
	kinds := []kind{
		networkDelay{driver},
		podKill{client: manager.GetClient(), live: manager.GetAPIReader()},
	}
	for _, served := range kinds {
		if err := serve(manager, o.NodeName, served); err != nil {
			return nil, err
		}
	}
	return manager, nil
}

// serve watches one kind's objects, and the pods that they may be about.
func serve(manager ctrl.Manager, node string, served kind) error {
	r := newReconciler(served, manager.GetClient(), manager.GetAPIReader(), node)
	anyName := true // several agents may run in one process, in tests
	err := ctrl.NewControllerManagedBy(manager).
		For(served.object()).
		Watches(&corev1.Pod{}, handler.EnqueueRequestsFromMapFunc(r.objectsNear)).
		WithOptions(controller.Options{MaxConcurrentReconciles: 4, SkipNameValidation: &anyName}).
		Complete(r)
	if err != nil {
		return fmt.Errorf("watch %T: %w", served.object(), err)
	}
	return nil
}

func newReconciler(served kind, c client.Client, live client.Reader, node string) *reconciler {
	return &reconciler{
		kind: served, client: c, live: live, node: node, now: time.Now,
		active: map[types.NamespacedName]types.UID{},
	}
}

// objectsNear a pod are all in its namespace: any may select it.
func (r *reconciler) objectsNear(ctx context.Context, pod client.Object) []reconcile.Request {
	list := r.kind.list()
	if err := r.client.List(ctx, list, client.InNamespace(pod.GetNamespace())); err != nil {
		return nil // the cache is not there yet; each object comes by itself then
	}
	var requests []reconcile.Request
	_ = meta.EachListItem(list, func(item runtime.Object) error { // a typed list: it cannot fail
		requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(item.(client.Object))})
		return nil
	})
	return requests
}
