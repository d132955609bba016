package faults

import (
	"fmt"

	"github.com/chaos-mesh/chaos-mesh/api/v1alpha1"

	"github.com/cutover-dev/cutover/faults/train"
)

var _ = register(v1alpha1.KindNetworkChaos, string(v1alpha1.DuplicateAction), parseNetworkDuplicate)

// parseNetworkDuplicate reads the fault that sends a part of what the pods send
// twice.
func parseNetworkDuplicate(spec Spec) (Fault, error) {
	read, lasts, err := parseNetwork(spec, networkShape{
		part: "duplicate", of: &v1alpha1.DuplicateSpec{}, keys: []string{"duplicate", "correlation"},
		example: `duplicate: {duplicate: "30"}`, directions: onlyTo,
	})
	if err != nil {
		return nil, err
	}
	percent, err := percentage("duplicate.duplicate", read.Duplicate.Duplicate)
	if err != nil {
		return nil, err
	}
	if err := correlation("duplicate.correlation", read.Duplicate.Correlation); err != nil {
		return nil, err
	}
	by := &echoes{percent: percent, what: "came back twice", count: func(r train.Result) int { return r.Again }}
	return network(fmt.Sprintf("NetworkChaos duplicate %s %%", read.Duplicate.Duplicate), read, lasts, by)
}
