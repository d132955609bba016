package embedded

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A socket belongs to the network namespace of the process that made it, whoever
// connects it. So the supervisor hands out sockets of the cluster's network, and a
// dial is an ordinary one of this process but for the socket that it is done with:
// nobody waits for another's dial, and errors, deadlines and cancellation are those
// of package net.

// handOutSockets gives everyone who connects a TCP socket of the network that this
// process is in, until the listener is closed. Nothing in here ever waits.
func handOutSockets(listener *net.UnixListener) error {
	for {
		conn, err := listener.AcceptUnix()
		if err != nil {
			return err
		}
		if err := sendSocket(conn); err != nil {
			fmt.Fprintln(os.Stderr, "supervisor: hand out a socket:", err)
		}
		conn.Close()
	}
}

func sendSocket(conn *net.UnixConn) error {
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.IPPROTO_TCP)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer unix.Close(socket)
	if _, _, err := conn.WriteMsgUnix([]byte{0}, unix.UnixRights(socket), nil); err != nil && !errors.Is(err, unix.EPIPE) {
		return err // who has gone away meanwhile is no error
	}
	return nil
}

// dialInside opens a TCP connection with a socket from inside. The address is
// literal: a name would be looked up out here.
func dialInside(ctx context.Context, handout, address string) (net.Conn, error) {
	if _, err := netip.ParseAddrPort(address); err != nil {
		return nil, fmt.Errorf("dial into a cluster by ip:port: %w", err)
	}
	socket, err := fetchSocket(ctx, handout)
	if err != nil {
		return nil, err
	}
	defer unix.Close(socket)
	dialer := net.Dialer{Control: replaceBy(socket)}
	return dialer.DialContext(ctx, "tcp4", address)
}

// listenInside listens on a free port of 127.0.0.1 with a socket from inside.
func listenInside(ctx context.Context, handout string) (net.Listener, error) {
	socket, err := fetchSocket(ctx, handout)
	if err != nil {
		return nil, err
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

// fetchSocket gets a socket from the supervisor. Errors of this exchange are not
// wrapped: a dead supervisor refuses too, and callers read a refusal as a pod's.
func fetchSocket(ctx context.Context, handout string) (int, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unix", handout)
	if err != nil && ctx.Err() != nil {
		return -1, ctx.Err()
	}
	if err != nil {
		return -1, fmt.Errorf("the cluster's network cannot be reached: %v", err) //nolint:errorlint // see above
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	rights := make([]byte, unix.CmsgSpace(4)) // one descriptor
	_, n, _, _, err := conn.(*net.UnixConn).ReadMsgUnix(make([]byte, 1), rights)
	if err != nil && ctx.Err() != nil {
		return -1, ctx.Err()
	}
	if err != nil {
		return -1, fmt.Errorf("the cluster's network gave no socket: %v", err) //nolint:errorlint // see above
	}
	return onlyDescriptor(rights[:n])
}

func onlyDescriptor(rights []byte) (int, error) {
	messages, err := unix.ParseSocketControlMessage(rights)
	if err != nil {
		return -1, err
	}
	if len(messages) != 1 {
		return -1, fmt.Errorf("the cluster's network sent %d messages where one socket was due", len(messages))
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		return -1, fmt.Errorf("the cluster's network sent %d sockets instead of one: %w", len(fds), err)
	}
	return fds[0], nil
}
