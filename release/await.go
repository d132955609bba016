package release

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	lookEvery = 100 * time.Millisecond
	// One look at an API server that has stopped answering must not use up the
	// whole budget of a release.
	lookTimeout = 5 * time.Second

	fieldOwner = client.FieldOwner("cutover")
)

// await looks again and again until nothing is missing. What the API server could
// not do just now is asked again, because a release outlives a hiccup of the
// control plane; any other error ends the wait.
func await(ctx context.Context, look func(context.Context) (missing string, err error)) error {
	last := "nothing was seen yet"
	err := wait.PollUntilContextCancel(ctx, lookEvery, true, func(ctx context.Context) (bool, error) {
		looking, cancel := context.WithTimeout(ctx, lookTimeout)
		defer cancel()
		missing, err := look(looking)
		if err != nil && !passing(err) {
			return false, err
		}
		if err != nil {
			missing = err.Error()
		}
		if ctx.Err() == nil { // or it would only say that time is up
			last = missing
		}
		return missing == "", nil
	})
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("%w while waiting: %s", context.Cause(ctx), last)
	}
	return err
}

// passing tells errors that a later attempt may not meet: conflicts, an API server
// that is overloaded or broken, a connection that failed.
func passing(err error) bool {
	var status apierrors.APIStatus
	if errors.As(err, &status) {
		code := status.Status().Code
		return code == http.StatusConflict || code == http.StatusTooManyRequests || code >= http.StatusInternalServerError
	}
	var network net.Error
	return errors.As(err, &network) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// apply creates the object or brings it to the given form. Server-side apply does
// both in one request that can be repeated.
func apply(ctx context.Context, c client.Client, object client.Object) error {
	kind, err := c.GroupVersionKindFor(object)
	if err != nil {
		return fmt.Errorf("cannot apply %T: %w", object, err)
	}
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
	if err != nil {
		return fmt.Errorf("cannot apply %s %s: %w", kind.Kind, object.GetName(), err)
	}
	delete(fields, "status") // its controller's, not ours
	configuration := &unstructured.Unstructured{Object: fields}
	configuration.SetGroupVersionKind(kind)
	err = await(ctx, func(ctx context.Context) (string, error) {
		attempt := client.ApplyConfigurationFromUnstructured(configuration.DeepCopy())
		return "", c.Apply(ctx, attempt, fieldOwner, client.ForceOwnership)
	})
	if err != nil {
		return fmt.Errorf("cannot apply %s %s/%s: %w", kind.Kind, object.GetNamespace(), object.GetName(), err)
	}
	return nil
}
