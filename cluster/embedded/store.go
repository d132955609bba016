package embedded

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/cutover-dev/cutover/cluster/embedded/components"
	"github.com/cutover-dev/cutover/cluster/image"
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
	// containerd is to end with this process, and its parent is a thread.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	// A socket's path must be short, which the cache's need not be.
	work, err := os.MkdirTemp("", "cutover-store-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(work) }() // in the system's own folder for such things
	socket := filepath.Join(work, "containerd.sock")
	stop, err := startStore(store, programs, work, socket)
	if err != nil {
		return err
	}
	var references []string
	err = wait.PollUntilContextTimeout(ctx, 20*time.Millisecond, time.Minute, true, func(context.Context) (bool, error) {
		_, missing := os.Stat(socket)
		return missing == nil, nil
	})
	if err == nil {
		references, err = importAll(ctx, programs, socket)
	}
	if err := errors.Join(err, stop()); err != nil {
		return err
	}
	data, err := json.Marshal(references)
	if err != nil {
		return err
	}
	return os.WriteFile(store.index(), data, 0o600)
}

// startStore starts a containerd that has the store as its root and the mounts that
// unpacking takes for itself. stop lets it write what it has and waits for its end.
func startStore(store imageStore, programs components.Programs, work, socket string) (stop func() error, err error) {
	conf := filepath.Join(work, "containerd.toml")
	text := fmt.Sprintf("version = 3\nroot = %q\nstate = %q\ndisabled_plugins = [\"io.containerd.cri.v1.images\", \"io.containerd.cri.v1.runtime\", \"io.containerd.grpc.v1.cri\", \"io.containerd.internal.v1.opt\"]\n[grpc]\n  address = %q\n",
		store.root(), filepath.Join(work, "state"), socket)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(work, "log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	daemon := exec.Command(programs.Path("containerd"), "--config", conf, "--log-level", "warn") //nolint:noctx // stop ends it, gently
	daemon.Stdout, daemon.Stderr = log, log
	daemon.SysProcAttr = ownMounts()
	if err := daemon.Start(); err != nil {
		return nil, err
	}
	return func() error {
		if err := daemon.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return err
		}
		if err := daemon.Wait(); err != nil {
			said, _ := os.ReadFile(filepath.Join(work, "log"))
			return fmt.Errorf("containerd: %w\n%s", err, said)
		}
		return nil
	}, nil
}

// ownMounts starts a program that may mount and whose mounts nobody else sees. An
// ordinary user may where he is root: in a user namespace of his own.
func ownMounts() *syscall.SysProcAttr {
	if os.Geteuid() == 0 {
		return &syscall.SysProcAttr{Unshareflags: unix.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	}
	return &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}},
		Pdeathsig:   syscall.SIGKILL,
	}
}

func importAll(ctx context.Context, programs components.Programs, socket string) ([]string, error) {
	var references []string
	for _, wanted := range storeImages {
		img, err := image.FromBinary(ctx, wanted.program, programs.Path(wanted.program), nil)
		if err != nil {
			return nil, err
		}
		if wanted.reference == "" {
			wanted.reference = img.Ref
		}
		if err := importImage(ctx, programs, socket, wanted.reference, img.Image); err != nil {
			return nil, err
		}
		references = append(references, wanted.reference)
	}
	return references, nil
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
