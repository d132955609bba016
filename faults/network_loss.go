package faults

import (
	"fmt"

	"github.com/chaos-mesh/chaos-mesh/api/v1alpha1"

	"github.com/cutover-dev/cutover/faults/train"
)

var _ = register(v1alpha1.KindNetworkChaos, string(v1alpha1.LossAction), parseNetworkLoss)

// parseNetworkLoss reads the fault that drops a part of what the pods send.
func parseNetworkLoss(spec Spec) (Fault, error) {
	read, lasts, err := parseNetwork(spec, networkShape{
		part: "loss", of: &v1alpha1.LossSpec{}, keys: []string{"loss", "correlation"}, example: `loss: {loss: "30"}`, directions: onlyTo,
	})
	if err != nil {
		return nil, err
	}
	percent, err := percentage("loss.loss", read.Loss.Loss)
	if err != nil {
		return nil, err
	}
	if err := correlation("loss.correlation", read.Loss.Correlation); err != nil {
		return nil, err
	}
	by := &echoes{percent: percent, what: "did not come back", count: func(r train.Result) int { return r.Sent - r.Whole - r.Damaged }}
	return network(fmt.Sprintf("NetworkChaos loss %s %%", read.Loss.Loss), read, lasts, by)
}
