package agent

import (
	"slices"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

func TestResidueIsWhatNoLivingFaultAsksFor(t *testing.T) {
	n := newNode(t)
	look := func(living ...types.UID) (left []string) {
		t.Helper()
		inNetns(t, n, func() (err error) {
			left, err = Residue(living)
			return err
		})
		return left
	}
	if left := look(); len(left) != 0 {
		t.Errorf("on a node that no fault has touched: %q", left)
	}
	asked, forgotten := types.UID("0b8c7a9e-1111-4222-8333-444455556666"), types.UID("1c9d8baf-1111-4222-8333-444455556666")
	for i, fault := range []types.UID{asked, forgotten} {
		if err := (table{n.Fd()}).put(setName(fault), 1, uint16(i), time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"nftables set " + setName(forgotten) + " of table " + tableName}
	if left := look(asked); !slices.Equal(left, want) {
		t.Errorf("left %q, want %q", left, want)
	}
}
