package experiment

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/cutover-dev/cutover/cluster/gateway"
	"github.com/cutover-dev/cutover/history"
	"github.com/cutover-dev/cutover/loadgen"
	"github.com/cutover-dev/cutover/release"
)

// startLoad starts the load and returns when the route answers it.
func (r *run) startLoad(ctx context.Context) error {
	ip, port, pod, err := gateway.Endpoint(ctx, r.client)
	if err != nil {
		return err
	}
	log := loadgen.NewAccessLog()
	if err := r.followAccessLog(ctx, pod, log); err != nil {
		return err
	}
	address := net.JoinHostPort(ip, strconv.Itoa(port))
	attack := &loadgen.Attack{
		Spec: r.scenario.Load, Seed: r.Seed, RunID: r.id, Host: release.Hostname(r.scenario.App.Service, r.namespace),
		Dial:  func(ctx context.Context, _, _ string) (net.Conn, error) { return r.Cluster.Dial(ctx, address) },
		Clock: r.clock, Sink: r.record,
		Attribution: &loadgen.Attribution{
			Source:   r.versionSource(),
			Versions: r.versions, Log: log,
			Resolve: func(ip string) (history.Version, string) { v, pod, _ := r.pods.Resolve(ip); return v, pod },
		},
	}
	if r.scenario.Load.Diff != nil {
		attack.Direct = &loadgen.Direct{
			Dial: func(ctx context.Context, _, address string) (net.Conn, error) { return r.Cluster.Dial(ctx, address) },
			Pods: r.podAddresses,
		}
	}
	loading, stop := context.WithCancel(context.WithoutCancel(ctx))
	r.stopLoad, r.loadEnded = stop, make(chan error, 1)
	go func() {
		// Closed, because two ask for it: a steady state that is cut short, and the end.
		defer close(r.loadEnded)
		r.loadEnded <- attack.Run(loading)
	}()
	serving, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	return r.router.Serving(serving, 1)
}

// copies counts what the gateway has had for requests that it copied to the candidate.
func (r *run) copies(ctx context.Context) (gateway.Answers, error) {
	_, service := r.app.Names(history.Candidate)
	return gateway.Copies(ctx, r.client, r.Cluster.Dial, r.namespace, service, r.scenario.App.Ports["http"])
}

// followAccessLog reads the gateway's log from now on.
func (r *run) followAccessLog(ctx context.Context, pod string, log *loadgen.AccessLog) error {
	config := r.Cluster.REST()
	set, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	back, stop := context.WithCancel(context.WithoutCancel(ctx))
	previous := r.stopBack
	r.stopBack = func() { stop(); previous() }
	none := int64(0)
	stream, err := set.CoreV1().Pods(gateway.Namespace).GetLogs(pod, &corev1.PodLogOptions{Follow: true, TailLines: &none}).Stream(back)
	if err != nil {
		return fmt.Errorf("read the gateway's access log: %w", err)
	}
	r.inBackground(back, "read the gateway's access log", func(context.Context) error {
		defer stream.Close()
		err := log.Consume(stream)
		if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, context.Canceled) {
			return nil
		}
		return err
	})
	return nil
}
