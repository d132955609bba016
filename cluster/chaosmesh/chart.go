package chaosmesh

import (
	"fmt"
	"strings"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/cli"
	"helm.sh/helm/v3/pkg/getter"
	"helm.sh/helm/v3/pkg/repo"
)

const (
	chartName = "chaos-mesh"
	// chartFile is the chart of the module that the programs are built from. It is
	// packed when they are.
	chartFile = "chaos-mesh-chart.tgz"
)

func readChart(path string) (*chart.Chart, error) {
	read, err := loader.Load(path)
	if err != nil {
		return nil, fmt.Errorf("reading Chaos Mesh's chart %s: %w", path, err)
	}
	return read, nil
}

// downloadChart gets the chart from a repository, past every file of Helm's own on
// this machine: what they say must not change what is installed.
func downloadChart(repository, version string) (*chart.Chart, error) {
	getters := getter.All(cli.New())
	address, err := repo.FindChartInRepoURL(repository, chartName, version, "", "", "", getters)
	if err != nil {
		return nil, fmt.Errorf("looking for version %s of Chaos Mesh's chart (without the network, build the images here: `make chaos-mesh-images`): %w", version, err)
	}
	scheme, _, _ := strings.Cut(address, ":")
	get, err := getters.ByScheme(scheme)
	if err != nil {
		return nil, err
	}
	archive, err := get.Get(address)
	if err != nil {
		return nil, fmt.Errorf("downloading Chaos Mesh's chart: %w", err)
	}
	read, err := loader.LoadArchive(archive)
	if err != nil {
		return nil, fmt.Errorf("reading Chaos Mesh's chart of %s: %w", address, err)
	}
	return read, nil
}
