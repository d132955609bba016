package chaosmesh

import (
	"fmt"
	"strings"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/cli"
	"helm.sh/helm/v3/pkg/getter"
	"helm.sh/helm/v3/pkg/repo"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"
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
	for _, file := range read.Files {
		if file.Name != networkDefinition {
			continue
		}
		if file.Data, err = knowPartitionBehavior(file.Data); err != nil {
			return nil, fmt.Errorf("%s of Chaos Mesh's chart: %w", networkDefinition, err)
		}
	}
	return read, nil
}

const networkDefinition = "crds/chaos-mesh.org_networkchaos.yaml"

// knowPartitionBehavior adds a field to the definition of NetworkChaos. The programs
// are built with an API module that is days younger than their own, and thus than the
// chart. Their webhook fills the field in; without it in the definition the API server
// forgets it, and the webhook then takes every update of a status for one of the spec
// and refuses it. What the field chooses the controller cannot do yet, so there is no
// choice.
func knowPartitionBehavior(text []byte) ([]byte, error) {
	var definition apiextensionsv1.CustomResourceDefinition
	if err := yaml.Unmarshal(text, &definition); err != nil {
		return nil, err
	}
	for _, version := range definition.Spec.Versions {
		spec := version.Schema.OpenAPIV3Schema.Properties["spec"]
		if spec.Properties == nil {
			return nil, fmt.Errorf("version %s has no spec", version.Name)
		}
		spec.Properties["partitionBehavior"] = apiextensionsv1.JSONSchemaProps{
			Type: "string", Enum: []apiextensionsv1.JSON{{Raw: []byte(`"drop"`)}},
		}
	}
	return yaml.Marshal(definition)
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
