package bench

import (
	"context"
	"io"
	"os"
	"os/exec"
)

// Again readies this program to be run once more, in a process of its own that does another
// part of a benchmark: neither waits for the other then. Its standard input and output are
// pipes, its errors go where ours go, and it ends with ctx at the latest. It is not started.
func Again(ctx context.Context, args ...string) (cmd *exec.Cmd, in io.WriteCloser, out io.ReadCloser, err error) {
	cmd = exec.CommandContext(ctx, "/proc/self/exe", args...)
	cmd.Stderr = os.Stderr
	if in, err = cmd.StdinPipe(); err != nil {
		return nil, nil, nil, err
	}
	if out, err = cmd.StdoutPipe(); err != nil {
		return nil, nil, nil, err
	}
	return cmd, in, out, nil
}
