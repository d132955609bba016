package faults

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/chaos-mesh/chaos-mesh/api/v1alpha1"
	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
)

var _ = register(v1alpha1.KindNetworkChaos, string(v1alpha1.PartitionAction), parseNetworkPartition)

// parseNetworkPartition reads the fault that drops all that the pods send, or get,
// or both.
func parseNetworkPartition(spec Spec) (Fault, error) {
	read, lasts, err := parseNetwork(spec, networkShape{directions: []v1alpha1.Direction{v1alpha1.To, v1alpha1.From, v1alpha1.Both}})
	if err != nil {
		return nil, err
	}
	name := "NetworkChaos partition"
	if read.Direction != v1alpha1.To {
		name += " " + string(read.Direction)
	}
	return network(name, read, lasts, &silence{})
}

// silence is the evidence of a partition: a pod whose kernel answered a TCP connect
// before does so no more, although its containers run.
type silence struct {
	answered notes[bool]
}

// silentFor is how long an answer is waited for. The kernel sends a lost SYN again
// after a second, so the second one must be lost, too.
const silentFor = 1500 * time.Millisecond

func (s *silence) before(ctx context.Context, t Target, pods []corev1.Pod) error {
	bounded, cancel := context.WithTimeout(ctx, measureWithin)
	defer cancel()
	for _, m := range t.roundTrips(bounded, pods) {
		s.answered.put(m.pod.UID, m.err == nil)
	}
	return nil
}

func (s *silence) during(ctx context.Context, t Target, hits []hit) (Effect, error) {
	pods, err := t.living(ctx, hits)
	if err != nil || len(pods) == 0 {
		return Effect{Because: "no pod under the fault is alive"}, err
	}
	answers := make([]error, len(pods))
	var running sync.WaitGroup
	for i, pod := range pods {
		running.Go(func() { answers[i] = t.answers(ctx, pod) })
	}
	running.Wait()
	// Looked at again, for those that died meanwhile and are silent for that reason.
	after, err := t.living(ctx, hits)
	if err != nil {
		return Effect{}, err
	}
	var seen tally
	for i, pod := range pods {
		before, noted := s.answered.get(pod.UID)
		alive := podNamed(after, pod.Name)
		switch {
		case !noted || !before:
			seen.doubt(fmt.Sprintf("pod %s did not answer before either", pod.Name))
		case alive.UID != pod.UID || !runs(alive):
			seen.doubt(fmt.Sprintf("pod %s does not run, so its silence proves nothing", pod.Name))
		case answers[i] != nil:
			seen.doubt(fmt.Sprintf("pod %s: %v", pod.Name, answers[i]))
		default:
			seen.shows(pod.Name, fmt.Sprintf("pod %s runs and gives a TCP connect no answer within %s; before, it did", pod.Name, silentFor))
		}
	}
	return seen.effect("asked for silence"), nil
}

// answers is nil if the pod gives a connect no answer at all. To refuse is one, and
// that there is no way to it says nothing of the pod.
func (t Target) answers(ctx context.Context, pod corev1.Pod) error {
	bounded, cancel := context.WithTimeout(ctx, silentFor)
	defer cancel()
	conn, err := t.Dial(bounded, t.addr(pod))
	var timeout net.Error
	switch {
	case err == nil:
		conn.Close()
		return errors.New("it answers")
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, unix.ECONNREFUSED):
		return errors.New("it refuses, which is an answer")
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, unix.ETIMEDOUT), errors.As(err, &timeout) && timeout.Timeout():
		return nil
	}
	return fmt.Errorf("a connect fails, but not for want of an answer: %w", err)
}

// runs is true if all containers of a pod do.
func runs(pod corev1.Pod) bool {
	for _, status := range pod.Status.ContainerStatuses {
		if status.State.Running == nil {
			return false
		}
	}
	return len(pod.Status.ContainerStatuses) > 0
}
