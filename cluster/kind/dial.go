package kind

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// A socket belongs to the network namespace of the thread that made it, whoever
// connects it. So a dial is an ordinary one of this process but for the socket that it
// is done with: errors, deadlines and cancellation are those of package net.

// network is the path of the node's network namespace.
func (n node) network() string { return fmt.Sprintf("/proc/%d/ns/net", n.pid) }

// dial opens a TCP connection as a process of the node would. The address is literal:
// a name would be looked up out here.
func (n node) dial(ctx context.Context, address string) (net.Conn, error) {
	if _, err := netip.ParseAddrPort(address); err != nil {
		return nil, fmt.Errorf("dial into a cluster by ip:port: %w", err)
	}
	socket, err := socketIn(n.network())
	if err != nil {
		// Not wrapped: callers read a refusal as a pod's.
		return nil, fmt.Errorf("the network of node %s cannot be entered: %v", n.name, err) //nolint:errorlint // see above
	}
	defer unix.Close(socket)
	dialer := net.Dialer{Control: replaceBy(socket)}
	return dialer.DialContext(ctx, "tcp4", address)
}

// listen listens on a free port of the node's 127.0.0.1.
func (n node) listen(ctx context.Context) (net.Listener, error) {
	socket, err := socketIn(n.network())
	if err != nil {
		return nil, fmt.Errorf("the network of node %s cannot be entered: %w", n.name, err)
	}
	defer unix.Close(socket)
	config := net.ListenConfig{Control: replaceBy(socket)}
	return config.Listen(ctx, "tcp4", "127.0.0.1:0")
}

// replaceBy puts a socket in the place of one that package net has just made.
func replaceBy(socket int) func(network, address string, made syscall.RawConn) error {
	return func(_, _ string, made syscall.RawConn) error {
		var replaced error
		err := made.Control(func(fd uintptr) { replaced = unix.Dup3(socket, int(fd), unix.O_CLOEXEC) })
		return errors.Join(err, os.NewSyscallError("dup3", replaced))
	}
}

// socketIn makes a TCP socket of a network namespace. The thread that enters the
// namespace comes back, or ends.
func socketIn(network string) (socket int, err error) {
	inside, err := os.Open(network)
	if err != nil {
		return -1, err
	}
	defer inside.Close()
	made := make(chan struct{})
	go func() {
		defer close(made)
		socket, err = enterAndMake(inside)
	}()
	<-made
	return socket, err
}

func enterAndMake(inside *os.File) (int, error) {
	runtime.LockOSThread()
	outside, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		runtime.UnlockOSThread()
		return -1, err
	}
	defer outside.Close()
	if err := unix.Setns(int(inside.Fd()), unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		return -1, os.NewSyscallError("setns", err)
	}
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.IPPROTO_TCP)
	if back := unix.Setns(int(outside.Fd()), unix.CLONE_NEWNET); back == nil {
		runtime.UnlockOSThread() // else the runtime ends this thread with its goroutine
	}
	return socket, os.NewSyscallError("socket", err)
}
