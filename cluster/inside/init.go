package inside

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// cannotStart is the exit code of a program that could not be started, as shells have
// it.
const cannotStart = 126

// signal asks for one to be sent to the program and what it has started, as a
// terminal does.
type signal struct {
	Number syscall.Signal `json:"number"`
}

// Init is the first process of a program's namespace: it reads from in which program
// it is to start, starts it, and sends it the signals that in asks for. It returns the
// exit code to end with, or ends the process itself when in does. With it the kernel
// ends all others.
func Init(in io.Reader) (code int, err error) {
	decoder := json.NewDecoder(in)
	var program Program
	if err := decoder.Decode(&program); err != nil {
		return cannotStart, fmt.Errorf("which program is to run was not said: %w", err)
	}
	started := make(chan *os.Process, 1)
	go func() {
		for next := (signal{}); decoder.Decode(&next) == nil; {
			program := <-started
			_ = syscall.Kill(-program.Pid, next.Number) // it may have ended
			started <- program
		}
		os.Exit(killed) //nolint:forbidigo // nothing to unwind: the kernel ends all that runs in here
	}()
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return cannotStart, fmt.Errorf("mount /proc: %w", err)
	}
	if err := unix.Mount(program.Resolver, "/etc/resolv.conf", "", unix.MS_BIND, ""); err != nil {
		return cannotStart, fmt.Errorf("have the cluster's DNS in /etc/resolv.conf, which must be a file: %w", err)
	}
	nothing, err := os.Open(os.DevNull)
	if err != nil {
		return cannotStart, err
	}
	first, err := os.StartProcess(program.Path, append([]string{program.Path}, program.Args...), &os.ProcAttr{
		Dir: program.Dir, Env: program.Env, Files: []*os.File{nothing, os.Stdout, os.Stderr}, Sys: &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return cannotStart, fmt.Errorf("%w%s", err, hint(err))
	}
	started <- first
	status, err := Reap(first.Pid)
	switch {
	case err != nil:
		return cannotStart, err
	case status.Signaled():
		return 128 + int(status.Signal()), nil
	}
	return status.ExitStatus(), nil
}

// hint says what is usually wrong with a script that cannot be started.
func hint(err error) string {
	switch {
	case errors.Is(err, unix.EACCES):
		return ": make it executable (chmod +x)"
	case errors.Is(err, unix.ENOEXEC):
		return ": begin it with a line such as #!/bin/sh"
	case errors.Is(err, unix.ENOENT):
		return ": it is not there, or the program in its first line is not"
	}
	return ""
}

// Reap collects children until the given one has ended, which is the work of the first
// process of a process namespace. It returns how that one ended.
func Reap(until int) (syscall.WaitStatus, error) {
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
		case err != nil:
			return status, err
		case pid == until:
			return status, nil
		}
	}
}
