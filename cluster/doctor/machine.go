package doctor

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// machine is what the looks look at. Tests put another one in its place.
type machine struct {
	options Options
	files   fs.FS // of the root folder
	uid     int
	// has says whether a program is in PATH.
	has func(program string) bool
	// run runs a command and gives its standard output.
	run func(ctx context.Context, env []string, command ...string) (string, error)
	// try does something that needs the kernel's help, and leaves nothing behind.
	try func(probe) error
	// free is how many bytes a folder's disk has left.
	free func(dir string) (uint64, error)
	// sockets are where a container engine may listen.
	sockets []string
	// registry is the address of the one to ask.
	registry string
}

func thisMachine(opts Options) machine {
	return machine{
		options: opts, files: os.DirFS("/"), uid: os.Geteuid(),
		has: inPath, run: run, try: tryAside, free: freeBytes, sockets: engineSockets(), registry: dockerHub,
	}
}

// text reads a small file of the kernel's; what is not there is empty.
func (m machine) text(path string) string {
	content, err := fs.ReadFile(m.files, path)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(content))
}

func (m machine) exists(path string) bool {
	_, err := fs.Stat(m.files, path)
	return err == nil
}

func inPath(program string) bool {
	if _, err := exec.LookPath(program); err == nil {
		return true
	}
	// Administrators' programs are often out of a normal user's PATH.
	_, err := os.Stat(filepath.Join("/usr/sbin", program))
	return err == nil
}

func run(ctx context.Context, env []string, command ...string) (string, error) {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Dir = os.TempDir() // away from any go.mod
	out, err := cmd.Output()
	return strings.TrimSpace(string(out)), err
}

// freeBytes asks the nearest folder that exists.
func freeBytes(dir string) (uint64, error) {
	for {
		var disk unix.Statfs_t
		err := unix.Statfs(dir, &disk)
		if err == nil {
			return disk.Bavail * uint64(disk.Bsize), nil
		}
		if parent := filepath.Dir(dir); errors.Is(err, unix.ENOENT) && parent != dir {
			dir = parent
			continue
		}
		return 0, err
	}
}
