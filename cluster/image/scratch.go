package image

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"runtime"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// FromBinary makes an image FROM scratch that runs the linux program at path as
// root, with the given arguments. A program that is dynamically linked brings its
// loader and its libraries along, and is refused, by the library's name, if one is
// missing here. files are added by absolute path. All of them are read each time the
// image is: they must outlive it.
func FromBinary(ctx context.Context, name, path string, files map[string][]byte, args ...string) (Image, error) {
	config := v1.Config{Entrypoint: append([]string{programPath(name)}, args...)}
	start, err := startFiles(ctx, path)
	if err != nil {
		return Image{}, fmt.Errorf("making image %s: %w", name, err)
	}
	if len(start) > 0 {
		config.Env = []string{"LD_LIBRARY_PATH=" + searchPath(start)}
	}
	content := slices.Concat([]file{{path: programPath(name), mode: 0o755, source: path}}, start, contents(files))
	layer, err := newLayer(content)
	if err != nil {
		return Image{}, fmt.Errorf("making image %s: %w", name, err)
	}
	img, err := scratch(runtime.GOARCH, config, layer)
	if err != nil {
		return Image{}, fmt.Errorf("making image %s: %w", name, err)
	}
	return Named(name, img)
}

func programPath(name string) string { return "/app/" + name }

func contents(byPath map[string][]byte) []file {
	var files []file
	for _, p := range slices.Sorted(maps.Keys(byPath)) {
		files = append(files, file{path: path.Clean("/" + p), mode: 0o644, content: byPath[p]})
	}
	return files
}

// scratch makes an image of the layers, lowest first, and nothing else: no time,
// place or machine gets into it.
func scratch(arch string, config v1.Config, layers ...v1.Layer) (v1.Image, error) {
	img := mutate.MediaType(empty.Image, types.OCIManifestSchema1)
	img = mutate.ConfigMediaType(img, types.OCIConfigJSON)
	img, err := mutate.AppendLayers(img, layers...)
	if err != nil {
		return nil, fmt.Errorf("adding layers: %w", err)
	}
	configFile, err := img.ConfigFile()
	if err != nil {
		return nil, fmt.Errorf("reading the image's configuration: %w", err)
	}
	configFile = configFile.DeepCopy()
	configFile.OS, configFile.Architecture, configFile.Config = "linux", arch, config
	return mutate.ConfigFile(img, configFile)
}

// nonroot is the user that ko's own base image runs programs as. It is a number
// because runAsNonRoot in a manifest refuses names.
const nonroot = "65532:65532"

const (
	passwd       = "root:x:0:0:root:/:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/tmp:/sbin/nologin\n"
	certificates = "/etc/ssl/certs/ca-certificates.crt"
)

// baseLayer holds the few files that a Go program expects of any system: somewhere
// to write, a name for its user, and certificates to trust if this machine has them.
func baseLayer() (*layer, error) {
	files := []file{
		{path: "/etc/passwd", mode: 0o644, content: []byte(passwd)},
		{path: "/tmp", mode: os.ModeDir | os.ModeSticky | 0o777},
	}
	trusted, err := os.ReadFile(certificates)
	switch {
	case err == nil:
		files = append(files, file{path: certificates, mode: 0o644, content: trusted})
	case !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("reading the certificates that images are to trust: %w", err)
	}
	return newLayer(files)
}
