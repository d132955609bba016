package kind

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/cluster/engine"
)

// state is the folder of one cluster. All that this machine keeps of the cluster is
// in it, but for its containers and their volumes.
type state string

// stateRoot holds a folder for each kind cluster of this user. The last one to go
// takes it along.
func stateRoot() (string, error) {
	dir, err := cluster.StateDir()
	return filepath.Join(dir, "kind"), err
}

func stateOf(name string) (state, error) {
	root, err := stateRoot()
	return state(filepath.Join(root, name)), err
}

func (s state) name() string            { return filepath.Base(string(s)) }
func (s state) root() string            { return filepath.Dir(string(s)) }
func (s state) path(p ...string) string { return filepath.Join(append([]string{string(s)}, p...)...) }
func (s state) kubeconfig() string      { return s.path("kubeconfig") }
func (s state) config() string          { return s.path("kind.yaml") }
func (s state) log() string             { return s.path("kind.log") }

// kindName is the cluster's name for kind, and begins the names of its containers: a
// user's own clusters are told apart at sight.
func (s state) kindName() string { return "cutover-" + s.name() }

// spec is spec.json: what the processes of a cluster, and those who clean up after
// it, need to know.
type spec struct {
	Name       string       `json:"name"`
	Nodes      int          `json:"nodes"`
	Image      string       `json:"image"`      // of the nodes
	Executable string       `json:"executable"` // the cutover program
	Docker     string       `json:"docker"`     // the engine's own command
	Grant      engine.Grant `json:"grant"`      // what the engine gives to a node
	Owned      bool         `json:"owned"`      // ends with the process that made it
	Made       bool         `json:"made"`       // it was ready once
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
	aside := s.path(".spec.json")
	if err := os.WriteFile(aside, data, 0o600); err != nil {
		return err
	}
	return os.Rename(aside, s.path("spec.json"))
}

const (
	lockName   = "lock"
	makersName = "makers" // whoever makes the cluster has a lock on it, and all that he started
	newState   = ".new-"  // begins the name of a folder that is not a cluster's yet
)

// create makes the folder of a new cluster, which is this process's until release is
// called, or the process ends. It comes to its place locked, so that nobody takes it
// for a dead one's.
func (s state) create(sp spec) (release func(), err error) {
	aside, err := makeAside(s.root())
	if err != nil {
		return nil, err
	}
	release, err = aside.lock()
	if err == nil {
		err = aside.write(sp)
	}
	if err == nil {
		err = os.Rename(string(aside), string(s))
	}
	if err == nil {
		return release, nil
	}
	if release != nil {
		release()
	}
	if errors.Is(err, fs.ErrExist) || errors.Is(err, unix.ENOTEMPTY) {
		err = fmt.Errorf("a cluster named %s exists already; use it with --name %s, take it down with `cutover cluster down --cluster kind --name %s`, or choose another name", s.name(), s.name(), s.name())
	}
	return nil, errors.Join(err, os.RemoveAll(string(aside)))
}

// makeAside makes a folder below the root, which the last cluster may take along at
// any moment.
func makeAside(root string) (state, error) {
	for {
		if err := os.MkdirAll(root, 0o700); err != nil {
			return "", err
		}
		aside, err := os.MkdirTemp(root, newState)
		if !errors.Is(err, fs.ErrNotExist) {
			return state(aside), err
		}
	}
}

// lock takes the folder, or fails at once with EWOULDBLOCK if somebody has it. The
// kernel lets go of it when its holder ends, by whatever end.
func (s state) lock() (release func(), err error) {
	file, err := os.OpenFile(s.path(lockName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		file.Close()
		return nil, fmt.Errorf("lock %s: %w", s.path(lockName), err)
	}
	return func() { file.Close() }, nil
}

// joinMakers returns what holds the state's makers off from an end: whoever inherits
// the file shares the lock, and the kernel lets go of it when the last of them ended.
func (s state) joinMakers() (*os.File, error) {
	file, err := os.OpenFile(s.path(makersName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_SH); err != nil {
		file.Close()
		return nil, fmt.Errorf("lock %s: %w", s.path(makersName), err)
	}
	return file, nil
}

// awaitMakers returns when nobody makes anything of the cluster any more.
func (s state) awaitMakers(ctx context.Context) error {
	file, err := os.OpenFile(s.path(makersName), os.O_CREATE|os.O_RDWR, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // with the state
	}
	if err != nil {
		return err
	}
	defer file.Close()
	err = wait.PollUntilContextCancel(ctx, pollEvery, true, func(context.Context) (bool, error) {
		err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if errors.Is(err, unix.EWOULDBLOCK) {
			return false, nil
		}
		return err == nil, err
	})
	if err != nil {
		return fmt.Errorf("somebody still makes cluster %s: %w", s.name(), err)
	}
	return nil
}

// held reports whether somebody has the folder.
func (s state) held() bool {
	release, err := s.lock()
	if err == nil {
		release()
	}
	return errors.Is(err, unix.EWOULDBLOCK)
}

// remove deletes the folder, and the one above it once it is empty.
func (s state) remove() error {
	if err := os.RemoveAll(string(s)); err != nil {
		return err
	}
	err := os.Remove(s.root())
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTEMPTY) || errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

// states lists the folders below the root: of clusters, and such as were to become
// one.
func states(root string) ([]state, error) {
	entries, err := os.ReadDir(root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var all []state
	for _, entry := range entries {
		if entry.IsDir() && (cluster.CheckName(entry.Name()) == nil || strings.HasPrefix(entry.Name(), newState)) {
			all = append(all, state(filepath.Join(root, entry.Name())))
		}
	}
	return all, err
}
