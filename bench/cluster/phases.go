package main

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	benchmark "github.com/cutover-dev/cutover/bench"
	"github.com/cutover-dev/cutover/cluster/embedded"
	"github.com/cutover-dev/cutover/experiment"
)

// Phases of a start that are seen from outside; the others are told by the program.
const (
	leftovers      = "leftovers removed"
	etcdHealthy    = "etcd healthy"
	apiAnswers     = "API ready"
	nodeRegistered = "kubelet registered"
	nodeIsReady    = "node Ready, as watched"
	dnsReady       = "CoreDNS Ready"
	returned       = "`cluster up` ended"
	appLoaded      = "app's image loaded"
	firstPodReady  = "first pod Ready"
)

// phases are those of our own start, each with what it has to wait for.
var phases = []benchmark.Phase{
	{Name: leftovers},
	{Name: string(embedded.ComponentsChecked), After: []string{leftovers}},
	{Name: string(embedded.StateWritten), After: []string{string(embedded.ComponentsChecked)}},
	{Name: string(embedded.ImagesLinked), After: []string{string(embedded.StateWritten)}},
	{Name: string(embedded.SandboxLaunched), After: []string{string(embedded.ImagesLinked)}},
	{Name: etcdHealthy, After: []string{string(embedded.SandboxLaunched)}},
	{Name: apiAnswers, After: []string{etcdHealthy}},
	{Name: nodeRegistered, After: []string{apiAnswers}},
	{Name: nodeIsReady, After: []string{nodeRegistered}},
	{Name: string(embedded.NodesReady), After: []string{nodeRegistered}},
	{Name: string(embedded.DNSDeployed), After: []string{string(embedded.NodesReady)}},
	{Name: returned, After: []string{string(embedded.DNSDeployed)}},
	{Name: dnsReady, After: []string{string(embedded.DNSDeployed)}},
	{Name: appLoaded, After: []string{returned}},
	{Name: firstPodReady, After: []string{appLoaded}},
}

// watchStart tells when the API server, the node and CoreDNS are ready.
func watchStart(ctx context.Context, begun starting, s *story) error {
	config, err := begun.config(ctx)
	if err != nil {
		return err
	}
	at, err := awaitAPI(ctx, config)
	if err != nil {
		return err
	}
	s.mark(apiAnswers, at)
	c, err := experiment.NewClient(config)
	if err != nil {
		return err
	}
	return watchNode(ctx, c, s)
}

func watchNode(ctx context.Context, c client.WithWatch, s *story) error {
	at, err := await(ctx, c, &corev1.NodeList{}, func(node *corev1.Node) bool {
		s.mark(nodeRegistered, time.Now())
		for _, condition := range node.Status.Conditions {
			if condition.Type == corev1.NodeReady {
				return condition.Status == corev1.ConditionTrue
			}
		}
		return false
	})
	s.mark(nodeIsReady, at)
	return err
}

// gather makes the phases of many starts into one list.
func gather(starts []map[string]float64) []benchmark.Phase {
	list := make([]benchmark.Phase, len(phases))
	for i, phase := range phases {
		for _, start := range starts {
			if at, seen := start[phase.Name]; seen {
				phase.Samples = append(phase.Samples, at)
			}
		}
		list[i] = phase
	}
	return benchmark.Durations(list)
}
