package chaosmesh

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/cutover-dev/cutover/cluster"
)

// Options are what Install has to know of a cluster.
type Options struct {
	// Socket is containerd's in the nodes; /run/containerd/containerd.sock if empty.
	Socket string
}

const usualSocket = "/run/containerd/containerd.sock"

// values are the chart's where they differ from its defaults: one controller and a
// daemon on every node, without the dashboard and the DNS server, which no fault of
// a scenario needs.
func values(source Source, options Options) (map[string]any, error) {
	controller, daemon, pause := source.refs()
	controllerImage, err := imageValues(controller)
	if err != nil {
		return nil, err
	}
	daemonImage, err := imageValues(daemon)
	if err != nil {
		return nil, err
	}
	place, err := beside()
	if err != nil {
		return nil, err
	}
	if options.Socket == "" {
		options.Socket = usualSocket
	}
	off := map[string]any{"create": false}
	return map[string]any{
		"dashboard":       off,
		"dnsServer":       off,
		"enableProfiling": false,
		"controllerManager": map[string]any{
			"image": controllerImage,
			// The others of several would only wait for the first one's death, and a new
			// one for its lease.
			"replicaCount":       1,
			"leaderElection":     map[string]any{"enabled": false},
			"chaosdSecurityMode": false, // for faults on machines, of which there are none
			"podChaos":           map[string]any{"podFailure": map[string]any{"pauseImage": pause}},
			"resources":          requests("10m", "64Mi"),
			"affinity":           place["affinity"],
			"tolerations":        place["tolerations"],
		},
		"chaosDaemon": map[string]any{
			"image":      daemonImage,
			"runtime":    "containerd",
			"socketPath": options.Socket,
			"resources":  requests("10m", "32Mi"),
			// A pod that is to suffer may run on any node.
			"tolerations": []any{map[string]any{"operator": "Exists"}},
		},
		// A machine that is busy with a test answers late; an object that was refused
		// for that breaks the test.
		"webhook": map[string]any{"timeoutSeconds": 15},
	}, nil
}

// imageValues takes a reference apart as the chart wants it; none leaves its own.
func imageValues(ref string) (map[string]any, error) {
	if ref == "" {
		return map[string]any{}, nil
	}
	registry, rest, found := strings.Cut(ref, "/")
	repository, tag, tagged := strings.Cut(rest, ":")
	if !found || !tagged {
		return nil, fmt.Errorf("image %q has no registry or no tag", ref)
	}
	return map[string]any{"registry": registry, "repository": repository, "tag": tag}, nil
}

func requests(cpu, memory string) map[string]any {
	return map[string]any{"requests": map[string]any{"cpu": cpu, "memory": memory}}
}

// beside places the controller where the rest of the harness is.
func beside() (map[string]any, error) {
	var pod corev1.PodSpec
	cluster.BesideControlPlane(&pod)
	return runtime.DefaultUnstructuredConverter.ToUnstructured(&pod)
}
