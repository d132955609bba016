package image

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// commandError is a command that failed, with what it said.
type commandError struct {
	dir    string
	args   []string
	output string
	err    error
}

// Error can be pasted into a shell to see the failure again.
func (e *commandError) Error() string {
	text := fmt.Sprintf("(cd %s && %s): %v", e.dir, strings.Join(e.args, " "), e.err)
	if e.output != "" {
		text += "\n" + e.output
	}
	return text
}

// Unwrap gives the reason that the system gave.
func (e *commandError) Unwrap() error { return e.err }

// runGo runs the go command and returns its standard output, also when it failed.
func runGo(ctx context.Context, dir string, env []string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	// go passes an interrupt on to its compilers, a kill would leave them running.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 5 * time.Second
	err := cmd.Run()
	switch {
	case err == nil:
		return stdout.Bytes(), nil
	case errors.Is(err, exec.ErrNotFound):
		return nil, fmt.Errorf("the go command is needed to build images from source: install Go and put it in PATH: %w", err)
	case ctx.Err() != nil:
		return nil, fmt.Errorf("go %s was interrupted: %w", args[0], context.Cause(ctx))
	}
	failure := &commandError{dir: dir, args: cmd.Args, output: strings.TrimSpace(stderr.String()), err: err}
	return stdout.Bytes(), failure
}
