package main

import (
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
)

// docker runs the container engine's program and gives what it prints.
type docker func(ctx context.Context, arguments ...string) (string, error)

func runDocker(ctx context.Context, arguments ...string) (string, error) {
	command := exec.CommandContext(ctx, "docker", arguments...)
	var said strings.Builder
	command.Stderr = &said
	out, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("docker %s: %w %s", strings.Join(arguments, " "), err, strings.TrimSpace(said.String()))
	}
	return strings.TrimSpace(string(out)), nil
}

// number is a number that the engine prints; 0 if there is none.
func (d docker) number(ctx context.Context, arguments ...string) int {
	text, err := d(ctx, arguments...)
	if err != nil {
		return 0
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0
	}
	return n
}

// nodeImage finds the image of kind's nodes that this machine has, or says why kind
// cannot run. One that is named is taken; otherwise any of kindest/node.
func (d docker) nodeImage(ctx context.Context, named string) (image, missing string) {
	if _, err := d(ctx, "version", "--format", "{{.Server.Version}}"); err != nil {
		return "", fmt.Sprintf("kind was not measured: no container engine answers (%v)", err)
	}
	if named == "" {
		found, err := d(ctx, "image", "ls", "--format", "{{.Repository}}:{{.Tag}}", "kindest/node")
		if err != nil {
			return "", fmt.Sprintf("kind was not measured: %v", err)
		}
		named, _, _ = strings.Cut(found, "\n")
	}
	if named == "" {
		return "", "kind was not measured: this machine has no kindest/node image; pull one, or name another by KIND_NODE_IMAGE"
	}
	if _, err := d(ctx, "image", "inspect", "--format", "{{.Id}}", named); err != nil {
		return "", fmt.Sprintf("kind was not measured: its node image %s is not on this machine; pull it (%v)", named, err)
	}
	return named, ""
}
