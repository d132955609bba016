package release

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
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

// await looks again and again until nothing is missing. What could not be seen or
// done just now is tried again, because a release outlives a hiccup of the control
// plane; an error that is there to stay ends the wait.
func await(ctx context.Context, look func(context.Context) (missing string, err error)) error {
	seen, trouble := "nothing was seen yet", ""
	err := wait.PollUntilContextCancel(ctx, lookEvery, true, func(ctx context.Context) (bool, error) {
		looking, cancel := context.WithTimeout(ctx, lookTimeout)
		defer cancel()
		missing, err := look(looking)
		switch {
		case err == nil:
			seen, trouble = missing, ""
			return missing == "", nil
		case lasting(err):
			return false, err
		case ctx.Err() == nil: // or it would only say that time is up
			trouble = "; the last look failed: " + err.Error()
		}
		return false, nil
	})
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("%w while waiting: %s%s", context.Cause(ctx), seen, trouble)
	}
	return err
}

// verdict is an error that waiting will not change.
type verdict struct{ error }

// lasting tells errors that a later attempt meets again: a verdict of ours, a
// request that the API server understood and refused, a kind that it does not have.
// The rest is conflicts, overload, lost connections and the client's own throttling.
func lasting(err error) bool {
	var ours verdict
	var status apierrors.APIStatus
	if errors.As(err, &status) {
		code := status.Status().Code
		return code >= 400 && code < 500 && code != http.StatusConflict && code != http.StatusTooManyRequests
	}
	return errors.As(err, &ours) || meta.IsNoMatchError(err)
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
