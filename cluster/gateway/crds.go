package gateway

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"slices"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/yaml"
)

// TraefikGroup is the API group of Traefik's own kinds.
const TraefikGroup = "traefik.io"

// watched are the kinds, by their group and their plural, that Traefik's two providers
// watch. Each starts serving only when it can list every one of its own.
var watched = map[string][]string{
	gatewayv1.GroupName: {"gatewayclasses", "gateways", "httproutes", "grpcroutes", "referencegrants", "backendtlspolicies"},
	TraefikGroup: {
		"ingressroutes", "ingressroutetcps", "ingressrouteudps", "middlewares", "middlewaretcps",
		"serverstransports", "serverstransporttcps", "tlsoptions", "tlsstores", "traefikservices",
	},
}

// Definitions reads the definitions of the kinds that are watched, as those who made
// them wrote them, from archives, for clusters that do not have them.
func Definitions(archives ...string) ([]client.Object, error) {
	found := map[string]client.Object{}
	for _, archive := range archives {
		err := eachFile(archive, func(data []byte) error {
			var definition apiextensionsv1.CustomResourceDefinition
			if err := yaml.Unmarshal(data, &definition); err != nil {
				return err
			}
			definition.Labels = Mark()
			found[definition.Name] = &definition
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("read the definitions of the gateway's kinds from %s: %w", archive, err)
		}
	}
	var definitions []client.Object
	for _, group := range slices.Sorted(maps.Keys(watched)) {
		for _, plural := range watched[group] {
			name := plural + "." + group
			if found[name] == nil {
				return nil, fmt.Errorf("there is no definition of %s in %v: remove the folder that they are in, and they are built again", name, archives)
			}
			definitions = append(definitions, found[name])
		}
	}
	return definitions, nil
}

// eachFile reads the YAML files of a tar that is compressed. Each may hold one definition:
// by custom, those that hold several have another ending.
func eachFile(archive string, read func(data []byte) error) error {
	file, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer file.Close()
	compressed, err := gzip.NewReader(file)
	if err != nil {
		return err
	}
	for files := tar.NewReader(compressed); ; {
		header, err := files.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case header.Typeflag != tar.TypeReg || path.Ext(header.Name) != ".yaml":
			continue
		}
		data, err := io.ReadAll(files)
		if err != nil {
			return err
		}
		if err := read(data); err != nil {
			return fmt.Errorf("%s: %w", header.Name, err)
		}
	}
}
