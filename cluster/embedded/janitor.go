package embedded

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// Descriptors that a janitor and a sandbox are started with. A pipe's end says
// that its other holder is gone: parent-death signals follow threads, not processes.
const (
	ownerFD    = 3 // janitor: reads EOF when the owning process is gone, or farewell and EOF when it lets go
	readyFD    = 4 // janitor: says "ok" or what went wrong, then closes
	janitorFD  = 3 // sandbox: reads EOF when the janitor is gone
	listenerFD = 4 // sandbox: listener on the host's loopback
)

// farewell is what an owner says to the janitor when the cluster is to outlive it.
const farewell = "go on"

// startJanitor starts the janitor of a cluster as a session of its own, and waits
// until the sandbox is running. The cluster ends when owner is closed, by whatever
// end of this process, unless farewell was written to it before.
func startJanitor(ctx context.Context, s state) (owner io.WriteCloser, err error) {
	ownerRead, ownerWrite, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer ownerRead.Close()
	readyRead, readyWrite, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer readyRead.Close()
	log, err := os.OpenFile(s.log("janitor"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	sp, err := s.read()
	if err != nil {
		return nil, err
	}
	// The janitor must outlive this process: no context may end it.
	janitor := exec.Command(sp.Executable, "cluster", "janitor", string(s)) //nolint:noctx // see above
	janitor.Stdout, janitor.Stderr = log, log
	janitor.Dir = "/"
	janitor.ExtraFiles = []*os.File{ownerRead, readyWrite}
	janitor.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = janitor.Start()
	readyWrite.Close()
	if err != nil {
		ownerWrite.Close()
		return nil, fmt.Errorf("start the janitor of cluster %s: %w", s.name(), err)
	}
	go func() { _ = janitor.Wait() }() // collects it if it ends before us; how it ended is in its log
	answer := make(chan string, 1)
	go func() {
		text, _ := io.ReadAll(readyRead)
		answer <- string(text)
	}()
	select {
	case text := <-answer:
		if text != "ok" {
			ownerWrite.Close()
			return nil, fmt.Errorf("cluster %s did not start: %s (log: %s)", s.name(), orElse(text, "its janitor ended"), s.log("janitor"))
		}
	case <-ctx.Done():
		ownerWrite.Close()
		return nil, ctx.Err()
	}
	return ownerWrite, nil
}

func orElse(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

// RunJanitor is the janitor process: it holds a cluster from outside until the
// sandbox ends, is told to end, or loses its owner, and then removes what is left.
// The cluster is named by its folder: whose it is is not to be found out again.
func RunJanitor(folder string) error {
	s := state(folder)
	ready := os.NewFile(readyFD, "ready")
	sp, err := s.read()
	if err != nil {
		return err
	}
	unlock, err := s.lock(janitorLock)
	if err != nil {
		return fmt.Errorf("cluster %s has a janitor already, or is being removed: %w", s.name(), err)
	}
	defer unlock()
	terminate := make(chan os.Signal, 1)
	signal.Notify(terminate, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	sandbox, alive, err := launchSandbox(s, &sp)
	// The sandbox ends when this is closed, as a collected file would be.
	defer runtime.KeepAlive(alive)
	if err != nil {
		fmt.Fprint(ready, err)
		return errors.Join(err, sweep(s))
	}
	fmt.Fprint(ready, "ok")
	ready.Close()
	ended := make(chan error, 1)
	go func() { ended <- sandbox.Wait() }()
	ownerGone := make(chan struct{})
	go func() {
		if said, _ := io.ReadAll(os.NewFile(ownerFD, "owner")); string(said) != farewell {
			close(ownerGone)
		}
	}()
	select {
	case err := <-ended:
		fmt.Fprintln(os.Stderr, "janitor: the sandbox ended:", err)
		return sweep(s)
	case sig := <-terminate:
		fmt.Fprintln(os.Stderr, "janitor: told to end:", sig)
	case <-ownerGone:
		fmt.Fprintln(os.Stderr, "janitor: the owner is gone")
	}
	if err := sandbox.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	if err := <-ended; err != nil {
		fmt.Fprintln(os.Stderr, "janitor: the sandbox ended:", err)
	}
	return sweep(s)
}

// launchSandbox makes the cgroups and clones the sandbox's first process into them
// and into namespaces of its own. The file that it returns is what the sandbox
// knows this process to be alive by.
func launchSandbox(s state, sp *spec) (_ *exec.Cmd, alive *os.File, _ error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it listens at once
	if err != nil {
		return nil, nil, err
	}
	defer listener.Close()
	socket, err := listener.(*net.TCPListener).File()
	if err != nil {
		return nil, nil, err
	}
	defer socket.Close()
	sp.Port = listener.Addr().(*net.TCPAddr).Port
	if sp.Janitor, err = identify(os.Getpid()); err != nil {
		return nil, nil, err
	}
	list, err := hierarchies()
	if err != nil {
		return nil, nil, err
	}
	if !sp.Cgroupless {
		sp.Cgroups, err = makeCgroups(s.name(), list)
	}
	if err := errors.Join(err, s.write(*sp)); err != nil {
		return nil, nil, err
	}
	held, alive, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	defer held.Close()
	sandbox := sp.inner("sandbox", s)
	sandbox.Stdout, sandbox.Stderr = os.Stderr, os.Stderr
	sandbox.Dir = "/"
	sandbox.Env = []string{"PATH=" + insidePrograms + ":" + sandboxPath, "HOME=/tmp"}
	sandbox.ExtraFiles = []*os.File{held, socket}
	sandbox.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWCGROUP,
		Setsid:     true,
	}
	// A cgroup namespace is rooted where its creator stands: step in, clone, step out.
	if err := join(sp.Cgroups); err != nil {
		return nil, nil, err
	}
	if sp.Rootless {
		sp.SingleID, err = startMapped(sandbox)
	} else {
		err = sandbox.Start()
	}
	if !sp.Cgroupless {
		err = errors.Join(err, stepOut(sp.shown(list)))
	}
	if err != nil {
		return nil, nil, fmt.Errorf("start the sandbox; it needs a kernel with namespaces: %w", err)
	}
	if sp.Sandbox, err = identify(sandbox.Process.Pid); err != nil {
		return nil, nil, errors.Join(err, sandbox.Process.Kill())
	}
	return sandbox, alive, s.write(*sp)
}

func stepOut(list []hierarchy) error {
	var homes []string
	for _, h := range list {
		homes = append(homes, h.own)
	}
	return join(homes)
}

// sweep ends what still runs of a cluster and removes what it left on the host.
func sweep(s state) error {
	sp, err := s.read()
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		fmt.Fprintf(os.Stderr, "cluster %s: %v; sweeping without it\n", s.name(), err)
	}
	if err := sp.Sandbox.kill(); err != nil {
		return err
	}
	list, err := hierarchies()
	if err != nil {
		return err
	}
	cgroups := append(sp.Cgroups, strays(s.name(), list)...)
	if err := killMembers(cgroups); err != nil {
		return err
	}
	if err := removeCgroups(cgroups); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	return s.remove(cmp.Or(sp.Executable, self))
}
