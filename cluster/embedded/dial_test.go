package embedded

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// handout hands out sockets of this process's own network.
func handout(t *testing.T) (path string, listener *net.UnixListener) {
	t.Helper()
	// Not t.TempDir: its path may be longer than a socket's may be.
	dir, err := os.MkdirTemp("", "handout-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	path = filepath.Join(dir, "sockets.sock")
	listener, err = net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	return path, listener
}

func served(t *testing.T) string {
	t.Helper()
	path, listener := handout(t)
	go func() { _ = handOutSockets(listener) }()
	return path
}

func listening(t *testing.T) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	return listener
}

func TestDialIsWithAHandedOutSocket(t *testing.T) {
	listener := listening(t)
	conn, err := dialInside(t.Context(), served(t), listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	other, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if _, err := other.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := conn.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if n, err := conn.Read(make([]byte, 1)); n != 1 || err != nil {
		t.Errorf("read %d bytes, %v: the connection is not one that can be waited on", n, err)
	}
	if conn.LocalAddr().String() != other.RemoteAddr().String() {
		t.Errorf("this end says %s, the other %s", conn.LocalAddr(), other.RemoteAddr())
	}
}

func TestDialErrorsAreToldApart(t *testing.T) {
	refusing := listening(t).Addr().String()
	closed := listening(t)
	closed.Close()
	handing := served(t)
	dead, gone := handout(t)
	gone.SetUnlinkOnClose(false)
	gone.Close()
	silent, _ := handout(t)
	for _, row := range []struct {
		why              string
		handout, address string
		is, isNot        error
	}{
		{"nobody listens: callers take it for a dead pod", handing, closed.Addr().String(), unix.ECONNREFUSED, nil},
		{"a dead supervisor refuses as well, and no pod is dead for that", dead, refusing, nil, unix.ECONNREFUSED},
		{"no cluster at all", filepath.Join(t.TempDir(), "none"), refusing, nil, os.ErrNotExist},
		{"a supervisor that hangs: the deadline still holds", silent, refusing, context.DeadlineExceeded, nil},
		{"a name would be looked up on the host", handing, "localhost:80", nil, nil},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		conn, err := dialInside(ctx, row.handout, row.address)
		cancel()
		switch {
		case err == nil:
			conn.Close()
			t.Errorf("%s: connected", row.why)
		case row.is != nil && !errors.Is(err, row.is), row.isNot != nil && errors.Is(err, row.isNot):
			t.Errorf("%s: %v", row.why, err)
		}
	}
}

// A dial that gets no answer holds nobody up, and ends when it is told to.
func TestDialsDoNotQueueBehindASlowOne(t *testing.T) {
	handing := served(t)
	full := fullBacklog(t)
	ctx, cancel := context.WithCancel(t.Context())
	const slow = 8
	ended := make(chan error, slow)
	for range slow {
		go func() {
			conn, err := dialInside(ctx, handing, full)
			if err == nil {
				conn.Close()
			}
			ended <- err
		}()
	}
	quick, stop := context.WithTimeout(t.Context(), 5*time.Second)
	defer stop()
	listener := listening(t)
	for range 100 {
		conn, err := dialInside(quick, handing, listener.Addr().String())
		if err != nil {
			t.Fatalf("beside %d slow dials: %v", slow, err)
		}
		conn.Close()
	}
	if len(ended) > 0 {
		t.Fatalf("no dial was slow: %v", <-ended)
	}
	cancel()
	for range slow {
		select {
		case err := <-ended:
			if err == nil {
				t.Error("a cancelled dial connected")
			}
		case <-quick.Done():
			t.Fatal("a cancelled dial goes on")
		}
	}
}

// fullBacklog is an address that answers nobody: its queue has no room left.
func fullBacklog(t *testing.T) string {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := errors.Join(unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), unix.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	bound, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	address := (&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: bound.(*unix.SockaddrInet4).Port}).String()
	conn, err := net.Dial("tcp4", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return address
}
