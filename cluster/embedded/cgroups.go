package embedded

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// hierarchy is one mounted cgroup hierarchy and where this process stands in it.
type hierarchy struct {
	mount       string // where it is mounted on the host
	controllers string // mount option that names it in version 1; "" for version 2
	own         string // folder of this process's cgroup
}

// hierarchies lists the ones that a cluster gets cgroups in: those of version 1, or
// the one of version 2 where there is no other. Beside version 1 hierarchies the
// version 2 tree has no controllers and is left alone.
func hierarchies() ([]hierarchy, error) {
	mounts, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	defer mounts.Close()
	groups, err := ownCgroups()
	if err != nil {
		return nil, err
	}
	var one, two []hierarchy
	for lines := bufio.NewScanner(mounts); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		separator := indexOf(fields, "-")
		if separator < 0 || len(fields) < separator+4 {
			continue
		}
		root, mount, kind, options := fields[3], fields[4], fields[separator+1], fields[separator+3]
		switch kind {
		case "cgroup":
			for key, path := range groups {
				if key != "" && optionsName(options, key) {
					one = append(one, hierarchy{mount: mount, controllers: key, own: under(mount, root, path)})
				}
			}
		case "cgroup2":
			two = append(two, hierarchy{mount: mount, own: under(mount, root, groups[""])})
		}
	}
	if len(one) > 0 {
		return one, nil
	}
	if len(two) == 0 {
		return nil, errors.New("no cgroup hierarchy is mounted; mount one at /sys/fs/cgroup")
	}
	return two[:1], nil
}

// ownCgroups reads /proc/self/cgroup: controllers → path. Version 2 has no controllers.
func ownCgroups() (map[string]string, error) {
	data, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil, err
	}
	groups := map[string]string{}
	for _, line := range strings.Split(strings.TrimSpace(string(data)), "\n") {
		if parts := strings.SplitN(line, ":", 3); len(parts) == 3 {
			groups[parts[1]] = parts[2]
		}
	}
	return groups, nil
}

// optionsName reports whether a mount's options name exactly these controllers.
func optionsName(options, controllers string) bool {
	present := strings.Split(options, ",")
	for _, controller := range strings.Split(controllers, ",") {
		if indexOf(present, controller) < 0 {
			return false
		}
	}
	return true
}

// under places a cgroup's path below the mount of a hierarchy whose root may be a
// cgroup itself, as in a container.
func under(mount, root, path string) string {
	relative, err := filepath.Rel(root, path)
	if err != nil || strings.HasPrefix(relative, "..") {
		relative = ""
	}
	return filepath.Join(mount, relative)
}

func indexOf(list []string, want string) int {
	for i, item := range list {
		if item == want {
			return i
		}
	}
	return -1
}

// makeCgroups makes the cluster's own cgroup below our current one in each
// hierarchy and returns the folders.
func makeCgroups(name string, list []hierarchy) ([]string, error) {
	var made []string
	for _, h := range list {
		parent := h.place()
		if parent == "" {
			continue // an ordinary user does without
		}
		if os.Geteuid() != 0 && h.controllers == "" {
			if err := h.handOn(); err != nil {
				return made, fmt.Errorf("hand controllers on to the cluster: %w", err)
			}
		}
		dir := filepath.Join(parent, "cutover-"+name)
		if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return made, fmt.Errorf("make the cluster's cgroup: %w", err)
		}
		made = append(made, dir)
		if strings.Contains(h.controllers, "cpuset") {
			if err := inheritCpuset(parent, dir); err != nil {
				return made, err
			}
		}
	}
	return made, nil
}

// place is the cgroup that a cluster's own one is made in.
func (h hierarchy) place() string {
	switch {
	case os.Geteuid() != 0:
		return h.delegated()
	case h.controllers == "":
		// A cgroup of version 2 that holds processes, as ours does, cannot hand
		// controllers on: the cluster's has to stand at the top.
		return h.mount
	default:
		return h.own
	}
}

// delegated is the uppermost cgroup, from ours on, that an ordinary user may write
// to; "" if he may not even write to ours.
func (h hierarchy) delegated() string {
	found := ""
	for dir := h.own; strings.HasPrefix(dir, h.mount); dir = filepath.Dir(dir) {
		if unix.Access(dir, unix.W_OK) != nil || unix.Access(filepath.Join(dir, "cgroup.procs"), unix.W_OK) != nil {
			break
		}
		found = dir
	}
	return found
}

// The controllers without which kubelet limits nothing, in either version.
var (
	neededOne = []string{"cpu", "cpuacct", "cpuset", "memory"}
	neededTwo = []string{"cpu", "memory", "pids"}
)

// unified reports whether the hierarchy is that of version 2.
func unified(list []hierarchy) bool { return len(list) == 1 && list[0].controllers == "" }

// withheld lists the needed controllers that an ordinary user cannot have in a
// cgroup of his own.
func withheld(list []hierarchy) []string {
	if unified(list) {
		return slices.DeleteFunc(slices.Clone(neededTwo), list[0].canHandOn)
	}
	return slices.DeleteFunc(slices.Clone(neededOne), func(controller string) bool {
		return slices.ContainsFunc(list, func(h hierarchy) bool {
			return slices.Contains(strings.Split(h.controllers, ","), controller) && h.delegated() != ""
		})
	})
}

// canHandOn reports whether a cgroup of version 2 that is made in the delegated one
// has the controller, or will: one that holds processes itself cannot hand on any
// more than it does.
func (h hierarchy) canHandOn(controller string) bool {
	words := func(file string) []string {
		data, _ := os.ReadFile(filepath.Join(h.delegated(), file)) // unreadable: none
		return strings.Fields(string(data))
	}
	return h.delegated() != "" && (slices.Contains(words("cgroup.subtree_control"), controller) ||
		slices.Contains(words("cgroup.controllers"), controller) && len(words("cgroup.procs")) == 0)
}

// handOn gives the cgroups in a delegated one of version 2 all that it has.
func (h hierarchy) handOn() error {
	available, err := os.ReadFile(filepath.Join(h.delegated(), "cgroup.controllers"))
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(h.delegated(), "cgroup.subtree_control"), []byte(enabling(string(available))), 0o644)
}

// enabling asks for all of the controllers.
func enabling(controllers string) string {
	var enable []string
	for _, controller := range strings.Fields(controllers) {
		enable = append(enable, "+"+controller)
	}
	return strings.Join(enable, " ")
}

// shown are the hierarchies that the sandbox sees: those that the cluster has
// cgroups in, or, where it has none, all, since kubelet insists on seeing some.
func (sp spec) shown(list []hierarchy) []hierarchy {
	if sp.Cgroupless {
		return list
	}
	return slices.DeleteFunc(slices.Clone(list), func(h hierarchy) bool {
		return !slices.ContainsFunc(sp.Cgroups, func(dir string) bool { return strings.HasPrefix(dir, h.mount+"/") })
	})
}

// inheritCpuset fills in what a new cpuset of version 1 lacks: without processors
// and memory nodes nothing may join it.
func inheritCpuset(parent, dir string) error {
	for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
		value, err := os.ReadFile(filepath.Join(parent, file))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, file), value, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// join moves this process into the cgroups.
func join(dirs []string) error {
	for _, dir := range dirs {
		if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(strconv.Itoa(os.Getpid())), 0o644); err != nil {
			return fmt.Errorf("join cgroup %s: %w", dir, err)
		}
	}
	return nil
}

// removeCgroups removes the folders and all below them, which the kernel never
// does. A cgroup whose last process is just being reaped is busy for a moment.
func removeCgroups(dirs []string) error {
	deadline := time.Now().Add(5 * time.Second)
	var failed []error
	for _, dir := range dirs {
		for {
			err := removeTree(dir)
			if err == nil || errors.Is(err, fs.ErrNotExist) {
				break
			}
			if !errors.Is(err, unix.EBUSY) || time.Now().After(deadline) {
				failed = append(failed, fmt.Errorf("remove cgroup %s: %w", dir, err))
				break
			}
			<-time.After(20 * time.Millisecond)
		}
	}
	return errors.Join(failed...)
}

func removeTree(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if entry.IsDir() {
			if err := removeTree(filepath.Join(dir, entry.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return unix.Rmdir(dir)
}

// strays lists the cgroups of the named cluster that exist, wherever this process
// stands now: a clean-up may run elsewhere than the run that it cleans up after.
func strays(name string, list []hierarchy) []string {
	var found []string
	for _, h := range list {
		for _, parent := range []string{h.own, h.delegated(), h.mount} {
			if parent == "" {
				continue
			}
			dir := filepath.Join(parent, "cutover-"+name)
			if _, err := os.Stat(dir); err == nil && indexOf(found, dir) < 0 {
				found = append(found, dir)
			}
		}
	}
	return found
}

// members lists the processes in the cgroups and below, each once.
func members(dirs []string) ([]int, error) {
	seen := map[int]bool{}
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.Name() != "cgroup.procs" {
				return ignoreGone(err)
			}
			data, err := os.ReadFile(path)
			if err != nil {
				return ignoreGone(err)
			}
			for _, line := range strings.Fields(string(data)) {
				if pid, err := strconv.Atoi(line); err == nil && pid != 0 { // 0 is one that cannot be seen from here
					seen[pid] = true
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return slices.Sorted(maps.Keys(seen)), nil
}

// killMembers ends every process in the cgroups and below. They can only be the
// cluster's: nobody else is put there.
func killMembers(dirs []string) error {
	pids, err := members(dirs)
	if err != nil {
		return err
	}
	for _, pid := range pids {
		if pid == os.Getpid() {
			continue
		}
		if err := unix.Kill(pid, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("kill process %d of %s: %w", pid, strings.Join(dirs, ", "), err)
		}
	}
	return nil
}

func ignoreGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV) {
		return nil
	}
	return err
}
