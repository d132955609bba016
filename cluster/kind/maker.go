package kind

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	kindcluster "sigs.k8s.io/kind/pkg/cluster"
	kindexec "sigs.k8s.io/kind/pkg/exec"
	"sigs.k8s.io/kind/pkg/log"

	"github.com/cutover-dev/cutover/cluster/engine"
)

// make has kind make the cluster of the state, in a process of its own that ends when
// the context does, or when this process has, with all that it started.
func (s state) make(ctx context.Context, sp spec) error {
	return s.run(ctx, sp, "kind-make", string(s))
}

// exportLogs has kind write what it knows of the cluster below the folder.
func (s state) exportLogs(ctx context.Context, sp spec, dir string) error {
	return s.run(ctx, sp, "kind-logs", string(s), dir)
}

// run runs a process of ours that calls kind's library.
func (s state) run(ctx context.Context, sp spec, arguments ...string) error {
	log, err := os.OpenFile(s.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	parent, child, err := os.Pipe()
	if err != nil {
		return err
	}
	defer child.Close()
	makers, err := s.joinMakers()
	if err != nil {
		parent.Close()
		return err
	}
	defer makers.Close()
	process := exec.CommandContext(ctx, sp.Executable, append([]string{"cluster"}, arguments...)...)
	process.Stdin, process.Stdout, process.Stderr = parent, log, log
	process.Env = append(os.Environ(), "PATH="+s.wrapper()+string(os.PathListSeparator)+os.Getenv("PATH"))
	process.ExtraFiles = []*os.File{makers} // inherited by all that it starts
	process.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	process.Cancel = func() error { return unix.Kill(-process.Process.Pid, unix.SIGKILL) }
	err = process.Start()
	parent.Close()
	if err != nil {
		return err
	}
	err = process.Wait()
	if err == nil {
		return nil
	}
	_ = unix.Kill(-process.Process.Pid, unix.SIGKILL) // what it started, if it could not end it
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return fmt.Errorf("kind: %w\n%s", err, s.tail())
}

// tail is the end of what kind said.
func (s state) tail() string {
	const lines = 40
	data, err := os.ReadFile(s.log())
	if err != nil {
		return err.Error()
	}
	said := strings.Split(strings.TrimSpace(string(data)), "\n")
	return strings.Join(said[max(0, len(said)-lines):], "\n")
}

// RunMake is the process that makes a cluster; its argument is the state's folder.
func RunMake(folder string) error {
	s := state(folder)
	return untilOrphaned(func() error {
		if err := s.findGrant(); err != nil {
			return err
		}
		return s.provider().Create(s.kindName(),
			kindcluster.CreateWithConfigFile(s.config()), kindcluster.CreateWithKubeconfigPath(s.kubeconfig()),
			// Whoever asked for the cluster deletes it, having had a look at it.
			kindcluster.CreateWithRetain(true),
			kindcluster.CreateWithDisplayUsage(false), kindcluster.CreateWithDisplaySalutation(false))
	})
}

// findGrant writes down what the engine grants to the nodes. The containers that it
// takes to find out are labelled and waited for like the nodes.
func (s state) findGrant() error {
	sp, err := s.read()
	if err != nil {
		return err
	}
	if sp.Grant, err = engine.Granted(context.Background(), sp.Image); err != nil {
		return err
	}
	return s.write(sp)
}

// RunLogs is the process that writes a cluster's logs; its arguments are the state's
// folder and that of the logs.
func RunLogs(folder, dir string) error {
	s := state(folder)
	return untilOrphaned(func() error { return s.provider().CollectLogs(s.kindName(), dir) })
}

func (s state) provider() *kindcluster.Provider {
	return kindcluster.NewProvider(kindcluster.ProviderWithDocker(), kindcluster.ProviderWithLogger(lines{os.Stderr}))
}

// untilOrphaned calls kind, which cannot be told to stop. When the process that waits
// for it is gone, which closes the standard input, it ends with all that it started.
func untilOrphaned(call func() error) error {
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		_ = unix.Kill(0, unix.SIGKILL) // the group, and this process with it
	}()
	err := call()
	if command := kindexec.RunErrorForError(err); command != nil {
		err = fmt.Errorf("%w\n%s", err, command.Output)
	}
	return err
}

// lines is a log of kind's: a line for each message, with the time.
type lines struct{ out io.Writer }

// verbosity has kind log what kubeadm says.
const verbosity = 3

var _ log.Logger = lines{}

func (l lines) print(message string) {
	fmt.Fprintf(l.out, "%s %s\n", time.Now().UTC().Format("15:04:05.000"), strings.TrimSpace(message))
}

func (l lines) Warn(message string)               { l.print(message) }
func (l lines) Warnf(format string, args ...any)  { l.print(fmt.Sprintf(format, args...)) }
func (l lines) Error(message string)              { l.print(message) }
func (l lines) Errorf(format string, args ...any) { l.print(fmt.Sprintf(format, args...)) }
func (l lines) Info(message string)               { l.print(message) }
func (l lines) Infof(format string, args ...any)  { l.print(fmt.Sprintf(format, args...)) }
func (l lines) Enabled() bool                     { return true }

// V implements log.Logger.
func (l lines) V(level log.Level) log.InfoLogger {
	if level > verbosity {
		return log.NoopInfoLogger{}
	}
	return l
}
