package image

import (
	"archive/tar"
	"encoding/json"
	"fmt"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// WriteOCIArchive writes the image as an OCI layout in a tar, which oci-archive:FILE
// reads, and skopeo, podman and buildah too. The same image is the same bytes.
func WriteOCIArchive(w io.Writer, img v1.Image) error {
	out := tar.NewWriter(w)
	for _, write := range []func(*tar.Writer, v1.Image) error{writeLayout, writeLayers, writeConfig, writeManifest} {
		if err := write(out, img); err != nil {
			return fmt.Errorf("writing an OCI archive: %w", err)
		}
	}
	return out.Close()
}

func writeLayout(out *tar.Writer, img v1.Image) error {
	digest, err := img.Digest()
	if err != nil {
		return err
	}
	size, err := img.Size()
	if err != nil {
		return err
	}
	config, err := img.ConfigFile()
	if err != nil {
		return err
	}
	index, err := json.Marshal(v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: []v1.Descriptor{{
		MediaType: types.OCIManifestSchema1, Digest: digest, Size: size,
		Platform: &v1.Platform{OS: config.OS, Architecture: config.Architecture},
	}}})
	if err != nil {
		return err
	}
	for _, f := range []file{
		{path: "/oci-layout", mode: 0o644, content: []byte(`{"imageLayoutVersion":"1.0.0"}`)},
		{path: "/index.json", mode: 0o644, content: index},
	} {
		if err := writeEntry(out, f); err != nil {
			return err
		}
	}
	return nil
}

// writeLayers reads every layer once more, and makes sure that it is still what its
// digest says: a folder may have changed since.
func writeLayers(out *tar.Writer, img v1.Image) error {
	layers, err := img.Layers()
	if err != nil {
		return err
	}
	written := map[v1.Hash]bool{}
	for _, layer := range layers {
		digest, err := layer.Digest()
		if err != nil {
			return err
		}
		if written[digest] {
			continue
		}
		written[digest] = true
		if err := writeBlobOf(out, layer, digest); err != nil {
			return err
		}
	}
	return nil
}

func writeBlobOf(out *tar.Writer, layer v1.Layer, digest v1.Hash) error {
	size, err := layer.Size()
	if err != nil {
		return err
	}
	content, err := layer.Compressed()
	if err != nil {
		return err
	}
	defer content.Close()
	header := entry(blobPath(digest), 0o644)
	header.Size = size
	if err := out.WriteHeader(header); err != nil {
		return err
	}
	got, _, err := v1.SHA256(io.TeeReader(content, out))
	if err != nil {
		return fmt.Errorf("a layer changed while it was written: %w", err)
	}
	if got != digest {
		return fmt.Errorf("a layer changed while it was written: it was %s and is %s; nothing may write to its folder meanwhile", digest, got)
	}
	return nil
}

func writeConfig(out *tar.Writer, img v1.Image) error {
	digest, err := img.ConfigName()
	if err != nil {
		return err
	}
	config, err := img.RawConfigFile()
	if err != nil {
		return err
	}
	return writeEntry(out, file{path: blobPath(digest), mode: 0o644, content: config})
}

func writeManifest(out *tar.Writer, img v1.Image) error {
	digest, err := img.Digest()
	if err != nil {
		return err
	}
	manifest, err := img.RawManifest()
	if err != nil {
		return err
	}
	return writeEntry(out, file{path: blobPath(digest), mode: 0o644, content: manifest})
}

func blobPath(digest v1.Hash) string { return "/blobs/" + digest.Algorithm + "/" + digest.Hex }
