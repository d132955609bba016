package doctor

import (
	"net"
	"os"
	"strings"
	"testing"

	"github.com/google/nftables/expr"
	"github.com/google/nftables/xt"
)

func TestProbesStayAside(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can make namespaces")
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	seen := false
	err = tryAside(func() error {
		if err := addVeth(); err != nil {
			return err
		}
		_, err := net.InterfaceByName(probeLink)
		seen = err == nil
		return mountOverlay()
	})
	if err != nil || !seen {
		t.Fatalf("the probe did not work (link seen: %v): %v", seen, err)
	}
	if _, err := net.InterfaceByName(probeLink); err == nil {
		t.Error("the probe's link is in the host's network")
	}
	if after, err := os.ReadFile("/proc/self/mounts"); err != nil || strings.Count(string(after), "cutover-doctor") != strings.Count(string(mounts), "cutover-doctor") {
		t.Errorf("the probe's mounts are the host's (%v)", err)
	}
}

// A probe that cannot fail would prove nothing.
func TestProbesCanFail(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can make namespaces")
	}
	info := xt.Unknown(make([]byte, 8))
	err := tryAside(func() error { return addRule(&expr.Target{Name: "NOSUCHTARGET", Rev: 3, Info: &info}) })
	if err == nil {
		t.Error("the kernel is said to have a target that does not exist")
	}
}
