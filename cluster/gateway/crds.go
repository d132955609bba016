package gateway

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

// watched are the kinds, by their plural, that Traefik's Gateway API provider watches. It
// starts serving only when it can list every one of them.
var watched = []string{"gatewayclasses", "gateways", "httproutes", "grpcroutes", "referencegrants", "backendtlspolicies"}

// Definitions reads the Gateway API's own definitions of the kinds that are watched from
// an archive of them, for clusters that do not have the API.
func Definitions(archive string) ([]client.Object, error) {
	found := map[string]client.Object{}
	err := eachFile(archive, func(data []byte) error {
		var definition apiextensionsv1.CustomResourceDefinition
		if err := yaml.Unmarshal(data, &definition); err != nil {
			return err
		}
		if plural := definition.Spec.Names.Plural; slices.Contains(watched, plural) {
			definition.Labels = ours()
			found[plural] = &definition
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the definitions of the Gateway API from %s: %w", archive, err)
	}
	var definitions []client.Object
	for _, plural := range watched {
		if found[plural] == nil {
			return nil, fmt.Errorf("there is no definition of %s in %s: remove the folder that it is in, and it is built again", plural, archive)
		}
		definitions = append(definitions, found[plural])
	}
	return definitions, nil
}

// eachFile reads the files of a tar that is compressed.
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
		case header.Typeflag != tar.TypeReg:
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
