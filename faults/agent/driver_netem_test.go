package agent

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// The expirer is this binary again.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == ExpireCommand {
		if err := Expire(context.Background(), os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// inhabit puts a process into the pod, as a container is.
func (p netnsPod) inhabit(t *testing.T) {
	t.Helper()
	ctx, kill := context.WithCancel(context.Background())
	process := exec.CommandContext(ctx, "sleep", "60")
	inNetns(t, p, process.Start)
	t.Cleanup(func() { kill(); _ = process.Wait() })
}

func TestFindPod(t *testing.T) {
	n := newNode(t)
	p := n.pod(2)
	p.inhabit(t)
	where, err := findPod(p.IP)
	if err != nil {
		t.Fatal(err)
	}
	defer where.ns.Close()
	if !where.ns.Equal(netns.NsHandle(p.Fd())) || where.link < 2 {
		t.Errorf("found %v, want the pod's eth0 in %d", where, p.Fd())
	}
	if _, err := findPod(netip.MustParseAddr("10.9.0.77")); err == nil {
		t.Error("a pod that does not exist was found")
	}
}

func TestExpirerWaitsForItsTimeInAProcessOfItsOwn(t *testing.T) {
	n := newNode(t)
	p := n.pod(2)
	p.inhabit(t)
	where, err := findPod(p.IP)
	if err != nil {
		t.Fatal(err)
	}
	defer where.ns.Close()
	began := time.Now()
	process, err := startExpirer(where, netemHandle("fault"), began.Add(500*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	if session, _ := unix.Getsid(process.Pid); session != process.Pid {
		t.Errorf("the expirer is in session %d, not in one of its own", session)
	}
	for unix.Kill(process.Pid, 0) == nil && time.Since(began) < 10*time.Second {
		time.Sleep(5 * time.Millisecond)
	}
	if took := time.Since(began); took < 500*time.Millisecond || took > 9*time.Second {
		t.Errorf("it ended after %v", took)
	}
}

func TestExpireHealsEarlyWhenItIsStopped(t *testing.T) {
	n := newNode(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := expire(ctx, podLink{netns.NsHandle(n.Fd()), 1}, netemHandle("fault"), time.Now().Add(time.Hour)); err != nil {
		t.Error(err)
	}
	if err := expire(ctx, podLink{netns.NsHandle(n.Fd()), 99}, netemHandle("fault"), time.Now()); err != nil {
		t.Errorf("a link that is gone: %v", err)
	}
	for _, bad := range [][]string{nil, {"1", "2"}, {"x", "1", "1"}} {
		if Expire(ctx, bad) == nil {
			t.Errorf("Expire(%q) is accepted", bad)
		}
	}
}

func TestNetemHandlesAreOurs(t *testing.T) {
	if h := netemHandle("a"); !isOurs(h) || h == netemHandle("b") {
		t.Errorf("handle %x", h)
	}
	if isOurs(0x10000) || isOurs(0) {
		t.Error("1: and 0: are others'")
	}
}

// On a kernel with netem the whole of the driver runs.
func TestNetemDelays(t *testing.T) {
	n := newNode(t)
	if err := tryNetem(); err != nil {
		t.Skip(err)
	}
	p := n.pod(2)
	p.inhabit(t)
	p.serve(t, echo)
	conn := n.dial(p)
	d := newNetemDriver()
	apply(t, d, "fault", Delay{Latency: 50 * time.Millisecond}, p, time.Minute)
	if got := roundTrip(t, conn); got < 50*time.Millisecond {
		t.Errorf("%v under the fault", got)
	}
	heal(t, d, "fault")
	if got := roundTrip(t, conn); got > 40*time.Millisecond {
		t.Errorf("%v after healing", got)
	}
}
