package embedded

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/cutover-dev/cutover/cluster/embedded/components"
	"github.com/cutover-dev/cutover/cluster/image"
	"github.com/cutover-dev/cutover/cluster/imagestore"
)

// imageStore is a folder with what containerd keeps of the images that every
// cluster runs. It is filled once, by a containerd of its own, and linked into each
// new cluster: to import the images anew would cost every start seconds, and every
// cluster memory, since clusters that run the same file share its pages.
type imageStore struct{ dir string }

func (s imageStore) root() string  { return filepath.Join(s.dir, "root") }
func (s imageStore) index() string { return filepath.Join(s.dir, "images.json") }

// storeImages lists the programs whose images are in the store, and the name of
// each; one without a name has the one that its content gives it.
var storeImages = []struct{ program, reference string }{
	{"pause", pauseImage},
	{"coredns", corednsImage},
	{"traefik", ""},
}

// ensureStore returns the store of these programs' images, filling it if there is
// none in the cache yet.
func ensureStore(ctx context.Context, programs components.Programs, out io.Writer) (imageStore, error) {
	cache, err := components.CacheDir()
	if err != nil {
		return imageStore{}, err
	}
	key, err := storeKey(programs)
	if err != nil {
		return imageStore{}, err
	}
	store := imageStore{filepath.Join(cache, "images-"+key)}
	if store.whole() {
		return store, nil
	}
	unlock, err := components.Lock(ctx)
	if err != nil {
		return imageStore{}, err
	}
	defer unlock()
	if store.whole() {
		return store, nil
	}
	fmt.Fprintln(out, "component  images: importing them into a store for all clusters")
	aside, err := os.MkdirTemp(cache, ".images-")
	if err != nil {
		return imageStore{}, err
	}
	defer func() { _ = os.RemoveAll(aside) }() // gone by its new name if all went well
	if err := fillStore(ctx, imageStore{aside}, programs); err != nil {
		return imageStore{}, fmt.Errorf("make the store of images: %w", err)
	}
	return store, os.Rename(aside, store.dir)
}

// storeKey changes with the programs that the images are made of.
func storeKey(programs components.Programs) (string, error) {
	sum := sha256.New()
	for _, wanted := range storeImages {
		info, err := os.Stat(programs.Path(wanted.program))
		if err != nil {
			return "", err
		}
		fmt.Fprintln(sum, programs.Path(wanted.program), info.Size(), info.ModTime().UnixNano(), wanted.reference)
	}
	return hex.EncodeToString(sum.Sum(nil))[:16], nil
}

// whole reports whether the store was filled. It came to its place as a whole.
func (s imageStore) whole() bool {
	_, err := os.Stat(s.index())
	return err == nil
}

// references lists the images in the store.
func (s imageStore) references() ([]string, error) {
	data, err := os.ReadFile(s.index())
	if err != nil {
		return nil, err
	}
	var references []string
	return references, json.Unmarshal(data, &references)
}

func fillStore(ctx context.Context, store imageStore, programs components.Programs) error {
	var images []imagestore.Image
	var references []string
	for _, wanted := range storeImages {
		img, err := image.FromBinary(ctx, wanted.program, programs.Path(wanted.program), nil)
		if err != nil {
			return err
		}
		reference := cmp.Or(wanted.reference, img.Ref)
		images = append(images, imagestore.Image{Reference: reference, Image: img.Image})
		references = append(references, reference)
	}
	if err := imagestore.Fill(ctx, programs, store.root(), images, imagestore.KeepLayers); err != nil {
		return err
	}
	data, err := json.Marshal(references)
	if err != nil {
		return err
	}
	return os.WriteFile(store.index(), data, 0o600)
}

// linkInto gives a new cluster the store's images. Nobody writes to a file of an
// image once it is there, so that all clusters may have the same one; only
// containerd's own databases are copied.
func (s imageStore) linkInto(target string) error {
	var copies errgroup.Group
	err := filepath.WalkDir(s.root(), func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(s.root(), path)
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		to := filepath.Join(target, relative)
		switch {
		case entry.IsDir():
			return makeLike(to, info)
		case !info.Mode().IsRegular():
			return fmt.Errorf("%s is a %v, which no image of ours has", path, info.Mode().Type())
		case !strings.HasSuffix(path, ".db") && os.Link(path, to) == nil:
			return nil
		}
		copies.Go(func() error { return copyFile(path, to, info.Mode()) })
		return nil
	})
	return errors.Join(err, copies.Wait())
}

// makeLike makes a folder with another one's mode, whatever the umask says.
func makeLike(path string, info fs.FileInfo) error {
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return os.Chmod(path, info.Mode())
}

func copyFile(from, to string, mode fs.FileMode) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(target, source)
	return errors.Join(err, target.Chmod(mode), target.Close())
}
