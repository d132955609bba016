package main

import (
	"context"
	"time"

	"k8s.io/client-go/rest"

	"github.com/cutover-dev/cutover/cluster"
)

// product makes clusters as its users do.
type product interface {
	// start begins to start a cluster, begins the story, and returns at once.
	start(ctx context.Context, name string, s *story) (starting, error)
	// clear removes the cluster if there is one, also one that is half made.
	clear(ctx context.Context, name string) error
}

// starting is a cluster that is being started.
type starting interface {
	// config returns as soon as it is known how the API server will be reached.
	config(ctx context.Context) (*rest.Config, error)
	// finish returns when the cluster has been started as far as its users wait for.
	finish(ctx context.Context) (running, error)
}

// running is a cluster that is up.
type running interface {
	cluster.Cluster
	// processes are all that the cluster consists of, as this machine numbers them.
	processes() ([]int, error)
	// down takes the cluster down and says how long that took.
	down(ctx context.Context) (time.Duration, error)
}
