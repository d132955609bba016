package embedded

import (
	"context"
	"fmt"
	"net"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// dialInside opens a TCP connection from inside a network namespace. The address
// is literal: there is no resolver in there to ask.
func dialInside(ctx context.Context, namespace, address string) (net.Conn, error) {
	if _, err := net.ResolveTCPAddr("tcp", address); err != nil {
		return nil, err
	}
	type result struct {
		conn net.Conn
		err  error
	}
	done := make(chan result, 1)
	go func() {
		// A thread that could not step back is never unlocked: it ends with its
		// goroutine and nobody else runs in the wrong network.
		runtime.LockOSThread()
		conn, back, err := dialFromThread(ctx, namespace, address)
		if back {
			runtime.UnlockOSThread()
		}
		done <- result{conn, err}
	}()
	r := <-done
	return r.conn, r.err
}

func dialFromThread(ctx context.Context, namespace, address string) (conn net.Conn, back bool, err error) {
	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return nil, true, err
	}
	defer home.Close()
	inside, err := os.Open(namespace)
	if err != nil {
		return nil, true, fmt.Errorf("the cluster's network is gone: %w", err)
	}
	defer inside.Close()
	if err := unix.Setns(int(inside.Fd()), unix.CLONE_NEWNET); err != nil {
		return nil, true, fmt.Errorf("enter the cluster's network: %w", err)
	}
	var dialer net.Dialer
	conn, err = dialer.DialContext(ctx, "tcp", address)
	return conn, unix.Setns(int(home.Fd()), unix.CLONE_NEWNET) == nil, err
}
