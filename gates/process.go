package gates

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// markVariable is in the environment of a command and of all that it starts.
const markVariable = "CUTOVER_MARK"

// handed on of this process's environment: the rest, with its secrets, is nobody's
// business.
var handedOn = []string{"PATH", "HOME", "LANG", "TMPDIR"}

// lingering is how long what a command started may hold its output open after it has
// ended.
const lingering = time.Second

// execute runs a program in a process group of its own, which is killed when ctx
// ends. The error says that it did not run to its end.
func execute(ctx context.Context, dir string, argv []string, env map[string]string) (Exit, error) {
	program := argv[0]
	if strings.ContainsRune(program, filepath.Separator) && !filepath.IsAbs(program) {
		program = filepath.Join(dir, program)
	}
	cmd := exec.CommandContext(ctx, program, argv[1:]...)
	cmd.Dir, cmd.WaitDelay = dir, lingering
	for _, name := range handedOn {
		if value, set := os.LookupEnv(name); set {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(env)) {
		cmd.Env = append(cmd.Env, name+"="+env[name])
	}
	said := &tail{}
	cmd.Stdout, cmd.Stderr = said, said
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	if err := cmd.Start(); err != nil {
		return Exit{}, fmt.Errorf("it cannot be started: %w", err)
	}
	err := cmd.Wait()
	// What it started and left behind ends with it.
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // mostly nobody is left
	exit := Exit{Code: cmd.ProcessState.ExitCode(), Output: said.String()}
	var ended *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return exit, errors.New("it was killed, with all that it started")
	case errors.As(err, &ended) && exit.Code < 0:
		return exit, fmt.Errorf("it was killed: %w", ended)
	case err != nil && !errors.As(err, &ended) && !errors.Is(err, exec.ErrWaitDelay):
		return exit, err
	}
	return exit, nil
}

// tail keeps the last of what is written to it.
type tail struct {
	mu   sync.Mutex
	last []byte
}

// What is kept of an output: bytes, and of those the last lines.
const (
	keptOutput = 4 << 10
	keptLines  = 3
)

// Write implements io.Writer.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last = append(t.last, p...)
	if over := len(t.last) - keptOutput; over > 0 {
		t.last = append([]byte(nil), t.last[over:]...)
	}
	return len(p), nil
}

// String is the last lines, on one.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return LastLines(t.last)
}

// LastLines are the last few lines of an output, on one.
func LastLines(output []byte) string {
	var lines []string
	for line := range bytes.Lines(output) {
		if line = bytes.TrimSpace(line); len(line) > 0 {
			lines = append(lines, shortened(line))
		}
	}
	return strings.Join(lines[max(0, len(lines)-keptLines):], " | ")
}

// KillMarked kills what carries the mark in its environment, and returns when it is
// gone: commands of a run whose process was killed.
func KillMarked(ctx context.Context, mark string) error {
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		left, err := marked(mark)
		if err != nil || len(left) == 0 {
			return err
		}
		for _, pid := range left {
			_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended just now
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("processes %v of gate command %s do not end: %w", left, mark, ctx.Err())
		case <-again.C:
		}
	}
}

// marked lists the living processes that carry the mark. Systems without /proc have
// none to show.
func marked(mark string) ([]int, error) {
	entries, err := os.ReadDir("/proc")
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	var found []int
	for _, e := range entries {
		pid, notPID := strconv.Atoi(e.Name())
		if notPID != nil || pid == os.Getpid() {
			continue
		}
		environ, gone := os.ReadFile(filepath.Join("/proc", e.Name(), "environ"))
		if gone == nil && slices.Contains(strings.Split(string(environ), "\x00"), markVariable+"="+mark) {
			found = append(found, pid)
		}
	}
	return found, err
}
