package faults

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"

	"github.com/chaos-mesh/chaos-mesh/api/v1alpha1"
	corev1 "k8s.io/api/core/v1"
)

// Choose returns the pods, by name, that a fault is to be on, out of the living
// ones. Whoever gives the same draw comes to the same choice: chance is a hash of
// it. Those chosen before stay chosen while they live.
func Choose(draw string, selector v1alpha1.PodSelector, living []corev1.Pod, before map[string]bool) ([]string, error) {
	number, err := howMany(draw, selector, len(living))
	if err != nil {
		return nil, err
	}
	var kept, others []string
	for _, pod := range living {
		if before[pod.Name] {
			kept = append(kept, pod.Name)
		} else {
			others = append(others, pod.Name)
		}
	}
	slices.SortFunc(others, func(a, b string) int {
		return cmp.Or(cmp.Compare(lot(draw, a), lot(draw, b)), cmp.Compare(a, b))
	})
	room := max(0, min(number-len(kept), len(others)))
	return append(kept, others[:room]...), nil
}

// howMany of so many living pods Chaos Mesh's mode and value ask for.
func howMany(draw string, selector v1alpha1.PodSelector, living int) (int, error) {
	value := 0
	if selector.Mode != v1alpha1.OneMode && selector.Mode != v1alpha1.AllMode {
		var err error
		if value, err = strconv.Atoi(selector.Value); err != nil {
			return 0, fmt.Errorf("spec.value: mode %s needs a whole number, not %q", selector.Mode, selector.Value)
		}
	}
	switch selector.Mode {
	case v1alpha1.OneMode:
		return min(1, living), nil
	case v1alpha1.AllMode:
		return living, nil
	case v1alpha1.FixedMode:
		return min(value, living), nil
	case v1alpha1.FixedPercentMode:
		return living * value / 100, nil
	case v1alpha1.RandomMaxPercentMode:
		return living * int(lot(draw, "")%uint64(value+1)) / 100, nil
	}
	return 0, fmt.Errorf("spec.mode: unknown mode %q", selector.Mode)
}

func lot(draw, name string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(draw))
	h.Write([]byte{0})
	h.Write([]byte(name))
	return mix(h.Sum64())
}

// mix spreads what FNV leaves alike for names that differ in their last letters
// only (the finaliser of splitmix64).
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
