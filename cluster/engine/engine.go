package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
)

// Run runs the engine's command and returns what it printed, without the last line's
// end. An error carries the arguments and what the command complained of.
func Run(ctx context.Context, arguments ...string) (string, error) {
	return run(exec.CommandContext(ctx, "docker", arguments...))
}

// Feed runs the engine's command with input, and returns what it printed.
func Feed(ctx context.Context, input io.Reader, arguments ...string) (string, error) {
	command := exec.CommandContext(ctx, "docker", arguments...)
	command.Stdin = input
	return run(command)
}

func run(command *exec.Cmd) (string, error) {
	var printed, said strings.Builder
	command.Stdout, command.Stderr = &printed, &said
	err := command.Run()
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return "", fmt.Errorf("there is no docker command: install Docker, or put its command in PATH: %w", err)
	case err != nil:
		return "", fmt.Errorf("%s: %w\n%s", strings.Join(command.Args, " "), err, strings.TrimSpace(said.String()))
	}
	return strings.TrimSuffix(printed.String(), "\n"), nil
}

// Lines splits what the command printed; nothing printed is no line.
func Lines(printed string) []string {
	if printed == "" {
		return nil
	}
	return strings.Split(printed, "\n")
}
