package agent

import (
	"context"
	"fmt"
	"net/netip"
	"strconv"
	"time"

	"github.com/chaos-mesh/chaos-mesh/api/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/cutover-dev/cutover/faults"
)

// networkDelay serves NetworkChaos with action delay.
type networkDelay struct{ driver Driver }

var _ kind = networkDelay{}

func (networkDelay) object() chaosObject     { return &v1alpha1.NetworkChaos{} }
func (networkDelay) list() client.ObjectList { return &v1alpha1.NetworkChaosList{} }

func (networkDelay) selector(obj chaosObject) v1alpha1.PodSelector {
	return obj.(*v1alpha1.NetworkChaos).Spec.PodSelector
}

func (networkDelay) refuse(obj chaosObject) string {
	spec := obj.(*v1alpha1.NetworkChaos).Spec
	duration, err := spec.GetDuration()
	switch {
	case spec.Action != v1alpha1.DelayAction:
		return "spec.action " + string(spec.Action)
	case err != nil || duration == nil || *duration <= 0:
		return "a fault without an end (spec.duration)"
	case spec.Direction != "" && spec.Direction != v1alpha1.To:
		return "spec.direction " + string(spec.Direction)
	case spec.Target != nil || len(spec.ExternalTargets) > 0:
		return "spec.target and spec.externalTargets"
	case spec.Device != "" || spec.TargetDevice != "":
		return "spec.device"
	case spec.RemoteCluster != "":
		return "spec.remoteCluster"
	case spec.Delay != nil && spec.Delay.Reorder != nil:
		return "spec.delay.reorder"
	case spec.Loss != nil || spec.Duplicate != nil || spec.Corrupt != nil || spec.Bandwidth != nil || spec.Rate != nil:
		return "anything besides spec.delay"
	}
	if _, err := parseDelay(spec.Delay, 0); err != nil {
		return err.Error()
	}
	return refuseSelector(obj.GetNamespace(), spec.Selector)
}

func (h networkDelay) inject(ctx context.Context, obj chaosObject, pod *corev1.Pod, until time.Time) error {
	seed, err := strconv.ParseInt(obj.GetAnnotations()[faults.SeedAnnotation], 10, 64)
	if err != nil {
		seed = seedOf(string(obj.GetUID())) // not every object is ours
	}
	delay, err := parseDelay(obj.(*v1alpha1.NetworkChaos).Spec.Delay, seed)
	if err != nil {
		return err
	}
	ip, err := netip.ParseAddr(pod.Status.PodIP)
	if err != nil {
		return fmt.Errorf("the pod's address: %w", err)
	}
	return h.driver.Apply(ctx, obj.GetUID(), delay, Pod{UID: pod.UID, IP: ip}, until)
}

func (h networkDelay) heal(ctx context.Context, object types.UID) error {
	return h.driver.Heal(ctx, object)
}
