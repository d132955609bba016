package agent

import (
	"context"
	"fmt"
	"time"

	"github.com/chaos-mesh/chaos-mesh/api/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// podKill serves PodChaos with action pod-kill.
type podKill struct {
	client client.Writer
	live   client.Reader // not the cache, which still has pods that are gone
}

var _ kind = podKill{}

func (podKill) object() chaosObject     { return &v1alpha1.PodChaos{} }
func (podKill) list() client.ObjectList { return &v1alpha1.PodChaosList{} }

func (podKill) selector(obj chaosObject) v1alpha1.PodSelector {
	return obj.(*v1alpha1.PodChaos).Spec.PodSelector
}

func (podKill) refuse(obj chaosObject) string {
	spec := obj.(*v1alpha1.PodChaos).Spec
	switch {
	case spec.Action != v1alpha1.PodKillAction:
		return "spec.action " + string(spec.Action)
	case spec.RemoteCluster != "":
		return "spec.remoteCluster"
	}
	return refuseSelector(obj.GetNamespace(), spec.Selector)
}

// inject deletes the pod and is done when the API says that it is gone.
func (h podKill) inject(ctx context.Context, obj chaosObject, pod *corev1.Pod, _ time.Time) error {
	grace := obj.(*v1alpha1.PodChaos).Spec.GracePeriod
	if pod.DeletionTimestamp == nil {
		err := h.client.Delete(ctx, pod.DeepCopy(), client.GracePeriodSeconds(grace), client.Preconditions{UID: &pod.UID})
		if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
			return nil // gone, or replaced by a namesake
		}
		if err != nil {
			return fmt.Errorf("delete pod %s: %w", pod.Name, err)
		}
	}
	var now corev1.Pod
	err := h.live.Get(ctx, client.ObjectKeyFromObject(pod), &now)
	switch {
	case apierrors.IsNotFound(err):
		return nil
	case err != nil:
		return fmt.Errorf("look whether pod %s is gone: %w", pod.Name, err)
	case now.UID != pod.UID:
		return nil
	}
	return errPending
}

func (podKill) heal(context.Context, types.UID) error { return nil }
