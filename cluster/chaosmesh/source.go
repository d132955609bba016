package chaosmesh

import (
	"context"
	"os"
	"path/filepath"

	"helm.sh/helm/v3/pkg/chart"

	"github.com/cutover-dev/cutover/cluster/image"
)

// What is installed where images can be pulled.
const (
	publishedRepository = "https://charts.chaos-mesh.org"
	publishedVersion    = "2.8.4"
	// publishedPause takes the place of the containers of a pod that fails. Every
	// node of kind has it.
	publishedPause = "registry.k8s.io/pause:3.10"
)

// Source is where Chaos Mesh's chart and images come from.
type Source struct {
	chart  func(context.Context) (*chart.Chart, error)
	images *images // nil: those that the chart names
}

// Published is Chaos Mesh as its makers publish it. Charts and images are pulled.
func Published() Source {
	return Source{chart: func(context.Context) (*chart.Chart, error) {
		return downloadChart(publishedRepository, publishedVersion)
	}}
}

// Local is Chaos Mesh as built here: nothing is pulled. The programs are components
// of the set for kind, and their chart is beside them.
func Local(programs Programs) (Source, error) {
	debian, err := debianFolder()
	if err != nil {
		return Source{}, err
	}
	made, err := pack(programs, debian)
	if err != nil {
		return Source{}, err
	}
	return Source{
		chart:  func(context.Context) (*chart.Chart, error) { return readChart(programs.Path(chartFile)) },
		images: &made,
	}, nil
}

// debianFolder is where `make chaos-mesh-images` unpacks what the daemon needs.
func debianFolder() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(cache, "cutover", "debian", "chaos-daemon"), nil
}

// refs are the names of the images in a cluster; "" where the chart knows better.
func (s Source) refs() (controller, daemon, pause string) {
	if s.images == nil {
		return "", "", publishedPause
	}
	return s.images.controller.Ref, s.images.daemon.Ref, s.images.pause.Ref
}

// toLoad are the images that no registry has.
func (s Source) toLoad() []image.Image {
	if s.images == nil {
		return nil
	}
	return []image.Image{s.images.controller, s.images.daemon, s.images.pause}
}
