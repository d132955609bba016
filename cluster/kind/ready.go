package kind

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
)

const (
	pollEvery    = 100 * time.Millisecond
	readyTimeout = 3 * time.Minute
)

// awaitUsable returns when pods can run on every node and reach each other by name.
// kind's own wait says nothing when its time is over.
func (c *Cluster) awaitUsable(ctx context.Context) error {
	client, err := kubernetes.NewForConfig(c.rest)
	if err != nil {
		return err
	}
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() error {
		return await(groupCtx, "its nodes are not Ready", func(ctx context.Context) error { return c.nodesReady(ctx, client) })
	})
	group.Go(func() error {
		return await(groupCtx, "CoreDNS is not ready", func(ctx context.Context) error { return dnsReady(ctx, client) })
	})
	err = group.Wait()
	if err == nil {
		// A Service is known to every node later than its pods are ready.
		err = await(ctx, "Services do not work", func(ctx context.Context) error { return c.dnsServes(ctx, client) })
	}
	if err != nil {
		return fmt.Errorf("%w\n%s", err, unready(ctx, client))
	}
	return nil
}

// unready describes the pods that keep a cluster from being of use, and what their
// containers said last. The context may have ended.
func unready(ctx context.Context, client kubernetes.Interface) string {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	pods, err := client.CoreV1().Pods(system).List(ctx, metav1.ListOptions{})
	if err != nil {
		return "its pods cannot be listed: " + err.Error()
	}
	var text strings.Builder
	for _, pod := range pods.Items {
		for _, status := range pod.Status.ContainerStatuses {
			// A network that runs may still have failed to configure its node.
			if status.Ready && status.Name != "kind-network" {
				continue
			}
			state, _ := json.Marshal(status.State)
			fmt.Fprintf(&text, "--- pod %s on %s: %s, restarted %d times\n", pod.Name, pod.Spec.NodeName, state, status.RestartCount)
			said, err := client.CoreV1().Pods(system).GetLogs(pod.Name, &corev1.PodLogOptions{TailLines: new(int64(10))}).DoRaw(ctx)
			if err == nil {
				text.Write(said)
			}
		}
		if len(pod.Status.ContainerStatuses) == 0 {
			fmt.Fprintf(&text, "--- pod %s on %q: %s %s\n", pod.Name, pod.Spec.NodeName, pod.Status.Phase, pod.Status.Message)
		}
	}
	return text.String()
}

// await asks until the answer is nil.
func await(ctx context.Context, what string, ask func(ctx context.Context) error) error {
	last := errors.New("not asked yet")
	err := wait.PollUntilContextTimeout(ctx, pollEvery, readyTimeout, true, func(ctx context.Context) (bool, error) {
		if err := ask(ctx); ctx.Err() == nil {
			last = err
		}
		return last == nil, nil
	})
	if err != nil {
		return fmt.Errorf("%s: %w (last: %w)", what, err, last)
	}
	return nil
}

func (c *Cluster) nodesReady(ctx context.Context, client kubernetes.Interface) error {
	list, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	if len(list.Items) != c.spec.Nodes {
		return fmt.Errorf("%d of %d nodes are registered", len(list.Items), c.spec.Nodes)
	}
	for _, node := range list.Items {
		if err := nodeReady(node); err != nil {
			return err
		}
	}
	return nil
}

func nodeReady(node corev1.Node) error {
	for _, condition := range node.Status.Conditions {
		if condition.Type != corev1.NodeReady {
			continue
		}
		if condition.Status == corev1.ConditionTrue {
			return nil
		}
		return fmt.Errorf("%s: %s", node.Name, condition.Message)
	}
	return fmt.Errorf("%s has not reported yet", node.Name)
}

const system = "kube-system"

func dnsReady(ctx context.Context, client kubernetes.Interface) error {
	dns, err := client.AppsV1().Deployments(system).Get(ctx, "coredns", metav1.GetOptions{})
	if err != nil {
		return err
	}
	if dns.Status.ReadyReplicas == 0 {
		return fmt.Errorf("none of its %d pods is ready", dns.Status.Replicas)
	}
	return nil
}

// dnsServes connects to CoreDNS by its Service's address, from every node.
func (c *Cluster) dnsServes(ctx context.Context, client kubernetes.Interface) error {
	service, err := client.CoreV1().Services(system).Get(ctx, "kube-dns", metav1.GetOptions{})
	if err != nil {
		return err
	}
	for _, n := range c.nodes {
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		conn, err := n.dial(ctx, service.Spec.ClusterIP+":53")
		cancel()
		if err != nil {
			return fmt.Errorf("from %s: %w", n.name, err)
		}
		conn.Close()
	}
	return nil
}
