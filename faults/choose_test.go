package faults

import (
	"slices"
	"testing"

	"github.com/chaos-mesh/chaos-mesh/api/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestChoose(t *testing.T) {
	var living []corev1.Pod
	for _, name := range []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"} {
		living = append(living, corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name}})
	}
	cases := []struct {
		mode     v1alpha1.SelectorMode
		value    string
		min, max int
	}{
		{v1alpha1.AllMode, "", 10, 10},
		{v1alpha1.OneMode, "", 1, 1},
		{v1alpha1.FixedMode, "3", 3, 3},
		{v1alpha1.FixedMode, "30", 10, 10},
		{v1alpha1.FixedPercentMode, "25", 2, 2},
		{v1alpha1.FixedPercentMode, "100", 10, 10},
		{v1alpha1.RandomMaxPercentMode, "50", 0, 5},
	}
	firsts := map[string]bool{}
	for _, example := range cases {
		selector := v1alpha1.PodSelector{Mode: example.mode, Value: example.value}
		for _, draw := range []string{"one", "two", "three", "four", "five", "six"} {
			got, err := Choose(draw, selector, living, nil)
			if err != nil || len(got) < example.min || len(got) > example.max {
				t.Errorf("%s %s: %v, %v", example.mode, example.value, got, err)
			}
			if again, _ := Choose(draw, selector, reversed(living), nil); !slices.Equal(sorted(got), sorted(again)) {
				t.Errorf("%s: %v, then %v: agents would not agree", example.mode, got, again)
			}
			if example.mode == v1alpha1.OneMode {
				firsts[got[0]] = true
			}
		}
	}
	if len(firsts) < 2 {
		t.Errorf("every object takes %v: that is no chance", firsts)
	}
	one := v1alpha1.PodSelector{Mode: v1alpha1.OneMode}
	for _, pod := range living {
		if got, _ := Choose("uid", one, living, map[string]bool{pod.Name: true}); !slices.Equal(got, []string{pod.Name}) {
			t.Errorf("%s was chosen before and %v is now", pod.Name, got)
		}
	}
	if _, err := Choose("uid", v1alpha1.PodSelector{Mode: "some"}, living, nil); err == nil {
		t.Error("an unknown mode is accepted")
	}
}

func reversed(pods []corev1.Pod) []corev1.Pod {
	other := slices.Clone(pods)
	slices.Reverse(other)
	return other
}

func sorted(names []string) []string { return slices.Sorted(slices.Values(names)) }
