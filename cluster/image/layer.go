package image

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// file is one entry of a layer: a folder, bytes, or a file on this machine.
type file struct {
	path    string
	mode    fs.FileMode
	content []byte
	source  string
}

func (f file) open() (io.ReadCloser, int64, error) {
	if f.source == "" {
		return io.NopCloser(bytes.NewReader(f.content)), int64(len(f.content)), nil
	}
	source, err := os.Open(f.source)
	if err != nil {
		return nil, 0, err
	}
	info, err := source.Stat()
	if err != nil {
		source.Close()
		return nil, 0, err
	}
	return source, info.Size(), nil
}

// layer is an uncompressed layer. The registry library's own layers always
// compress, and hold their bytes in memory or do so twice.
type layer struct {
	write  func(io.Writer) error // the layer's tar, the same each time
	digest v1.Hash
	size   int64
}

var _ v1.Layer = (*layer)(nil)

// newLayer makes a layer of the files, in their order.
func newLayer(files []file) (*layer, error) {
	return layerOf(func(w io.Writer) error { return writeTar(w, files) })
}

func layerOf(write func(io.Writer) error) (*layer, error) {
	l := &layer{write: write}
	stream, err := l.Uncompressed()
	if err != nil {
		return nil, err
	}
	defer stream.Close()
	if l.digest, l.size, err = v1.SHA256(stream); err != nil {
		return nil, fmt.Errorf("computing a layer's digest: %w", err)
	}
	return l, nil
}

// Digest and DiffID are the same: what is stored is what is unpacked.
func (l *layer) Digest() (v1.Hash, error) { return l.digest, nil }

// DiffID is the digest of the layer's tar.
func (l *layer) DiffID() (v1.Hash, error) { return l.digest, nil }

// Size is that of the layer's tar.
func (l *layer) Size() (int64, error) { return l.size, nil }

// MediaType says that the layer is not compressed.
func (l *layer) MediaType() (types.MediaType, error) { return types.OCIUncompressedLayer, nil }

// Compressed is the layer as it is stored.
func (l *layer) Compressed() (io.ReadCloser, error) { return l.Uncompressed() }

// Uncompressed streams the layer's tar.
func (l *layer) Uncompressed() (io.ReadCloser, error) {
	reader, writer := io.Pipe()
	// Ends with the stream: a reader that closes early makes the next write fail.
	go func() { writer.CloseWithError(l.write(writer)) }()
	return reader, nil
}

func writeTar(w io.Writer, files []file) error {
	out := tar.NewWriter(w)
	made := map[string]bool{"/": true}
	for _, f := range files {
		for _, dir := range missingParents(f.path, made) {
			if err := writeEntry(out, file{path: dir, mode: fs.ModeDir | 0o755}); err != nil {
				return err
			}
		}
		made[f.path] = true
		if err := writeEntry(out, f); err != nil {
			return err
		}
	}
	return out.Close()
}

// missingParents lists the folders above p that the archive does not have yet,
// the outermost first, and counts them as made.
func missingParents(p string, made map[string]bool) []string {
	dir := path.Dir(p)
	if made[dir] {
		return nil
	}
	made[dir] = true
	return append(missingParents(dir, made), dir)
}

func writeEntry(out *tar.Writer, f file) error {
	header := entry(f.path, f.mode)
	if f.mode.IsDir() {
		return out.WriteHeader(header)
	}
	content, size, err := f.open()
	if err != nil {
		return err
	}
	defer content.Close()
	header.Size = size
	if err := out.WriteHeader(header); err != nil {
		return err
	}
	_, err = io.Copy(out, content)
	return err
}

// entry is the header of a folder or a file, which belongs to root.
func entry(name string, mode fs.FileMode) *tar.Header {
	header := &tar.Header{
		Typeflag: tar.TypeReg,
		Name:     strings.TrimPrefix(name, "/"),
		Mode:     unixMode(mode),
		ModTime:  time.Unix(0, 0), // the same content is to be the same image tomorrow
		Format:   tar.FormatPAX,
	}
	if mode.IsDir() {
		header.Typeflag, header.Name = tar.TypeDir, header.Name+"/"
	}
	return header
}

func unixMode(m fs.FileMode) int64 {
	mode := int64(m.Perm())
	for bit, unix := range map[fs.FileMode]int64{fs.ModeSetuid: 0o4000, fs.ModeSetgid: 0o2000, fs.ModeSticky: 0o1000} {
		if m&bit != 0 {
			mode |= unix
		}
	}
	return mode
}
