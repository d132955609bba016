package kind

import (
	"context"
	"errors"
	"fmt"
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
	if err := group.Wait(); err != nil {
		return err
	}
	// A Service is known to every node later than its pods are ready.
	return await(ctx, "Services do not work", func(ctx context.Context) error { return c.dnsServes(ctx, client) })
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
	if dns.Spec.Replicas == nil || dns.Status.ReadyReplicas < *dns.Spec.Replicas {
		return fmt.Errorf("%d of its pods are ready", dns.Status.ReadyReplicas)
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
