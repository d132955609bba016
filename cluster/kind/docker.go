package kind

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/cutover-dev/cutover/cluster/engine"
)

// Labels of our containers. A cluster belongs to a folder of states, so that two
// users of one engine do not clean up after each other.
const (
	clusterLabel = "dev.cutover.cluster"
	stateLabel   = "dev.cutover.state"
)

// wrapper is the folder with our docker command, which is put before the others.
func (s state) wrapper() string { return s.path("bin") }

// writeWrapper writes a docker command that is this program in the role of
// [RunDocker].
func (s state) writeWrapper(executable string) error {
	if err := os.MkdirAll(s.wrapper(), 0o700); err != nil {
		return err
	}
	script := fmt.Sprintf("#!/bin/sh\nexec %s cluster kind-docker %s \"$@\"\n", quote(executable), quote(string(s)))
	return os.WriteFile(s.path("bin", "docker"), []byte(script), 0o700)
}

// quote makes one word of a path for the shell.
func quote(path string) string { return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'" }

// RunDocker is the engine's command as kind finds it: the arguments are the folder of
// the cluster's state and what kind would have docker do. It does not return if all
// is well.
func RunDocker(arguments []string) error {
	if len(arguments) == 0 {
		return fmt.Errorf("the folder of a cluster is missing")
	}
	s := state(arguments[0])
	sp, err := s.read()
	if err != nil {
		return err
	}
	rewritten := rewrite(arguments[1:], sp.Grant, s.labels())
	if len(rewritten) > 0 && rewritten[0] == "run" {
		// The engine makes the container whether or not somebody waits for it. Who takes
		// the cluster down is to know when it is there: this command is not killed with the
		// maker's group, and its lock is waited for.
		if err := unix.Setpgid(0, 0); err != nil {
			return os.NewSyscallError("setpgid", err)
		}
	}
	return fmt.Errorf("%s: %w", sp.Docker, syscall.Exec(sp.Docker, append([]string{"docker"}, rewritten...), os.Environ()))
}

// labels are those of the cluster's containers.
func (s state) labels() []string {
	return []string{"--label", clusterLabel + "=" + s.name(), "--label", stateLabel + "=" + s.root()}
}

// privileged is how kind asks for everything.
const privileged = "--privileged"

// rewrite changes a command for docker so that a container which it starts is
// labelled, and asks for what the engine can grant. A command inside of a container
// has what the container has.
func rewrite(arguments []string, grant engine.Grant, labels []string) []string {
	if len(arguments) == 0 {
		return arguments
	}
	rest := slices.Clone(arguments[1:])
	switch arguments[0] {
	case "run":
		if at := slices.Index(rest, privileged); at >= 0 {
			rest = slices.Replace(rest, at, at+1, grant.Arguments()...)
		}
		rest = append(slices.Clone(labels), rest...)
	case "exec":
		if len(rest) > 0 && rest[0] == privileged && !grant.Full {
			rest = rest[1:]
		}
	}
	return append([]string{arguments[0]}, rest...)
}
