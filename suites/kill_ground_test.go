package suites_test

import (
	"context"
	"syscall"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/cutover-dev/cutover/cluster/embedded"
	"github.com/cutover-dev/cutover/cluster/kind"
	"github.com/cutover-dev/cutover/cluster/provider"
)

// killGround is what the kill test knows of one sort of cluster. Other clusters may
// live on the machine, so everything is told by the cluster's name, or by what was
// seen of it.
type killGround interface {
	// victims are killed in turn.
	victims() []victim
	// find finds somebody of a cluster; nil if he is not there.
	find(ctx context.Context, victim, cluster string) *prey
	// see notes what a cluster has on its host.
	see(ctx context.Context, cluster string) sighting
	// fate is what docs/safety.md promises for the death of the victim.
	fate(victim, mode string, seen sighting) fate
	// alive reports whether the cluster runs.
	alive(ctx context.Context, cluster string) bool
	// left lists what is left on the host of a cluster that has ended, and of what was
	// seen of it.
	left(ctx context.Context, cluster string, seen sighting, of part) []string
	// leftInside lists what faults have left in the networks of a cluster that runs.
	leftInside(ctx context.Context, cluster string) []string
	// restarts is the namespace of the pods that were restarted for the victim; "" if
	// that is none.
	restarts(victim string) (namespace string)
	// idle is the image of a container that does nothing, which every node has.
	// plant plants one leftover of each sort on the host and sees that each is found.
	plant(ctx SpecContext)
	// plantInside does that in a cluster that runs, with what no other ground has. What
	// is in a namespace of a run is left for a clean-up.
	plantInside(ctx SpecContext, c provider.Cluster)
	// slower is how many times as long as on an embedded cluster a spec may take.
	slower() time.Duration
}

func killGroundOf(sort string) killGround {
	grounds := map[string]killGround{embedded.Provider: embeddedGround{}, kind.Provider: kindGround{}}
	Expect(grounds).To(HaveKey(sort), "the kill test knows no such cluster")
	return grounds[sort]
}

// victim is somebody who can be killed.
type victim struct {
	name  string
	modes []string // of the cluster, in the order in which they take turns
	early bool     // it is there only until the cluster is ready
}

// Victims on every ground.
const (
	victimCLI        = "CLI"
	victimAgent      = "agent"
	victimContainerd = "containerd"
)

// prey is a victim that was found.
type prey struct {
	what string
	kill func() error
}

// preyOf is a process.
func preyOf(pid int) *prey {
	return &prey{processName(pid), func() error { return syscall.Kill(pid, syscall.SIGKILL) }}
}

// sighting is what a cluster had on its host at an instant.
type sighting struct {
	processes  []clusterProcess
	containers []string // their ids
	volumes    []string // theirs
	folders    []string // of the engine's, with their file systems
	made       bool     // it was ready once
}

// part of a cluster on its host, or of what its death leaves.
type part int

const (
	nothing    part = iota
	makers          // processes outside of it that make it
	whatRuns        // and its own processes, and what the kernel removes with them
	everything      // and whatever else it had
)

// fate is what docs/safety.md promises for a death.
type fate struct {
	breaks   bool          // the cluster dies, or never comes up, and a run on it ends with an error
	alone    part          // goes without a clean-up, which removes the rest
	within   time.Duration // how long that takes
	fromKill bool          // it counts from the kill, else from the end of the run
}
