package doctor

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"
)

// Status is how a line bears on embedded clusters.
type Status string

const (
	// OK is as it should be.
	OK Status = "ok"
	// Warn costs something, but clusters run.
	Warn Status = "warn"
	// Fail keeps embedded clusters from running at all.
	Fail Status = "fail"
)

// Line is one thing that was looked at.
type Line struct {
	Name    string
	Status  Status
	Meaning string // what was found and what follows from it
	Remedy  string // what to do about it; empty if nothing is to be done
}

// Options says what is known about this machine already.
type Options struct {
	// Cache and State are the folders that built things and running clusters are
	// kept in. They need not exist yet.
	Cache, State string
	// Rootless is what was found of what an ordinary user's clusters need; nil for
	// root.
	Rootless []Line
	// Kind is what was found of what kind clusters need.
	Kind []Line
	// Built says that the components of clusters need not be built here any more,
	// so that the tools to do so may be missing.
	Built bool
	// Unusable is what is wrong with components that were built elsewhere and
	// given to us; nil if there are none, or nothing is wrong.
	Unusable error
}

// patience is how long any one look may take: people wait for the answer.
const patience = 5 * time.Second

// Check looks at everything, all at once, and takes a few seconds at most.
func Check(ctx context.Context, opts Options) []Line {
	return check(ctx, thisMachine(opts))
}

func check(ctx context.Context, m machine) []Line {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	looks := []func(context.Context, machine) Line{
		root, kernel, namespaces, overlay, veth, nftables, queue, netem, cgroups, oomScores,
		inotify, memory, cacheDisk, stateDisk,
		components, golang, compiler, seccomp, nftProgram, iptablesProgram, makeProgram, moduleProxy,
		engine, registry,
	}
	lines := make([]Line, len(looks))
	var all sync.WaitGroup
	for i, look := range looks {
		all.Go(func() { lines[i] = look(ctx, m) })
	}
	all.Wait()
	return slices.Concat(lines, m.options.Kind, m.options.Rootless)
}

// Usable says whether embedded clusters can run here.
func Usable(lines []Line) bool {
	for _, line := range lines {
		if line.Status == Fail {
			return false
		}
	}
	return true
}

// Render writes the lines for people, and what follows from all of them.
func Render(w io.Writer, lines []Line) error {
	width := 0
	for _, line := range lines {
		width = max(width, len(line.Name))
	}
	var text strings.Builder
	for _, line := range lines {
		fmt.Fprintf(&text, "%-4s  %-*s  %s\n", line.Status, width, line.Name, line.Meaning)
		if line.Remedy != "" {
			fmt.Fprintf(&text, "%-4s  %-*s  → %s\n", "", width, "", line.Remedy)
		}
	}
	if Usable(lines) {
		text.WriteString("\nEmbedded clusters can run here.\n")
	} else {
		text.WriteString("\nEmbedded clusters cannot run here until what failed is put right.\n")
	}
	_, err := io.WriteString(w, text.String())
	return err
}
