package embedded

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/cutover-dev/cutover/cluster/inside"
)

// RunSandbox is the sandbox's first process. It arranges the root, the network and
// the host name, starts the supervisor, and then only collects the orphans of its
// process namespace. It ends, and with it everything inside, when the supervisor
// or the janitor does.
func RunSandbox(folder string) error {
	s := state(folder)
	sp, err := s.read()
	if err != nil {
		return err
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.NewFile(janitorFD, "janitor"))
		fmt.Fprintln(os.Stderr, "sandbox: the janitor is gone")
		os.Exit(1) //nolint:forbidigo // nothing to unwind: the kernel ends all that runs in here
	}()
	list, err := hierarchies()
	if err != nil {
		return err
	}
	list = sp.shown(list)
	for _, step := range []struct {
		what string
		do   func() error
	}{
		{"mounts", func() error { return enterRoot(s, sp, list) }},
		{"sysctls", coverSysctls},
		{"network", setUpNetwork},
		{"host name", func() error { return unix.Sethostname([]byte(node(0).name())) }},
		{"priority", stepAside},
	} {
		if err := step.do(); err != nil {
			return fmt.Errorf("sandbox: %s: %w", step.what, err)
		}
	}
	supervisor := exec.Command(insideExecutable, "cluster", "supervisor", node(0).name()) //nolint:noctx // ends with this process
	supervisor.Stdout, supervisor.Stderr = os.Stderr, os.Stderr
	supervisor.ExtraFiles = []*os.File{os.NewFile(listenerFD, "api")}
	if err := supervisor.Start(); err != nil {
		return err
	}
	return reap(supervisor.Process.Pid)
}

// courtesy is how much nicer than its user a cluster's machinery is. Pods are a group of
// the scheduler's with a weight of its own, as much as the processors of the node come
// to, and so they go first where both want more than there is: that a candidate's pods
// are being started shall not be seen by users.
const courtesy = 8

// stepAside makes this process nicer, and all that it starts.
func stepAside() error {
	before, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
	if err != nil {
		return os.NewSyscallError("getpriority", err)
	}
	// The system call answers 20 minus the niceness.
	return os.NewSyscallError("setpriority", unix.Setpriority(unix.PRIO_PROCESS, 0, min(20-before+courtesy, 19)))
}

// reap collects children until the supervisor has ended.
func reap(supervisor int) error {
	status, err := inside.Reap(supervisor)
	if err != nil {
		return err
	}
	return fmt.Errorf("sandbox: the supervisor ended: %v", status)
}

// enterRoot makes a root of its own on a tmpfs, with the host's programs read-only
// and only the cluster's state writable, and moves into it.
func enterRoot(s state, sp spec, list []hierarchy) error {
	if err := mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	root := s.path("root")
	if err := mount("cutover", root, "tmpfs", 0, "mode=755"); err != nil {
		return err
	}
	if err := bindHost(root); err != nil {
		return err
	}
	binds := map[string]string{
		sp.Programs:         insidePrograms,
		string(s):           insideState,
		s.path("logs/pods"): "/var/log/pods",
		"/dev":              "/dev",
	}
	data, err := os.ReadDir(s.path("data"))
	if err != nil {
		return err
	}
	for _, entry := range data {
		binds[s.path("data", entry.Name())] = filepath.Join("/var/lib", entry.Name())
	}
	for _, dir := range []string{"proc", "sys", "run", "tmp", "var/log/containers", "old"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			return err
		}
	}
	for from, to := range binds {
		if err := bind(from, filepath.Join(root, to), 0); err != nil {
			return err
		}
	}
	if err := bindFile(sp.Executable, filepath.Join(root, insideExecutable)); err != nil {
		return err
	}
	if err := mountKernel(root, list); err != nil {
		return err
	}
	return pivot(root)
}

// bindHost shows the host's programs and settings, read-only.
func bindHost(root string) error {
	for _, dir := range []string{"/usr", "/etc", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"} {
		target, err := os.Readlink(dir)
		switch {
		case err == nil:
			err = os.Symlink(target, filepath.Join(root, dir))
		case errors.Is(err, fs.ErrNotExist):
			continue
		default:
			err = bind(dir, filepath.Join(root, dir), unix.MS_RDONLY)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func mountKernel(root string, list []hierarchy) error {
	in := func(p string) string { return filepath.Join(root, p) }
	for _, m := range []struct{ source, target, kind, data string }{
		{"proc", "proc", "proc", ""},
		{"sysfs", "sys", "sysfs", ""},
		{"run", "run", "tmpfs", "mode=755"},
		{"tmp", "tmp", "tmpfs", "mode=1777"},
		{"shm", "dev/shm", "tmpfs", "mode=1777"},
	} {
		if err := mount(m.source, in(m.target), m.kind, 0, m.data); err != nil {
			return err
		}
	}
	if unified(list) {
		return mountUnified(in("sys/fs/cgroup"))
	}
	if err := mount("cgroup", in("sys/fs/cgroup"), "tmpfs", 0, "mode=755"); err != nil {
		return err
	}
	for _, h := range list {
		name := strings.TrimPrefix(h.controllers, "name=")
		dir := in("sys/fs/cgroup/" + name)
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
		options := h.controllers
		if strings.HasPrefix(options, "name=") {
			options = "none," + options
		}
		if err := mount("cgroup", dir, "cgroup", 0, options); err != nil {
			return err
		}
		for _, alias := range strings.Split(name, ",") {
			if alias != name {
				if err := os.Symlink(name, in("sys/fs/cgroup/"+alias)); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// mountUnified mounts the version 2 tree, moves what runs in here into a leaf, and
// hands every controller on, as version 2 wants it.
func mountUnified(dir string) error {
	if err := mount("cgroup2", dir, "cgroup2", 0, ""); err != nil {
		return err
	}
	leaf := filepath.Join(dir, "cutover")
	err := os.Mkdir(leaf, 0o755)
	if errors.Is(err, fs.ErrPermission) {
		return nil // an ordinary user's cluster without cgroups
	}
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(leaf, "cgroup.procs"), []byte("0"), 0o644); err != nil {
		return err
	}
	available, err := os.ReadFile(filepath.Join(dir, "cgroup.controllers"))
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), []byte(enabling(string(available))), 0o644)
}

func pivot(root string) error {
	if err := unix.PivotRoot(root, filepath.Join(root, "old")); err != nil {
		return fmt.Errorf("pivot_root: %w", err)
	}
	if err := os.Chdir("/"); err != nil {
		return err
	}
	if err := unix.Unmount("/old", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("unmount the old root: %w", err)
	}
	if err := os.Remove("/old"); err != nil {
		return err
	}
	// Volumes that a container mounts must be seen by others.
	return mount("", "/", "", unix.MS_REC|unix.MS_SHARED, "")
}

func mount(source, target, kind string, flags uintptr, data string) error {
	if err := unix.Mount(source, target, kind, flags, data); err != nil {
		return fmt.Errorf("mount %s %s on %s: %w", kind, source, target, err)
	}
	return nil
}

// bind mounts a folder, with what is mounted below it, at a path that it makes.
func bind(from, to string, flags uintptr) error {
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	if err := mount(from, to, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return err
	}
	if flags == 0 {
		return nil
	}
	// In a user namespace what the host forbids of a mount must stay forbidden.
	var host unix.Statfs_t
	if err := unix.Statfs(to, &host); err != nil {
		return err
	}
	forbidden := uintptr(host.Flags) & (unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC | unix.MS_NOATIME | unix.MS_NODIRATIME)
	return mount("", to, "", unix.MS_BIND|unix.MS_REMOUNT|forbidden|flags, "")
}

func bindFile(from, to string) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(to, nil, 0o755); err != nil {
		return err
	}
	return mount(from, to, "", unix.MS_BIND, "")
}

func coverSysctls() error {
	for key, value := range sysctls {
		cover := "/run/sysctl-" + strings.ReplaceAll(key, "/", ".")
		if err := os.WriteFile(cover, []byte(value+"\n"), 0o644); err != nil {
			return err
		}
		if err := mount(cover, "/proc/sys/"+key, "", unix.MS_BIND, ""); err != nil {
			return err
		}
	}
	return nil
}
