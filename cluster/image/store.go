package image

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"golang.org/x/sys/unix"
)

// store keeps finished images, each as an OCI layout in a folder named by what it
// was made from. Several processes may use it at once.
type store struct{ dir string }

// once returns the image kept under key, or makes and keeps it. Whoever asks for
// the same key meanwhile waits instead of making it a second time.
func (s store) once(ctx context.Context, key string, make func() (v1.Image, error)) (v1.Image, error) {
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return nil, fmt.Errorf("making the image cache: %w", err)
	}
	unlock, err := lock(ctx, filepath.Join(s.dir, key+".lock"))
	if err != nil {
		return nil, err
	}
	defer unlock()
	if img, err := s.open(key); err == nil {
		return img, nil
	}
	img, err := make()
	if err != nil {
		return nil, err
	}
	if err := s.put(key, img); err != nil {
		return nil, fmt.Errorf("keeping the image in %s: %w", s.dir, err)
	}
	return s.open(key)
}

// open finds a kept image. One that was damaged is an error like one that is not
// there: both are made anew.
func (s store) open(key string) (v1.Image, error) {
	index, err := layout.ImageIndexFromPath(filepath.Join(s.dir, key))
	if err != nil {
		return nil, err
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return nil, err
	}
	if len(manifest.Manifests) != 1 {
		return nil, fmt.Errorf("%d images where one was kept", len(manifest.Manifests))
	}
	img, err := index.Image(manifest.Manifests[0].Digest)
	if err != nil {
		return nil, err
	}
	return img, verify(img)
}

// verify reads every layer: a machine that lost power may have kept a file's name
// and length but not its bytes.
func verify(img v1.Image) error {
	layers, err := img.Layers()
	if err != nil {
		return err
	}
	for _, l := range layers {
		want, err := l.Digest()
		if err != nil {
			return err
		}
		stored, err := l.Compressed()
		if err != nil {
			return err
		}
		got, _, err := v1.SHA256(stored)
		stored.Close()
		if err != nil {
			return err
		}
		if got != want {
			return fmt.Errorf("layer %s is damaged", want)
		}
	}
	return nil
}

// put writes the image aside and renames it, so that a folder under a key is
// always whole. The caller holds the key's lock.
func (s store) put(key string, img v1.Image) error {
	kept := filepath.Join(s.dir, key)
	aside := kept + ".new"
	for _, stale := range []string{aside, kept} {
		if err := os.RemoveAll(stale); err != nil {
			return err
		}
	}
	written, err := layout.Write(aside, empty.Index)
	if err != nil {
		return err
	}
	if err := written.AppendImage(img); err != nil {
		return errors.Join(err, os.RemoveAll(aside))
	}
	return os.Rename(aside, kept)
}

// lock waits for the file's lock. The kernel lets it go when this process dies.
func lock(ctx context.Context, path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("opening a lock of the image cache: %w", err)
	}
	retry := time.NewTicker(50 * time.Millisecond)
	defer retry.Stop()
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			f.Close()
			return nil, fmt.Errorf("locking %s: %w", path, err)
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, fmt.Errorf("waiting for another build of the same image (%s): %w", path, context.Cause(ctx))
		case <-retry.C:
		}
	}
}

// keyOf is a file name that stands for all the parts.
func keyOf(parts ...string) string {
	sum := sha256.New()
	for _, part := range parts {
		sum.Write(fmt.Appendf(nil, "%d:%s", len(part), part))
	}
	return hex.EncodeToString(sum.Sum(nil))[:32]
}

func hashFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return "", fmt.Errorf("reading %s: %w", path, err)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}
