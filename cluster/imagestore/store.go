package imagestore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sys/unix"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/cutover-dev/cutover/cluster/embedded/components"
	"github.com/cutover-dev/cutover/cluster/image"
)

// Image is an image and the name that it is to have.
type Image struct {
	Reference string
	Image     v1.Image
}

// Layers says whether a store keeps the layers of its images packed, beside what they
// were unpacked to. Only who wants to push or export an image misses them.
type Layers string

// What becomes of the layers.
const (
	KeepLayers Layers = "keep"
	DropLayers Layers = "drop"
)

// Fill makes root the root of a containerd that has the images, unpacked.
func Fill(ctx context.Context, programs components.Programs, root string, images []Image, layers Layers) error {
	// containerd is to end with this process, and its parent is a thread.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	// A socket's path must be short, which the root's need not be.
	work, err := os.MkdirTemp("", "cutover-store-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(work) }() // in the system's own folder for such things
	socket := filepath.Join(work, "containerd.sock")
	stop, err := start(programs, root, work, socket)
	if err != nil {
		return err
	}
	err = wait.PollUntilContextTimeout(ctx, 20*time.Millisecond, time.Minute, true, func(context.Context) (bool, error) {
		_, missing := os.Stat(socket)
		return missing == nil, nil
	})
	for _, img := range images {
		if err == nil {
			err = Import(ctx, programs, socket, img.Reference, img.Image)
		}
	}
	if err == nil && layers == DropLayers {
		err = drop(ctx, programs, socket)
	}
	return errors.Join(err, stop())
}

// start starts a containerd that has the root as its own and the mounts that
// unpacking takes for itself. stop lets it write what it has and waits for its end.
func start(programs components.Programs, root, work, socket string) (stop func() error, err error) {
	conf := filepath.Join(work, "containerd.toml")
	text := fmt.Sprintf("version = 3\nroot = %q\nstate = %q\ndisabled_plugins = [\"io.containerd.cri.v1.images\", \"io.containerd.cri.v1.runtime\", \"io.containerd.grpc.v1.cri\", \"io.containerd.internal.v1.opt\"]\n[grpc]\n  address = %q\n",
		root, filepath.Join(work, "state"), socket)
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

// drop returns when the packed layers are gone: containerd's own option to discard
// them at an import leaves those of the last one, if it ends soon.
func drop(ctx context.Context, programs components.Programs, socket string) error {
	pruner := exec.CommandContext(ctx, programs.Path("ctr"), "--address", socket, "--namespace", "k8s.io", "content", "prune", "references")
	if output, err := pruner.CombinedOutput(); err != nil {
		return fmt.Errorf("drop packed layers: %w\n%s", err, output)
	}
	return nil
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

// tries are how often an image is handed over: a containerd that ended in the middle
// of it is started again within a second.
const tries = 3

// Import hands an image to the containerd behind the socket.
func Import(ctx context.Context, programs components.Programs, socket, reference string, img v1.Image) error {
	var err error
	for range tries {
		if err = importOnce(ctx, programs, socket, reference, img); err == nil || ctx.Err() != nil {
			return err
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
	return err
}

func importOnce(ctx context.Context, programs components.Programs, socket, reference string, img v1.Image) error {
	read, write := io.Pipe()
	defer read.Close()
	go func() { write.CloseWithError(image.WriteArchive(write, reference, img)) }()
	importer := exec.CommandContext(ctx, programs.Path("ctr"), "--address", socket, "--namespace", "k8s.io",
		"images", "import", "--no-unpack=false", "-")
	importer.Stdin = read
	if output, err := importer.CombinedOutput(); err != nil {
		return fmt.Errorf("load image %s: %w\n%s", reference, err, output)
	}
	return nil
}
