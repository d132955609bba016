package agent

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
	"k8s.io/apimachinery/pkg/types"
)

// node is a network namespace that plays a node, with pods behind veths as a
// routed pod network has them. Nothing of it touches the machine's own network.
type node struct {
	t  *testing.T
	ns netns.NsHandle
}

// netnsPod is a pod of a node.
type netnsPod struct {
	Pod
	ns netns.NsHandle
}

func newNode(t *testing.T) *node {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root: it makes network namespaces")
	}
	n := &node{t: t, ns: newNetns(t)}
	inNetns(t, n.ns, func() error { return up("lo") })
	return n
}

func newNetns(t *testing.T) netns.NsHandle {
	t.Helper()
	made := make(chan netns.NsHandle)
	go func() {
		runtime.LockOSThread() // the thread ends with the goroutine
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			made <- netns.None()
			return
		}
		ns, _ := netns.Get()
		made <- ns
	}()
	ns := <-made
	if !ns.IsOpen() {
		t.Skip("cannot make network namespaces here")
	}
	t.Cleanup(func() { ns.Close() })
	return ns
}

// inNetns runs fn on a thread that is in the namespace.
func inNetns(t *testing.T, ns netns.NsHandle, fn func() error) {
	t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		if err := netns.Set(ns); err != nil {
			done <- err
			return
		}
		done <- fn()
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func up(name string) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	return netlink.LinkSetUp(link)
}

// pod adds the n-th pod: 10.9.0.n behind a veth of its own, the node at 10.9.255.1.
func (n *node) pod(number int) netnsPod {
	n.t.Helper()
	p := netnsPod{ns: newNetns(n.t)}
	p.IP = netip.AddrFrom4([4]byte{10, 9, 0, byte(number)})
	p.UID = types.UID(fmt.Sprintf("pod-%d", number))
	name := fmt.Sprintf("veth%d", number)
	inNetns(n.t, n.ns, func() error {
		attrs := netlink.LinkAttrs{Name: name}
		if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: "eth0", PeerNamespace: netlink.NsFd(p.ns)}); err != nil {
			return err
		}
		link, err := netlink.LinkByName(name)
		if err != nil {
			return err
		}
		if err := netlink.AddrAdd(link, &netlink.Addr{IPNet: host("10.9.255.1")}); err != nil {
			return err
		}
		if err := netlink.LinkSetUp(link); err != nil {
			return err
		}
		return netlink.RouteAdd(&netlink.Route{LinkIndex: link.Attrs().Index, Dst: host(p.IP.String()), Scope: netlink.SCOPE_LINK})
	})
	inNetns(n.t, p.ns, func() error {
		if err := up("lo"); err != nil {
			return err
		}
		link, err := netlink.LinkByName("eth0")
		if err != nil {
			return err
		}
		if err := netlink.AddrAdd(link, &netlink.Addr{IPNet: host(p.IP.String())}); err != nil {
			return err
		}
		if err := netlink.LinkSetUp(link); err != nil {
			return err
		}
		if err := netlink.RouteAdd(&netlink.Route{LinkIndex: link.Attrs().Index, Dst: host("10.9.255.1"), Scope: netlink.SCOPE_LINK}); err != nil {
			return err
		}
		return carrier("eth0")
	})
	inNetns(n.t, n.ns, func() error { return carrier(name) })
	return p
}

// carrier waits until the link carries packets: a fresh veth drops the first ones,
// and a lost SYN costs a second.
func carrier(name string) error {
	for range 1000 {
		link, err := netlink.LinkByName(name)
		if err != nil {
			return err
		}
		if link.Attrs().OperState == netlink.OperUp {
			return nil
		}
		time.Sleep(time.Millisecond)
	}
	return fmt.Errorf("%s does not come up", name)
}

func host(ip string) *net.IPNet {
	return &net.IPNet{IP: net.ParseIP(ip).To4(), Mask: net.CIDRMask(32, 32)}
}

// serve echoes what it gets on the pod's port 7.
func (p netnsPod) serve(t *testing.T, handle func(net.Conn)) {
	t.Helper()
	var listener net.Listener
	inNetns(t, p.ns, func() (err error) {
		listener, err = net.Listen("tcp4", p.IP.String()+":7")
		return err
	})
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go handle(conn)
		}
	}()
}

func echo(conn net.Conn) {
	_, _ = io.Copy(conn, conn)
	conn.Close()
}

func (n *node) dial(p netnsPod) net.Conn {
	n.t.Helper()
	var conn net.Conn
	inNetns(n.t, n.ns, func() (err error) {
		dialer := net.Dialer{Timeout: 10 * time.Second}
		conn, err = dialer.Dial("tcp4", p.IP.String()+":7")
		return err
	})
	n.t.Cleanup(func() { conn.Close() })
	return conn
}

func (n *node) driver() *queueDriver {
	n.t.Helper()
	d, err := newQueueDriver(int(n.ns))
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() {
		if err := d.Sweep(context.Background()); err != nil {
			n.t.Error(err)
		}
	})
	return d
}

// wait sets how long a connection waits from now on.
func wait(t *testing.T, deadline func(time.Time) error, d time.Duration) {
	t.Helper()
	if err := deadline(time.Now().Add(d)); err != nil {
		t.Fatal(err)
	}
}

// roundTrip is how long one byte takes there and back.
func roundTrip(t *testing.T, conn net.Conn) time.Duration {
	t.Helper()
	wait(t, conn.SetDeadline, 20*time.Second)
	began := time.Now()
	if _, err := conn.Write([]byte{1}); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	return time.Since(began)
}
