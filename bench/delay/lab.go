package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/cutover-dev/cutover/faults/agent/nettest"
)

// lab is a node with one pod and the driver that is to delay what the pod sends.
type lab struct {
	node   *nettest.Node
	pod    *nettest.Pod
	server *server
}

func newLab(ctx context.Context, driver string) (*lab, error) {
	node, err := nettest.NewNode()
	if err != nil {
		return nil, err
	}
	pod, err := node.AddPod(ctx, 2)
	if err != nil {
		return nil, errors.Join(err, node.Close())
	}
	server, err := startServer(ctx, node, driver)
	if err != nil {
		return nil, errors.Join(err, pod.Close(), node.Close())
	}
	return &lab{node, pod, server}, nil
}

func (l *lab) close() error {
	return errors.Join(l.server.close(), l.pod.Close(), l.node.Close())
}

// connect makes a TCP connection between the node and its pod.
func (l *lab) connect(ctx context.Context) (atNode, atPod *os.File, err error) {
	var listener net.Listener
	err = l.pod.Do(func() (err error) {
		listener, err = new(net.ListenConfig).Listen(ctx, "tcp4", net.JoinHostPort(l.pod.IP.String(), "7"))
		return err
	})
	if err != nil {
		return nil, nil, fmt.Errorf("listen in the pod: %w", err)
	}
	defer listener.Close()
	var conn net.Conn
	err = l.node.Do(func() (err error) {
		conn, err = new(net.Dialer).DialContext(ctx, "tcp4", listener.Addr().String())
		return err
	})
	if err != nil {
		return nil, nil, fmt.Errorf("connect to the pod: %w", err)
	}
	if atNode, err = blocking(conn); err != nil {
		return nil, nil, err
	}
	if conn, err = listener.Accept(); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("accept in the pod: %w", err), atNode.Close())
	}
	if atPod, err = blocking(conn); err != nil {
		return nil, nil, errors.Join(err, atNode.Close())
	}
	return atNode, atPod, nil
}

// patience is how long a socket waits for anything to come.
const patience = 20 * time.Second

// blocking is a connection whose reads block the thread instead of handing over to
// another: the thread's priority counts then, and no scheduler of Go's.
func blocking(conn net.Conn) (*os.File, error) {
	defer conn.Close()
	file, err := conn.(interface{ File() (*os.File, error) }).File()
	if err != nil {
		return nil, fmt.Errorf("take over a socket: %w", err)
	}
	limit := unix.NsecToTimeval(patience.Nanoseconds())
	if err := unix.SetsockoptTimeval(int(file.Fd()), unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit); err != nil {
		return nil, errors.Join(fmt.Errorf("limit the wait for a socket: %w", err), file.Close())
	}
	return file, nil
}
