package chaosmesh

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"
	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/release"
	"helm.sh/helm/v3/pkg/storage/driver"

	"github.com/cutover-dev/cutover/cluster"
)

const (
	// Namespace is where Chaos Mesh is installed.
	Namespace   = "chaos-mesh"
	releaseName = "chaos-mesh"
)

// Install puts Chaos Mesh into a cluster and returns when it can be used. One that is
// there is left as it is, whoever installed it. What a killed Install left half done
// is removed and done anew.
func Install(ctx context.Context, c cluster.Cluster, source Source, options Options) error {
	kube, err := newClient(c.REST())
	if err != nil {
		return err
	}
	helm, err := helmFor(c)
	if err != nil {
		return err
	}
	there, err := left(ctx, kube, helm)
	if err != nil {
		return fmt.Errorf("looking for Chaos Mesh in the cluster: %w", err)
	}
	if !there {
		if err := install(ctx, c, helm, source, options); err != nil {
			return fmt.Errorf("installing Chaos Mesh: %w", err)
		}
	}
	return awaitReady(ctx, kube)
}

// left reports whether the cluster has Chaos Mesh, after removing a release of ours
// that was never finished.
func left(ctx context.Context, kube client, helm *action.Configuration) (bool, error) {
	ours, err := helm.Releases.Last(releaseName)
	if errors.Is(err, driver.ErrReleaseNotFound) {
		version, err := Installed(ctx, kube)
		return version != "", err
	}
	if err != nil {
		return false, err
	}
	if ours.Info.Status == release.StatusDeployed {
		return true, nil
	}
	remove := action.NewUninstall(helm)
	remove.DisableHooks = true
	_, err = remove.Run(releaseName)
	return false, err
}

func install(ctx context.Context, c cluster.Cluster, helm *action.Configuration, source Source, options Options) error {
	given, err := values(source, options)
	if err != nil {
		return err
	}
	chart, err := source.chart(ctx)
	if err != nil {
		return err
	}
	// The pods wait for their images, which is what takes longest.
	group, ctx := errgroup.WithContext(ctx)
	for _, image := range source.toLoad() {
		group.Go(func() error { return c.LoadImage(ctx, image.Ref, image.Image) })
	}
	group.Go(func() error {
		run := action.NewInstall(helm)
		run.ReleaseName, run.Namespace, run.CreateNamespace = releaseName, Namespace, true
		_, err := run.RunWithContext(ctx, chart, given)
		return err
	})
	return group.Wait()
}
