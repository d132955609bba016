package inside

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// Cluster is one in whose network programs of this machine can run.
type Cluster interface {
	// Entrance is what nsenter needs to be told to enter the network.
	Entrance() []string
	// ListenInside opens a TCP listener on a free port of that network's 127.0.0.1.
	ListenInside(ctx context.Context) (net.Listener, error)
}

// Program is a program to be run.
type Program struct {
	Path string   `json:"path"` // absolute
	Args []string `json:"args"` // without the program's own name
	Dir  string   `json:"dir"`  // absolute
	Env  []string `json:"env"`  // all that it has
	// Resolver is the file, by its absolute path, that it has as /etc/resolv.conf.
	Resolver string `json:"resolver"`

	Stdout, Stderr io.Writer `json:"-"`
}

// Process is a program that was started.
type Process struct {
	command *exec.Cmd
	held    io.WriteCloser // its end is the program's
	ended   chan struct{}
	code    int
	err     error
	once    sync.Once
}

// Command is the command of the cutover program that [Init] serves.
const Command = "inside"

// Start starts the program in the cluster's network. executable is the cutover
// program. When ctx ends, so does the program.
func Start(ctx context.Context, in Cluster, executable string, program Program) (*Process, error) {
	arguments := append(in.Entrance(), "--", "unshare", "--mount", "--pid", "--fork", "--kill-child", "--", executable, Command)
	command := exec.CommandContext(ctx, "nsenter", arguments...)
	// Not ours: the program could read it.
	command.Env = []string{"PATH=" + os.Getenv("PATH")}
	command.Stdout, command.Stderr = program.Stdout, program.Stderr
	command.WaitDelay = 5 * time.Second
	stdin, err := command.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := command.Start(); err != nil {
		return nil, fmt.Errorf("start %s in the cluster's network, by nsenter and unshare, which are parts of util-linux: %w", program.Path, err)
	}
	p := &Process{command: command, held: stdin, ended: make(chan struct{})}
	told := json.NewEncoder(stdin).Encode(program)
	go p.collect()
	if told != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", program.Path, told), p.Kill())
	}
	return p, nil
}

func (p *Process) collect() {
	defer close(p.ended)
	err := p.command.Wait()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit) && exit.Exited():
		p.code = exit.ExitCode()
	case errors.As(err, &exit):
		p.code = killed
	default:
		p.err = err
	}
}

// killed is the exit code of what was killed, as shells have it.
const killed = 128 + 9

// Wait returns the exit code once nothing of the program runs any more. What a signal
// ended has 128 and the signal's number.
func (p *Process) Wait() (code int, err error) {
	<-p.ended
	return p.code, p.err
}

// Ended is closed once nothing of the program runs any more.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// Interrupt asks the program, and what it has started in its own process group, to end
// (SIGTERM), as a runner does whose job is cancelled.
func (p *Process) Interrupt() error {
	return json.NewEncoder(p.held).Encode(signal{syscall.SIGTERM})
}

// Kill ends the program and all that it started at once, and returns when nothing of
// it runs any more. What has ended is left.
func (p *Process) Kill() error {
	var err error
	p.once.Do(func() { err = p.held.Close() })
	<-p.ended
	if errors.Is(err, os.ErrClosed) {
		return nil
	}
	return err
}
