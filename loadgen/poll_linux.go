package loadgen

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// poller waits for what happens to descriptors. What cannot make the thread wait is called
// raw, so that the runtime does not look for other work for the time of a call.
type poller struct {
	epoll  int
	coarse bool // the kernel waits in whole milliseconds: it is older than 5.11
	events [256]unix.EpollEvent
	ready  []unix.EpollEvent // those not yet taken
}

func newPoller() (*poller, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	return &poller{epoll: epoll}, nil
}

func (p *poller) close() { unix.Close(p.epoll) }

// interest is in what can be read and in the end of a connection.
const interest = unix.EPOLLIN | unix.EPOLLRDHUP

// add watches a descriptor. Its events carry row and generation, by which its owner
// tells one that has been closed meanwhile.
func (p *poller) add(fd int, row, generation int32) error {
	err := unix.EpollCtl(p.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: interest, Fd: row, Pad: generation})
	return os.NewSyscallError("epoll_ctl", err)
}

// addOther watches another poller: an event, which is taken in any case, says that there is
// something new in it.
func (p *poller) addOther(other *poller, row int32) error {
	err := unix.EpollCtl(p.epoll, unix.EPOLL_CTL_ADD, other.epoll, &unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET, Fd: row})
	return os.NewSyscallError("epoll_ctl", err)
}

// alsoWritable changes whether a descriptor that can be written to makes an event.
func (p *poller) alsoWritable(fd int, row, generation int32, on bool) {
	event := unix.EpollEvent{Events: interest, Fd: row, Pad: generation}
	if on {
		event.Events |= unix.EPOLLOUT
	}
	_, _, _ = unix.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(p.epoll), unix.EPOLL_CTL_MOD, uintptr(fd), uintptr(unsafe.Pointer(&event)), 0, 0) // the descriptor is watched
}

// next takes an event that is there already.
func (p *poller) next() (unix.EpollEvent, bool) {
	if !p.any() {
		return unix.EpollEvent{}, false
	}
	event := p.ready[0]
	p.ready = p.ready[1:]
	return event, true
}

// any reports whether there are events that nobody has taken.
func (p *poller) any() bool { return len(p.ready) > 0 }

// wait waits for events, for d at most; a d of zero or less only looks. A signal may end
// it early.
func (p *poller) wait(d time.Duration) {
	events := uintptr(unsafe.Pointer(&p.events[0]))
	var n uintptr
	var errno syscall.Errno
	switch {
	case d <= 0 || p.coarse && d < time.Millisecond:
		n, _, errno = unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(p.epoll), events, uintptr(len(p.events)), 0, 0, 0)
	case p.coarse:
		n, _, errno = unix.Syscall6(unix.SYS_EPOLL_PWAIT, uintptr(p.epoll), events, uintptr(len(p.events)), uintptr(d/time.Millisecond), 0, 0)
	default:
		timeout := unix.NsecToTimespec(d.Nanoseconds())
		n, _, errno = unix.Syscall6(unix.SYS_EPOLL_PWAIT2, uintptr(p.epoll), events, uintptr(len(p.events)), uintptr(unsafe.Pointer(&timeout)), 0, 0)
	}
	if errno == unix.ENOSYS {
		p.coarse = true
	}
	if errno != 0 {
		n = 0
	}
	p.ready = p.events[:n]
}

// descriptor takes the socket of a connection out of the hands of package net.
func descriptor(owner any) (int, error) {
	conn, ok := owner.(syscall.Conn)
	if !ok {
		return -1, fmt.Errorf("a %T has no descriptor: load is sent over connections of package net", owner)
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return -1, err
	}
	fd, copied := -1, error(nil)
	err = raw.Control(func(socket uintptr) { fd, copied = unix.FcntlInt(socket, unix.F_DUPFD_CLOEXEC, 0) })
	return fd, errors.Join(err, os.NewSyscallError("fcntl", copied))
}

// receive reads what has come; EAGAIN if nothing has.
func receive(fd int, into []byte) (int, syscall.Errno) {
	n, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&into[0])), uintptr(len(into)))
	return int(n), errno
}

// transmit writes what fits, possibly nothing.
func transmit(fd int, data []byte) (int, syscall.Errno) {
	n, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&data[0])), uintptr(len(data)), unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT, 0, 0)
	switch errno {
	case 0:
		return int(n), 0
	case unix.EAGAIN, unix.EINTR:
		return 0, 0
	}
	return 0, errno
}

// silent reports whether a connection is open and nothing has come over it.
func silent(fd int) bool {
	var one [1]byte
	_, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&one[0])), 1, unix.MSG_PEEK|unix.MSG_DONTWAIT, 0, 0)
	return errno == unix.EAGAIN
}

// shut closes a descriptor, whose owner waits for nothing.
func shut(fd int) { _, _, _ = unix.RawSyscall(unix.SYS_CLOSE, uintptr(fd), 0, 0) }
