package gateway

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const lookEvery = 100 * time.Millisecond

// Install puts the gateway and the [Definitions] of its kinds into a cluster, or leaves
// what is there. The API
// server takes a moment to serve a kind that it was just given; Install waits for
// it. [Endpoint] waits for the gateway itself.
//
// onlyRoot is for a cluster that has no other user: the gateway is content with him
// there.
func Install(ctx context.Context, c client.Client, definitions []client.Object, image string, onlyRoot bool) error {
	for _, object := range slices.Concat(definitions, Manifests(image, onlyRoot)) {
		if err := create(ctx, c, object); err != nil {
			return fmt.Errorf("cannot install the gateway: %T %s: %w", object, object.GetName(), err)
		}
	}
	return nil
}

// create never changes what is there: the cluster may have the Gateway API's own
// definitions, and a gateway that other runs are using.
func create(ctx context.Context, c client.Client, object client.Object) error {
	var last error
	err := wait.PollUntilContextCancel(ctx, lookEvery, true, func(ctx context.Context) (bool, error) {
		last = c.Create(ctx, object.DeepCopyObject().(client.Object))
		if last == nil || apierrors.IsAlreadyExists(last) {
			return true, nil
		}
		if notYet(last) {
			return false, nil
		}
		return false, last
	})
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("%w while waiting; last: %w", context.Cause(ctx), last)
	}
	return err
}

// notYet tells what a freshly started API server, or one that was given a new kind
// a moment ago, answers for a while.
func notYet(err error) bool {
	var network net.Error
	return meta.IsNoMatchError(err) || apierrors.IsNotFound(err) || apierrors.IsServiceUnavailable(err) ||
		apierrors.IsTooManyRequests(err) || apierrors.IsInternalError(err) || errors.As(err, &network)
}
