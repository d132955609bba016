package faults

import (
	"fmt"

	"github.com/chaos-mesh/chaos-mesh/api/v1alpha1"

	"github.com/cutover-dev/cutover/faults/train"
)

var _ = register(v1alpha1.KindNetworkChaos, string(v1alpha1.CorruptAction), parseNetworkCorrupt)

// parseNetworkCorrupt reads the fault that turns over a bit in a part of what the
// pods send.
func parseNetworkCorrupt(spec Spec) (Fault, error) {
	read, lasts, err := parseNetwork(spec, networkShape{
		part: "corrupt", of: &v1alpha1.CorruptSpec{}, keys: []string{"corrupt", "correlation"},
		example: `corrupt: {corrupt: "30"}`, directions: onlyTo,
	})
	if err != nil {
		return nil, err
	}
	percent, err := percentage("corrupt.corrupt", read.Corrupt.Corrupt)
	if err != nil {
		return nil, err
	}
	if err := correlation("corrupt.correlation", read.Corrupt.Correlation); err != nil {
		return nil, err
	}
	// A bit of the headers makes the kernel drop the packet: nine in ten are of the
	// echo, at its size, and come back damaged.
	by := &echoes{percent: percent, what: "came back damaged", count: func(r train.Result) int { return r.Damaged }}
	return network(fmt.Sprintf("NetworkChaos corrupt %s %%", read.Corrupt.Corrupt), read, lasts, by)
}
