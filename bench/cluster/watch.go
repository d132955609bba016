package main

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// await returns when one of the objects is as wanted, with the instant at which the
// API server said so.
func await[T client.Object](ctx context.Context, c client.WithWatch, list client.ObjectList, wanted func(T) bool, options ...client.ListOption) (time.Time, error) {
	found := false
	see := func(_ watch.EventType, object T) { found = found || wanted(object) }
	return follow(ctx, c, list, see, func() bool { return found }, options...)
}

// awaitNone returns when none of the objects is left.
func awaitNone[T client.Object](ctx context.Context, c client.WithWatch, list client.ObjectList, options ...client.ListOption) error {
	left := map[string]bool{}
	see := func(change watch.EventType, object T) {
		if change == watch.Deleted {
			delete(left, object.GetName())
			return
		}
		left[object.GetName()] = true
	}
	_, err := follow(ctx, c, list, see, func() bool { return len(left) == 0 }, options...)
	return err
}

// follow shows the objects that there are and then every change, until it is done.
// A watch that the server ends is begun again.
func follow[T client.Object](ctx context.Context, c client.WithWatch, list client.ObjectList, see func(watch.EventType, T), done func() bool, options ...client.ListOption) (time.Time, error) {
	for ctx.Err() == nil {
		if err := c.List(ctx, list, options...); err != nil {
			return time.Time{}, err
		}
		err := meta.EachListItem(list, func(object runtime.Object) error {
			see(watch.Added, object.(T))
			return nil
		})
		if done() || err != nil {
			return time.Now(), err
		}
		from := &client.ListOptions{Raw: &metav1.ListOptions{ResourceVersion: list.GetResourceVersion()}}
		changes, err := c.Watch(ctx, list, append(options[:len(options):len(options)], from)...)
		if err != nil {
			return time.Time{}, err
		}
		at, over := watchUntil(ctx, changes, see, done)
		changes.Stop()
		if over {
			return at, nil
		}
	}
	return time.Time{}, fmt.Errorf("gave up waiting for %T: %w", *new(T), context.Cause(ctx))
}

func watchUntil[T client.Object](ctx context.Context, changes watch.Interface, see func(watch.EventType, T), done func() bool) (time.Time, bool) {
	for {
		select {
		case change, open := <-changes.ResultChan():
			at := time.Now()
			if !open {
				return at, false
			}
			object, ours := change.Object.(T)
			if !ours {
				continue // an error or a bookmark
			}
			if see(change.Type, object); done() {
				return at, true
			}
		case <-ctx.Done():
			return time.Time{}, false
		}
	}
}
