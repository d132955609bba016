package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// Image is an image for one platform, and the reference clusters know it by:
// cutover.local/<name>:<first 16 digits of its digest>.
type Image struct {
	v1.Image
	Ref string
}

// Options says where Build looks and where it keeps what it made.
type Options struct {
	// CacheDir is where finished images are kept, shared between processes.
	CacheDir string
	// Dir is what relative paths start from, and the module that import paths
	// without a version are resolved in. The current folder if empty.
	Dir string
	// TempDir is where it works; what it needs there is gone when Build returns, but
	// not when the process is killed. The system's folder for such things if empty.
	TempDir string
	// Arch is the GOARCH of the nodes. This machine's if empty.
	Arch string
	// Notify is told before anything that may take long, in a line for people.
	Notify func(line string)
}

const (
	schemeKo            = "ko://"
	schemeOCIArchive    = "oci-archive:"
	schemeDockerArchive = "docker-archive:"
)

// Build makes the image that ref describes, or finds it in the cache.
func Build(ctx context.Context, ref string, opts Options) (Image, error) {
	b, err := newBuilder(opts)
	if err != nil {
		return Image{}, err
	}
	name, img, err := b.resolve(ctx, ref)
	if err != nil {
		return Image{}, fmt.Errorf("image %s: %w", ref, err)
	}
	return Named(name, img)
}

// WriteArchive writes the image as `docker save` would, under the given reference.
// containerd (`ctr images import -`), kind and docker all read this form.
func WriteArchive(w io.Writer, ref string, img v1.Image) error {
	tag, err := name.NewTag(ref)
	if err != nil {
		return fmt.Errorf("cannot name an image %q in an archive: %w", ref, err)
	}
	if err := tarball.Write(tag, img, w); err != nil {
		return fmt.Errorf("writing image %s as an archive: %w", ref, err)
	}
	return nil
}

// builder is Options with the gaps filled in.
type builder struct {
	store  store
	dir    string
	temp   string
	arch   string
	notify func(string)
}

func newBuilder(opts Options) (builder, error) {
	if opts.CacheDir == "" {
		return builder{}, errors.New("image.Options.CacheDir is not set: built images need a folder to be kept in")
	}
	dir, err := filepath.Abs(opts.Dir)
	if err != nil {
		return builder{}, fmt.Errorf("resolving folder %q: %w", opts.Dir, err)
	}
	b := builder{store: store{dir: opts.CacheDir}, dir: dir, temp: opts.TempDir, arch: opts.Arch, notify: opts.Notify}
	if b.arch == "" {
		b.arch = runtime.GOARCH
	}
	if b.temp == "" {
		b.temp = os.TempDir()
	}
	if b.notify == nil {
		b.notify = func(string) {}
	}
	return b, nil
}

// resolve returns the image and a short name for people.
func (b builder) resolve(ctx context.Context, ref string) (string, v1.Image, error) {
	switch {
	case strings.HasPrefix(ref, schemeKo):
		return b.program(ctx, strings.TrimPrefix(ref, schemeKo))
	case strings.HasPrefix(ref, schemeOCIArchive):
		return b.ociArchive(ctx, b.path(strings.TrimPrefix(ref, schemeOCIArchive)))
	case strings.HasPrefix(ref, schemeDockerArchive):
		return b.dockerArchive(b.path(strings.TrimPrefix(ref, schemeDockerArchive)))
	default:
		return b.pull(ctx, ref)
	}
}

func (b builder) path(file string) string {
	if filepath.IsAbs(file) {
		return file
	}
	return filepath.Join(b.dir, file)
}

func (b builder) platform() v1.Platform {
	return v1.Platform{OS: "linux", Architecture: b.arch}
}

// checkPlatform refuses an image that the nodes could load but never run.
func (b builder) checkPlatform(img v1.Image) error {
	config, err := img.ConfigFile()
	if err != nil {
		return fmt.Errorf("reading the image's configuration: %w", err)
	}
	if config.OS != "linux" || config.Architecture != b.arch {
		return fmt.Errorf("it is for %s/%s and the nodes are linux/%s: save the image of that platform",
			config.OS, config.Architecture, b.arch)
	}
	return nil
}

// workFolder makes a folder for what is needed only until the image is kept.
func (b builder) workFolder() (dir string, remove func(), err error) {
	dir, err = os.MkdirTemp(b.temp, "cutover-image-")
	if err != nil {
		return "", nil, fmt.Errorf("making a folder to work in: %w", err)
	}
	// What is left behind is in a folder for such things.
	return dir, func() { _ = os.RemoveAll(dir) }, nil
}

var notInName = regexp.MustCompile(`[^a-z0-9]+`)

// Named gives the image a reference that no other content can have.
func Named(name string, img v1.Image) (Image, error) {
	digest, err := img.Digest()
	if err != nil {
		return Image{}, fmt.Errorf("computing the digest of image %s: %w", name, err)
	}
	name = strings.Trim(notInName.ReplaceAllString(strings.ToLower(name), "-"), "-")
	if name == "" {
		name = "image"
	}
	return Image{Image: img, Ref: fmt.Sprintf("cutover.local/%s:%s", name, digest.Hex[:16])}, nil
}
