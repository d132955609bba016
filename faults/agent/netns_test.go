package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"k8s.io/apimachinery/pkg/types"

	"github.com/cutover-dev/cutover/faults/agent/nettest"
)

// node is a node of network namespaces that ends with its test.
type node struct {
	*nettest.Node
	t *testing.T
}

// netnsPod is a pod of a node.
type netnsPod struct {
	*nettest.Pod
	as Pod // what a driver knows of it
}

func newNode(t *testing.T) *node {
	t.Helper()
	n, err := nettest.NewNode()
	if errors.Is(err, unix.EPERM) {
		t.Skip("needs root: it makes network namespaces")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	return &node{n, t}
}

// pod adds the n-th pod: 10.9.0.n.
func (n *node) pod(number byte) netnsPod {
	n.t.Helper()
	p, err := n.AddPod(n.t.Context(), number)
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { p.Close() })
	return netnsPod{p, Pod{UID: types.UID(fmt.Sprintf("pod-%d", number)), IP: p.IP}}
}

func inNetns(t *testing.T, ns interface{ Do(func() error) error }, fn func() error) {
	t.Helper()
	if err := ns.Do(fn); err != nil {
		t.Fatal(err)
	}
}

// serve echoes what it gets on the pod's port 7.
func (p netnsPod) serve(t *testing.T, handle func(net.Conn)) {
	t.Helper()
	var listener net.Listener
	inNetns(t, p, func() (err error) {
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
	inNetns(n.t, n, func() (err error) {
		dialer := net.Dialer{Timeout: 10 * time.Second}
		conn, err = dialer.Dial("tcp4", p.IP.String()+":7")
		return err
	})
	n.t.Cleanup(func() { conn.Close() })
	return conn
}

func (n *node) driver() *queueDriver {
	n.t.Helper()
	d, err := newQueueDriver(n.Fd())
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
