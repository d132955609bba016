package train

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/cutover-dev/cutover/faults/agent/nettest"
)

func plan(pods ...netip.Addr) Plan {
	return Plan{Pods: pods, Count: 2000, Size: 900, Rate: 10_000, Wait: 300 * time.Millisecond}
}

func newNode(t *testing.T) *nettest.Node {
	t.Helper()
	n, err := nettest.NewNode()
	if errors.Is(err, unix.EPERM) {
		t.Skip("needs root: it makes network namespaces")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	return n
}

func newPod(t *testing.T, n *nettest.Node, number byte) *nettest.Pod {
	t.Helper()
	p, err := n.AddPod(t.Context(), number)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// run makes the train inside the node.
func run(t *testing.T, n *nettest.Node, p Plan) []Result {
	t.Helper()
	var results []Result
	err := n.Do(func() (err error) {
		results, err = Run(t.Context(), p)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return results
}

func TestAllComesBackFromAPodThatIsWell(t *testing.T) {
	n := newNode(t)
	one, two := newPod(t, n, 1), newPod(t, n, 2)
	results := run(t, n, plan(one.IP, two.IP))
	if len(results) != 2 {
		t.Fatalf("results %+v", results)
	}
	for _, r := range results {
		if r.Sent != 2000 || r.Whole != 2000 || r.Again != 0 || r.Damaged != 0 {
			t.Errorf("%+v", r)
		}
		if r.Took < 190*time.Millisecond {
			t.Errorf("2000 echoes at 10,000 a second took %s", r.Took)
		}
	}
}

// What another node must measure is left to it.
func TestPodsBehindAGatewayAreLeftOut(t *testing.T) {
	n := newNode(t)
	pod := newPod(t, n, 1)
	err := n.Do(func() error {
		return netlink.RouteAdd(&netlink.Route{Dst: netlink.NewIPNet([]byte{10, 10, 0, 0}), Gw: pod.IP.AsSlice()})
	})
	if err != nil {
		t.Fatal(err)
	}
	if results := run(t, n, plan(netip.MustParseAddr("10.10.0.0"), netip.MustParseAddr("10.11.0.1"))); len(results) != 0 {
		t.Errorf("results %+v", results)
	}
}

// The kernel itself drops three in ten of what the pod sends.
func TestLossIsSeen(t *testing.T) {
	n := newNode(t)
	pod := newPod(t, n, 1)
	inside(t, pod, "nft", "add table ip t; add chain ip t out { type filter hook output priority 0; }; add rule ip t out numgen random mod 10 < 3 drop")
	r := run(t, n, plan(pod.IP))[0]
	if lost := r.Sent - r.Whole; lost < 500 || lost > 700 || r.Again != 0 || r.Damaged != 0 {
		t.Errorf("asked for 600 losses: %+v", r)
	}
}

// A token bucket of 1 MB a second, as Chaos Mesh's bandwidth is done.
func TestABandwidthIsSeen(t *testing.T) {
	n := newNode(t)
	pod := newPod(t, n, 1)
	p := Plan{Pods: []netip.Addr{pod.IP}, Count: 1000, Size: 1000 - Headers, Rate: 2000, Wait: time.Second}
	if r := run(t, n, p)[0]; r.Whole != 1000 || r.Took > 700*time.Millisecond {
		t.Errorf("without a limit: %+v", r)
	}
	insideTC(t, pod, "qdisc", "add", "dev", "eth0", "root", "handle", "1:", "tbf", "rate", "1mbps", "burst", "10000", "limit", "20971520")
	// Some are lost: the kernel keeps only so many answers of its own in a queue.
	r := run(t, n, p)[0]
	if rate := float64(r.Whole) * 1000 / r.Took.Seconds(); rate < 0.8e6 || rate > 1.2e6 {
		t.Errorf("1 MB a second is measured as %.0f B a second: %+v", rate, r)
	}
}

func inside(t *testing.T, pod *nettest.Pod, program, script string) {
	t.Helper()
	insideCommand(t, pod, program, script)
}

func insideTC(t *testing.T, pod *nettest.Pod, arguments ...string) {
	t.Helper()
	insideCommand(t, pod, "tc", arguments...)
}

func insideCommand(t *testing.T, pod *nettest.Pod, program string, arguments ...string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Skip("needs " + program)
	}
	err := pod.Do(func() error {
		out, err := exec.Command(program, arguments...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	})
	if err != nil {
		t.Skipf("this kernel cannot do it: %v", err)
	}
}

// trickster is a pod at the other end of a tun: what it answers to the number-th
// request is the test's.
func trickster(t *testing.T, n *nettest.Node, answer func(number int, reply []byte) [][]byte) netip.Addr {
	t.Helper()
	ip := netip.MustParseAddr("10.9.7.7")
	var tun *os.File
	err := n.Do(func() error {
		fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
		if err != nil {
			return err
		}
		request, err := unix.NewIfreq("tun0")
		if err != nil {
			return err
		}
		request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, request); err != nil {
			return err
		}
		tun = os.NewFile(uintptr(fd), "tun")
		link, err := netlink.LinkByName("tun0")
		if err != nil {
			return err
		}
		return errors.Join(netlink.LinkSetTxQLen(link, 5000), netlink.LinkSetUp(link), netlink.AddrAdd(link, &netlink.Addr{IPNet: netlink.NewIPNet([]byte{10, 9, 7, 1})}),
			netlink.RouteAdd(&netlink.Route{LinkIndex: link.Attrs().Index, Dst: netlink.NewIPNet(ip.AsSlice()), Scope: netlink.SCOPE_LINK}))
	})
	if err != nil {
		t.Skipf("needs /dev/net/tun: %v", err)
	}
	t.Cleanup(func() { tun.Close() })
	go func() {
		packet := make([]byte, 2048)
		for number := 0; ; {
			size, err := tun.Read(packet)
			if err != nil {
				return
			}
			if packet[0] != 0x45 || packet[9] != unix.IPPROTO_ICMP || packet[20] != typeRequest {
				continue
			}
			reply := append([]byte(nil), packet[:size]...)
			copy(reply[12:16], packet[16:20])
			copy(reply[16:20], packet[12:16])
			reply[20] = typeReply
			binary.BigEndian.PutUint16(reply[22:], 0)
			binary.BigEndian.PutUint16(reply[22:], checksum(reply[20:]))
			for _, out := range answer(number, reply) {
				if _, err := tun.Write(out); err != nil {
					return
				}
			}
			number++
		}
	}()
	return ip
}

func TestWhatComesBackIsTold(t *testing.T) {
	for _, row := range []struct {
		name                        string
		answer                      func(number int, reply []byte) [][]byte
		whole, again, damaged, lost int
	}{
		{"all is well", func(_ int, reply []byte) [][]byte { return [][]byte{reply} }, 2000, 0, 0, 0},
		{"nothing comes", func(int, []byte) [][]byte { return nil }, 0, 0, 0, 2000},
		{"every fourth is lost", func(number int, reply []byte) [][]byte {
			if number%4 == 0 {
				return nil
			}
			return [][]byte{reply}
		}, 1500, 0, 0, 500},
		{"every fifth comes twice", func(number int, reply []byte) [][]byte {
			if number%5 == 0 {
				return [][]byte{reply, reply}
			}
			return [][]byte{reply}
		}, 2000, 400, 0, 0},
		{"a bit of every tenth is turned over", func(number int, reply []byte) [][]byte {
			if number%10 == 0 {
				reply[20+headerSize+number%900] ^= 1 << (number % 8)
			}
			return [][]byte{reply}
		}, 1800, 0, 200, 0},
		{"even of its mark", func(number int, reply []byte) [][]byte {
			if number%10 == 0 {
				reply[20+headerSize] ^= 1
			}
			return [][]byte{reply}
		}, 1800, 0, 200, 0},
		{"others' echoes come in between", func(_ int, reply []byte) [][]byte {
			other := append([]byte(nil), reply...)
			other[20+headerSize] ^= 0xff
			binary.BigEndian.PutUint16(other[22:], 0)
			binary.BigEndian.PutUint16(other[22:], checksum(other[20:]))
			return [][]byte{other, reply}
		}, 2000, 0, 0, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			n := newNode(t)
			p := plan(trickster(t, n, row.answer))
			p.Rate = 5000 // a tun's queue is short
			r := run(t, n, p)[0]
			if r.Whole != row.whole || r.Again != row.again || r.Damaged != row.damaged || r.Sent-r.Whole-r.Damaged != row.lost {
				t.Errorf("%+v, want %d whole, %d again, %d damaged, %d lost", r, row.whole, row.again, row.damaged, row.lost)
			}
		})
	}
}

func TestPlansAndResultsGoThroughTexts(t *testing.T) {
	want := plan(netip.MustParseAddr("10.1.2.3"))
	got, err := ParsePlan(want.Argument())
	if err != nil || got.Argument() != want.Argument() {
		t.Errorf("%+v, %v", got, err)
	}
	for _, bad := range []string{"", "{}", `{"count":1,"rate":0,"size":100}`, `{"count":1,"rate":1,"size":9000}`, `{"count":1,"rate":1,"size":1}`} {
		if _, err := ParsePlan(bad); err == nil {
			t.Errorf("plan %q is accepted", bad)
		}
	}
	if _, err := ParseResults("usage: ..."); err == nil {
		t.Error("results that are none are accepted")
	}
}

func FuzzCount(f *testing.F) {
	e := echo{mark: [8]byte{1, 2, 3}}
	whole := make([]byte, headerSize+100)
	e.write(whole, 3)
	f.Add(whole)
	f.Add([]byte{0})
	f.Fuzz(func(_ *testing.T, reply []byte) {
		t := &train{plan: Plan{Count: 10, Size: 100}, echo: e, back: make([]bool, 10)}
		t.count(reply, time.Time{})
	})
}
