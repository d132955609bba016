package embedded

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"

	"golang.org/x/sys/unix"
)

// connectedFD is the descriptor by which a further node's first process learns, by
// EOF, that its link is there.
const connectedFD = 3

// RunMachine is the first process of a further node: a sandbox in the sandbox, with
// a root, a network, processes and cgroups of its own. It arranges these, starts the
// node's supervisor and then only collects orphans. Its end is the node's, as if
// somebody had pulled the plug.
func RunMachine(name string) error {
	outer := state(insideState)
	sp, err := outer.read()
	if err != nil {
		return err
	}
	n, err := parseNode(name, sp.Nodes)
	if err != nil {
		return err
	}
	// A cgroup namespace is rooted where the thread that makes it stands. It is that
	// thread's alone, so all that needs it happens here, the supervisor's start too.
	runtime.LockOSThread()
	list, err := sp.enterCgroup(n)
	if err != nil {
		return fmt.Errorf("%s: cgroups: %w", name, err)
	}
	for _, step := range []struct {
		what string
		do   func() error
	}{
		{"mounts", func() error {
			return enterRoot(outer.node(n), spec{Programs: insidePrograms, Executable: insideExecutable}, list)
		}},
		{"sysctls", coverSysctls},
		{"network", func() error {
			if _, err := io.Copy(io.Discard, os.NewFile(connectedFD, "connected")); err != nil {
				return err
			}
			return joinNetwork(n)
		}},
		{"host name", func() error { return unix.Sethostname([]byte(name)) }},
	} {
		if err := step.do(); err != nil {
			return fmt.Errorf("%s: %s: %w", name, step.what, err)
		}
	}
	supervisor := exec.Command(insideExecutable, "cluster", "supervisor", name) //nolint:noctx // ends with this process
	supervisor.Stdout, supervisor.Stderr = os.Stderr, os.Stderr
	if err := supervisor.Start(); err != nil {
		return err
	}
	return reap(supervisor.Process.Pid)
}

// enterCgroup makes the node's cgroups below the cluster's, if that has any, and
// makes them the root of what is seen from here.
func (sp spec) enterCgroup(n node) ([]hierarchy, error) {
	list, err := hierarchies()
	if err != nil {
		return nil, err
	}
	if !sp.Cgroupless {
		made, err := makeCgroups(n.name(), list)
		if err := errors.Join(err, join(made)); err != nil {
			return nil, err
		}
	}
	return list, unix.Unshare(unix.CLONE_NEWCGROUP)
}
