package image

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// dockerArchive reads what `docker save` wrote, in place.
func (b builder) dockerArchive(file string) (string, v1.Image, error) {
	if _, err := os.Stat(file); err != nil {
		return "", nil, fmt.Errorf("there is no such archive: %w", err)
	}
	img, err := tarball.ImageFromPath(file, nil)
	if err != nil {
		return "", nil, fmt.Errorf("reading %s as what `docker save -o FILE IMAGE` writes for one image: %w%s", file, err, mistaken(file, dockerTar))
	}
	return archiveName(file), img, b.checkPlatform(img)
}

// ociArchive unpacks an archived OCI layout and takes the nodes' image out of it.
func (b builder) ociArchive(ctx context.Context, file string) (string, v1.Image, error) {
	sum, err := hashFile(file)
	if err != nil {
		return "", nil, fmt.Errorf("reading the archive: %w", err)
	}
	work, remove, err := b.workFolder()
	if err != nil {
		return "", nil, err
	}
	defer remove()

	img, err := b.store.once(ctx, keyOf("oci-archive", sum, b.arch), func() (v1.Image, error) {
		b.notify("unpacking " + file)
		if err := untar(file, work); err != nil {
			return nil, fmt.Errorf("unpacking %s: %w%s", file, err, mistaken(file, ociTar))
		}
		index, err := layout.ImageIndexFromPath(work)
		if err != nil {
			return nil, fmt.Errorf("%s is not an OCI archive: %w%s", file, err, mistaken(file, ociTar))
		}
		return b.choose(index)
	})
	return archiveName(file), img, err
}

// choose takes the only image for the nodes' platform from an index, or from the
// indexes that it lists.
func (b builder) choose(index v1.ImageIndex) (v1.Image, error) {
	found, err := imagesOf(index)
	if err != nil {
		return nil, fmt.Errorf("reading the archive's index: %w", err)
	}
	if len(found) == 1 {
		return found[0], b.checkPlatform(found[0])
	}
	var fitting []v1.Image
	for _, img := range found {
		if b.checkPlatform(img) == nil {
			fitting = append(fitting, img)
		}
	}
	switch len(fitting) {
	case 1:
		return fitting[0], nil
	case 0:
		return nil, fmt.Errorf("none of its %d images is for linux/%s, as the nodes are: save the image of that platform", len(found), b.arch)
	default:
		return nil, fmt.Errorf("it holds %d images for linux/%s: save exactly one", len(fitting), b.arch)
	}
}

// imagesOf lists the images of an index and of the indexes in it.
func imagesOf(index v1.ImageIndex) ([]v1.Image, error) {
	every := func(v1.Descriptor) bool { return true }
	images, err := partial.FindImages(index, every)
	if err != nil {
		return nil, err
	}
	nested, err := partial.FindIndexes(index, every)
	if err != nil {
		return nil, err
	}
	for _, inner := range nested {
		more, err := imagesOf(inner)
		if err != nil {
			return nil, err
		}
		images = append(images, more...)
	}
	return images, nil
}

func untar(file, dir string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	root, err := os.OpenRoot(dir) // an archive's names must not lead out of it
	if err != nil {
		return err
	}
	defer root.Close()
	for in := tar.NewReader(f); ; {
		header, err := in.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if header.Typeflag != tar.TypeReg {
			continue
		}
		if err := extract(root, path.Clean(header.Name), in); err != nil {
			return err
		}
	}
}

func extract(root *os.Root, name string, content io.Reader) error {
	if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	f, err := root.Create(name)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	return errors.Join(err, f.Close())
}

func archiveName(file string) string {
	name, _, _ := strings.Cut(filepath.Base(file), ".")
	return name
}
