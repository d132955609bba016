package faults

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/chaos-mesh/chaos-mesh/api/v1alpha1"
)

// networkShape is how one action of NetworkChaos differs from another in its spec.
type networkShape struct {
	part    string   // the key that has its parameters; "" if it has none
	of      any      // those parameters' type
	keys    []string // that are served of them
	example string
	// directions that are served; the first is the default. Chaos Mesh serves from
	// and both with a target only, but for a partition.
	directions []v1alpha1.Direction
	more       []string // further keys of the spec
}

// onlyTo is the direction of what the pods send.
var onlyTo = []v1alpha1.Direction{v1alpha1.To}

// parseNetwork reads what all actions of NetworkChaos have in common.
func parseNetwork(spec Spec, shape networkShape) (v1alpha1.NetworkChaosSpec, time.Duration, error) {
	var read v1alpha1.NetworkChaosSpec
	keys := append([]string{"action", "direction", "duration", "mode", "value"}, shape.more...)
	if shape.part != "" {
		keys = slices.Insert(keys, 1, shape.part)
	}
	if err := decode(spec.Chaos.Spec, &read, keys...); err != nil {
		return read, 0, err
	}
	if shape.part != "" {
		if err := checkPart(spec.Chaos.Spec, shape.part, shape.of, shape.keys, shape.example); err != nil {
			return read, 0, err
		}
	}
	if read.Direction == "" {
		read.Direction = shape.directions[0]
	}
	if !slices.Contains(shape.directions, read.Direction) {
		return read, 0, fmt.Errorf("chaos.spec.direction: %s is not supported yet for %s: supported is %v (to is what the pods send)",
			read.Direction, read.Action, shape.directions)
	}
	lasts, err := lasting(spec, read.Duration)
	if err != nil {
		return read, 0, err
	}
	return read, lasts, checkMode(&read.PodSelector, v1alpha1.AllMode)
}

// network is the fault of a NetworkChaos.
func network(name string, spec v1alpha1.NetworkChaosSpec, lasts time.Duration, by evidence) (Fault, error) {
	f := &chaos{
		name: name, kind: v1alpha1.KindNetworkChaos, action: string(spec.Action), lasting: lasts, evidence: by,
		object: func(lasting time.Duration, _ Target) chaosObject {
			obj := &v1alpha1.NetworkChaos{Spec: *spec.DeepCopy()}
			obj.Spec.Duration = new(lasting.String())
			return obj
		},
	}
	return f, accept(context.Background(), f.object(lasts, Target{}))
}
