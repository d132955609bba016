package embedded

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
)

// CheckNode refuses what does not name a node that can be stopped and started.
func (c *Cluster) CheckNode(name string) error {
	_, err := furtherNode(name, c.spec.Nodes)
	return err
}

// StopNode takes the named node's power away and returns when nothing of it runs
// any more. Its disk stays. The API server learns of it as it would anywhere: by
// the node's silence. Node 0 cannot be stopped; a stopped node stays so.
func (c *Cluster) StopNode(ctx context.Context, name string) error {
	if _, err := c.state.command(ctx, order{Do: orderStop, Node: name}); err != nil {
		return fmt.Errorf("stop a node of cluster %s: %w", c.Name(), err)
	}
	return nil
}

// StartNode brings a stopped node back and returns when it is Ready. One that runs
// is left alone.
func (c *Cluster) StartNode(ctx context.Context, name string) error {
	before, err := c.state.command(ctx, order{Do: orderList})
	if err != nil {
		return err
	}
	if before.Running[name] != 0 {
		return nil
	}
	// Its last word may still say that it is Ready. The API keeps whole seconds.
	since := time.Now().Truncate(time.Second)
	if _, err := c.state.command(ctx, order{Do: orderStart, Node: name}); err != nil {
		return fmt.Errorf("start a node of cluster %s: %w", c.Name(), err)
	}
	client, err := kubernetes.NewForConfig(c.rest)
	if err != nil {
		return err
	}
	last := "it has not reported yet"
	err = wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, 2*time.Minute, true, func(ctx context.Context) (bool, error) {
		object, err := client.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			last = err.Error()
			return false, nil
		}
		condition := readiness(*object)
		if condition.LastHeartbeatTime.Time.Before(since) {
			return false, nil
		}
		last = condition.Message
		return condition.Status == corev1.ConditionTrue, nil
	})
	if err != nil {
		return fmt.Errorf("%s of cluster %s did not become Ready: %w (last: %s)\n%s", name, c.Name(), err, last, c.tails())
	}
	return nil
}
