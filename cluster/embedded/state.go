package embedded

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/cutover-dev/cutover/cluster"
)

// state is the folder of one cluster. Everything that the cluster writes is in it.
type state string

// stateOf is the folder of this user's cluster of that name.
func stateOf(name string) (state, error) {
	root, err := stateRoot()
	return state(filepath.Join(root, name)), err
}

// stateRoot holds a folder for each cluster of this user. The last one to go takes
// it along.
func stateRoot() (string, error) {
	dir, err := cluster.StateDir()
	return filepath.Join(dir, "clusters"), err
}

func (s state) name() string            { return filepath.Base(string(s)) }
func (s state) root() string            { return filepath.Dir(string(s)) }
func (s state) path(p ...string) string { return filepath.Join(append([]string{string(s)}, p...)...) }
func (s state) pki(file string) string  { return s.path("pki", file) }
func (s state) log(name string) string  { return s.path("logs", name+".log") }
func (s state) kubeconfig() string      { return s.path("kubeconfig") }
func (s state) containerd() string      { return s.path("run", "containerd.sock") }
func (s state) sockets() string         { return s.path("run", "sockets.sock") }

// node is the folder of one node. It has the layout of the cluster's own, which is
// node 0's too, without what only the control plane needs. A further node sees it
// where node 0 sees the cluster's, so that both are configured alike.
func (s state) node(n node) state {
	if n == 0 {
		return s
	}
	return state(s.path("nodes", n.name()))
}

// spec is spec.json: what the processes of a cluster, and those who clean up after
// it, need to know.
type spec struct {
	Name       string    `json:"name"`
	Programs   string    `json:"programs"` // folder of the components
	Executable string    `json:"executable"`
	Nodes      int       `json:"nodes"`
	Port       int       `json:"port"`                 // API server, on the host's loopback
	Owned      bool      `json:"owned"`                // dies with the process that made it
	Rootless   bool      `json:"rootless,omitempty"`   // its user is root in a user namespace only
	Cgroupless bool      `json:"cgroupless,omitempty"` // its user may make no cgroups, so nothing in it is limited
	SingleID   bool      `json:"singleID,omitempty"`   // and nobody else is in there
	Cgroups    []string  `json:"cgroups"`              // folders made for it, to be removed
	Sandbox    processID `json:"sandbox"`              // first process of the sandbox
	Janitor    processID `json:"janitor"`
}

// processID names a process beyond the reuse of its number.
type processID struct {
	PID   int    `json:"pid"`
	Start string `json:"start"` // field 22 of /proc/PID/stat, clock ticks since boot
}

func identify(pid int) (processID, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return processID{}, err
	}
	// The command's name, in parentheses, may hold anything: count from behind it.
	fields := strings.Fields(string(data[strings.LastIndexByte(string(data), ')')+1:]))
	const startTime = 22 - 3 // the first field behind the name is number 3
	if len(fields) <= startTime {
		return processID{}, fmt.Errorf("/proc/%d/stat has %d fields", pid, len(fields))
	}
	return processID{PID: pid, Start: fields[startTime]}, nil
}

// alive reports whether the process still runs; a zombie does not.
func (p processID) alive() bool {
	if p.PID == 0 {
		return false
	}
	now, err := identify(p.PID)
	if err != nil || now.Start != p.Start {
		return false
	}
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.PID))
	return err == nil && !strings.Contains(string(data), "State:\tZ")
}

// kill ends the process if it is still the one that was meant.
func (p processID) kill() error {
	if !p.alive() {
		return nil
	}
	if err := unix.Kill(p.PID, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("kill process %d: %w", p.PID, err)
	}
	return nil
}

func (s state) read() (spec, error) {
	data, err := os.ReadFile(s.path("spec.json"))
	if err != nil {
		return spec{}, err
	}
	var sp spec
	if err := json.Unmarshal(data, &sp); err != nil {
		return spec{}, fmt.Errorf("%s: %w", s.path("spec.json"), err)
	}
	return sp, nil
}

// write replaces spec.json as a whole: a reader never sees half of it.
func (s state) write(sp spec) error {
	data, err := json.MarshalIndent(sp, "", "  ")
	if err != nil {
		return err
	}
	aside := s.path(".spec.json." + strconv.Itoa(os.Getpid()))
	if err := os.WriteFile(aside, data, 0o600); err != nil {
		return err
	}
	return os.Rename(aside, s.path("spec.json"))
}

// create makes the folder of a new cluster, which is this process's until release
// is called, or the process ends. It fails if there is one of that name.
func (s state) create(nodes int) (release func(), err error) {
	unlock, err := lockRoot(s.root(), true)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := os.Mkdir(string(s), 0o700); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return nil, fmt.Errorf("a cluster named %s exists already; use it with --name %s, take it down with `cutover cluster down --name %s`, or choose another name", s.name(), s.name(), s.name())
		}
		return nil, err
	}
	if err := s.furnish(nodes); err != nil {
		return nil, err
	}
	return s.lock(makerLock)
}

// furnish makes the folders that the components of each node write to.
func (s state) furnish(nodes int) error {
	for _, n := range nodesOf(nodes) {
		for _, dir := range []string{"pki", "conf", "logs", "logs/pods", "run", "root", "data", "data/containerd", "data/kubelet"} {
			if err := os.MkdirAll(s.node(n).path(dir), 0o700); err != nil {
				return err
			}
		}
	}
	return os.Mkdir(s.path("data/etcd"), 0o700)
}

// remove deletes the folder, and those above it once they are empty. The cutover
// program is needed where an ordinary user's cluster has files of others, or folders
// that nobody but root may write to.
func (s state) remove(executable string) error {
	unlock, err := lockRoot(s.root(), false)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // somebody else removed the last one
	}
	if err != nil {
		return err
	}
	defer unlock()
	err = os.RemoveAll(string(s))
	if errors.Is(err, fs.ErrPermission) && os.Geteuid() != 0 {
		err = s.removeMapped(executable)
	}
	if err != nil {
		return fmt.Errorf("remove the state of cluster %s: %w", s.name(), err)
	}
	// Neither goes while others live in it.
	_, _ = os.Remove(s.root()), os.Remove(filepath.Dir(s.root()))
	return nil
}

// removeMapped deletes the folder as root of a user namespace like the cluster's.
func (s state) removeMapped(executable string) error {
	remover := spec{Executable: executable, Rootless: true}.inner("remove", s)
	remover.SysProcAttr = &syscall.SysProcAttr{}
	var said strings.Builder
	remover.Stdout, remover.Stderr = &said, &said
	if _, err := startMapped(remover); err != nil {
		return err
	}
	if err := remover.Wait(); err != nil {
		return fmt.Errorf("%w\n%s", err, said.String())
	}
	return nil
}

// RunRemove deletes the folder of a cluster that has ended, as the root that the
// cluster had.
func RunRemove(folder string) error { return os.RemoveAll(folder) }

// states lists the clusters that have a folder, living or not.
func states() ([]state, error) {
	root, err := stateRoot()
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var found []state
	for _, entry := range entries {
		found = append(found, state(filepath.Join(root, entry.Name())))
	}
	sort.Slice(found, func(i, j int) bool { return found[i] < found[j] })
	return found, nil
}
