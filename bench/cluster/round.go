package main

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/cutover-dev/cutover/cluster/chaosmesh"
	"github.com/cutover-dev/cutover/cluster/embedded/components"
	"github.com/cutover-dev/cutover/cluster/image"
	"github.com/cutover-dev/cutover/experiment"
)

// measure names what a round measures.
type measure string

const (
	apiReady      measure = "API ready"
	nodeReady     measure = "node Ready"
	firstPod      measure = "first pod Ready"
	threeReplicas measure = "Deployment Ready"
	replaced      measure = "pod replaced"
	memory        measure = "memory"
	down          measure = "down"
)

// figures are what the life of one cluster gave: seconds, and GiB of memory.
type figures map[measure]float64

// round is the life of one cluster, and what it gave.
type round struct {
	product product
	cluster string              // its name
	app     image.Image         // of apps/shop
	program string              // cutover, which the agent's image is made of
	built   components.Programs // which the gateway's image is made of

	figures figures
	phases  map[string]float64
}

// patience is how long a round may take.
const patience = 5 * time.Minute

// live lives it. What was measured before an error counts; no error leaves a
// cluster behind.
func (r *round) live(ctx context.Context) (err error) {
	defer func() {
		clearing, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		if clearErr := r.product.clear(clearing, r.cluster); clearErr != nil && err == nil {
			err = clearErr
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	up, w, err := r.start(ctx)
	if err != nil {
		return fmt.Errorf("starting: %w", err)
	}
	for _, part := range []struct {
		of measure
		do func() (float64, error)
	}{
		{threeReplicas, func() (float64, error) { return w.deploy(ctx) }},
		{replaced, func() (float64, error) { return w.kill(ctx) }},
		{memory, func() (float64, error) { return r.occupied(ctx, up, w) }},
		{down, func() (float64, error) {
			took, err := up.down(ctx)
			return took.Seconds(), err
		}},
	} {
		figure, err := part.do()
		if err != nil {
			return fmt.Errorf("%s: %w", part.of, err)
		}
		r.figures[part.of] = figure
	}
	return nil
}

// start starts the cluster and a first pod in it.
func (r *round) start(ctx context.Context) (up running, w *workload, err error) {
	var s story
	defer func() { r.phases = s.soFar() }()
	begun, err := r.product.start(ctx, r.cluster, &s)
	if err != nil {
		return nil, nil, err
	}
	group, both := errgroup.WithContext(ctx)
	group.Go(func() error { return watchStart(both, begun, &s) })
	group.Go(func() (err error) {
		up, err = begun.finish(both)
		return err
	})
	if err := group.Wait(); err != nil {
		return nil, nil, err
	}
	client, err := experiment.NewClient(up.REST())
	if err != nil {
		return nil, nil, err
	}
	w = &workload{client: client, image: r.app.Ref}
	if err := r.firstPods(ctx, up, w, &s); err != nil {
		return nil, nil, err
	}
	told := s.soFar()
	r.figures[apiReady], r.figures[nodeReady], r.figures[firstPod] = told[apiAnswers], told[nodeIsReady], told[firstPodReady]
	return up, w, nil
}

// firstPods awaits the cluster's first pod and ours.
func (r *round) firstPods(ctx context.Context, up running, w *workload, s *story) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		at, err := w.dns(ctx)
		if err == nil {
			s.mark(dnsReady, at)
		}
		return err
	})
	group.Go(func() error {
		if err := up.LoadImage(ctx, r.app.Ref, r.app.Image); err != nil {
			return err
		}
		s.mark(appLoaded, time.Now())
		at, err := w.firstPod(ctx)
		if err == nil {
			s.mark(firstPodReady, at)
		}
		return err
	})
	return group.Wait()
}

// furnished has runs install the same on both: the gateway and the agent.
type furnished struct {
	running
	built components.Programs
}

func (f furnished) Programs() components.Programs { return f.built }

func (furnished) ChaosMesh() (from chaosmesh.Source, wanted bool, err error) { return }

// occupied is the memory that the cluster takes with what every run needs in it.
func (r *round) occupied(ctx context.Context, up running, w *workload) (float64, error) {
	if err := w.remove(ctx); err != nil {
		return 0, err
	}
	if _, err := experiment.Install(ctx, furnished{up, r.built}, r.program); err != nil {
		return 0, err
	}
	pids, err := up.processes()
	if err != nil {
		return 0, err
	}
	bytes, err := proportional("/proc", pids)
	return float64(bytes) / gib, err
}
