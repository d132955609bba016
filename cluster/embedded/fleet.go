package embedded

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// fleet is the further nodes of a cluster, as the supervisor of node 0 runs them.
type fleet struct {
	mu      sync.Mutex
	running map[node]*machine
}

// machine is the first process of a further node.
type machine struct {
	process *os.Process
	gone    chan struct{} // closed when nothing is left of it
}

// startFleet starts every further node and begins to take orders.
func startFleet() error {
	sp, err := state(insideState).read()
	if err != nil {
		return err
	}
	f := &fleet{running: map[node]*machine{}}
	for _, n := range nodesOf(sp.Nodes)[1:] {
		if err := f.start(n); err != nil {
			return err
		}
	}
	return f.takeOrders(sp.Nodes)
}

// start starts a node; again, it does nothing.
func (f *fleet) start(n node) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.running[n] != nil {
		return nil
	}
	held, connected, err := os.Pipe()
	if err != nil {
		return err
	}
	defer connected.Close()
	defer held.Close()
	first := exec.Command(insideExecutable, "cluster", "machine", n.name()) //nolint:noctx // the cluster's end is its end
	first.Stdout, first.Stderr = os.Stderr, os.Stderr
	first.ExtraFiles = []*os.File{held}
	first.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC,
		Setsid:     true,
	}
	if err := first.Start(); err != nil {
		return fmt.Errorf("start %s: %w", n.name(), err)
	}
	if err := connectNode(n, first.Process.Pid); err != nil {
		return errors.Join(fmt.Errorf("connect %s: %w", n.name(), err), first.Process.Kill(), first.Wait())
	}
	m := &machine{process: first.Process, gone: make(chan struct{})}
	f.running[n] = m
	go func() {
		ended := first.Wait()
		fmt.Fprintf(os.Stderr, "supervisor: %s ended: %v\n", n.name(), errors.Join(ended, f.bury(n)))
		close(m.gone)
	}()
	return nil
}

// bury removes what the kernel leaves of a node that ended.
func (f *fleet) bury(n node) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.running, n)
	failed := disconnectNode(n)
	list, err := hierarchies()
	return errors.Join(failed, err, removeCgroups(strays(n.name(), list)))
}

// stop ends a node as a failing power supply would, and returns when nothing is
// left of it; again, it does nothing.
func (f *fleet) stop(n node) error {
	f.mu.Lock()
	m := f.running[n]
	f.mu.Unlock()
	if m == nil {
		return nil
	}
	if err := m.process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-m.gone
	return nil
}

// firsts are the numbers of the first processes of the further nodes that run, by
// the node's name, as the sandbox counts them.
func (f *fleet) firsts() map[string]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	numbers := map[string]int{}
	for n, m := range f.running {
		numbers[n.name()] = m.process.Pid
	}
	return numbers
}
