package main

import (
	"bytes"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"time"

	"golang.org/x/sys/unix"
)

// addresses is how many loopback addresses the sink listens on: one has some 28,000
// ports for connections to it, and a black hole takes more.
const addresses = 8

// answer is all that the sink ever says.
var answer = []byte("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok")

// manner is how the sink treats what comes, until it is told otherwise.
type manner struct {
	Room int // for how many requests there are stamps
	// Alert has it look out for requests all the time: how long it takes to wake up is
	// not the tool's fault. It takes a processor of its own.
	Alert  bool
	Holds  bool // it takes connections and nothing that comes over them: a black hole
	Freeze freeze
}

// freeze has the sink stand still every so often. All requests wait.
type freeze struct {
	First      int64 // instant of the machine's clock at which it stands still first
	For, Every time.Duration
	Rate       int // of answers a second at most; 0 for as many as it can give
}

// over is when the freeze of an instant is over: that instant itself if there is none.
func (f freeze) over(now int64) int64 {
	if f.Every == 0 || now < f.First {
		return now
	}
	return max(now, now-(now-f.First)%f.Every.Nanoseconds()+f.For.Nanoseconds())
}

// ended is when the last freeze before an instant outside of one was over.
func (f freeze) ended(now int64) int64 {
	if f.Every == 0 || now < f.First {
		return 0
	}
	return now - (now-f.First)%f.Every.Nanoseconds() + f.For.Nanoseconds()
}

// seen is what came since the sink was last told how to be.
type seen struct {
	Addresses []string
	Seq, At   []int64 // numbers of requests, and when they were read
	Until     int64   // when this was handed out
	Requests  int64   // also those without a number, or for which there was no room
	Held      int     // connections
}

// sink is a server of HTTP/1.1 that takes requests without a body. It is one goroutine and,
// while it serves, allocates nothing. It is not locked to a thread: Go's scheduler, which
// looks in every 10 ms, would take two changes of threads for that.
type sink struct {
	epoll     int
	listeners []int
	conns     []*conn // by file descriptor
	held      []int
	manner    manner
	seen      seen
	waiting   []waiting
	first     int   // of those that still wait
	next      int64 // no answer is due before it
	now       func() int64
	buffer    []byte
}

type conn struct {
	fd   int
	rest []byte // of a request that has not come in full
	open bool
}

type waiting struct {
	conn *conn
	at   int64
}

// serve is told over in how to be, and says over out what it has seen until then. It ends
// with in. Stamps are readings of now.
func serve(in *os.File, out io.Writer, now func() int64) error {
	debug.SetGCPercent(-1) // there is a time for it: between manners
	manyFiles()
	s := &sink{now: now, buffer: make([]byte, 64<<10)}
	if err := s.listen(); err != nil {
		return err
	}
	told, orders, answers := int(in.Fd()), gob.NewDecoder(in), gob.NewEncoder(out)
	if err := s.watch(told); err != nil {
		return err
	}
	events := make([]unix.EpollEvent, 1024)
	for {
		n, err := unix.EpollWait(s.epoll, events, s.patience())
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("sink: wait for requests: %w", err)
		}
		for _, event := range events[:max(n, 0)] {
			switch fd := int(event.Fd); {
			case fd == told:
				var m manner
				if err := orders.Decode(&m); errors.Is(err, io.EOF) {
					return nil
				} else if err != nil {
					return fmt.Errorf("sink: read how to be: %w", err)
				}
				if err := answers.Encode(s.be(m)); err != nil {
					return fmt.Errorf("sink: say what was seen: %w", err)
				}
			case fd < len(s.conns) && s.conns[fd] != nil:
				s.read(s.conns[fd])
			default:
				s.accept(fd)
			}
		}
		s.release()
	}
}

func (s *sink) listen() (err error) {
	if s.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return fmt.Errorf("sink: make an epoll: %w", err)
	}
	for i := range addresses {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("sink: make a socket: %w", err)
		}
		address := &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, byte(i + 1)}}
		if err := errors.Join(unix.Bind(fd, address), unix.Listen(fd, 4096), s.watch(fd)); err != nil {
			return fmt.Errorf("sink: listen: %w", err)
		}
		bound, err := unix.Getsockname(fd)
		if err != nil {
			return fmt.Errorf("sink: listen: %w", err)
		}
		s.listeners = append(s.listeners, fd)
		s.seen.Addresses = append(s.seen.Addresses, fmt.Sprintf("%s:%d", net.IP(address.Addr[:]), bound.(*unix.SockaddrInet4).Port))
	}
	return nil
}

func (s *sink) watch(fd int) error {
	return unix.EpollCtl(s.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)})
}

// patience is how many milliseconds there is nothing to be done but what comes.
func (s *sink) patience() int {
	if s.first < len(s.waiting) || s.manner.Alert {
		return 0
	}
	return -1
}

// be is another manner from now on; what was seen in the last one is returned.
func (s *sink) be(m manner) seen {
	until := s.seen
	until.Until, until.Held = s.now(), len(s.held)
	for _, fd := range s.held {
		unix.Close(fd)
	}
	s.held, s.waiting, s.first, s.next, s.manner = nil, s.waiting[:0], 0, 0, m
	s.seen = seen{Addresses: until.Addresses}
	runtime.GC()
	s.seen.Seq, s.seen.At = touched(m.Room), touched(m.Room)
	return until
}

// touched is room whose pages are there already.
func touched(room int) []int64 {
	all := make([]int64, room)
	for i := range all {
		all[i] = 1
	}
	return all[:0]
}

func (s *sink) accept(listener int) {
	for {
		fd, _, err := unix.Accept4(listener, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		if err != nil {
			return // there are no more, or no more descriptors
		}
		if s.manner.Holds {
			s.held = append(s.held, fd)
			continue
		}
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
		if s.watch(fd) != nil {
			unix.Close(fd)
			continue
		}
		for len(s.conns) <= fd {
			s.conns = append(s.conns, nil)
		}
		s.conns[fd] = &conn{fd: fd, open: true}
	}
}

func (s *sink) drop(c *conn) {
	unix.Close(c.fd)
	s.conns[c.fd], c.open = nil, false
}

var endOfHead = []byte("\r\n\r\n")

func (s *sink) read(c *conn) {
	had := copy(s.buffer, c.rest)
	n, err := unix.Read(c.fd, s.buffer[had:])
	at := s.now()
	switch {
	case errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR):
		return
	case err != nil || n <= 0:
		s.drop(c)
		return
	}
	data := s.buffer[:had+n]
	for {
		head, rest, whole := bytes.Cut(data, endOfHead)
		if !whole {
			break
		}
		data = rest
		s.take(c, head, at)
	}
	c.rest = append(c.rest[:0], data...)
}

// take notes a request. It is answered when all have been read that were there: an answer
// takes its time, and they have come already.
func (s *sink) take(c *conn, head []byte, at int64) {
	s.seen.Requests++
	if len(s.seen.Seq) < cap(s.seen.Seq) {
		if seq, numbered := number(head); numbered {
			s.seen.Seq, s.seen.At = append(s.seen.Seq, seq), append(s.seen.At, at)
		}
	}
	s.waiting = append(s.waiting, waiting{c, at})
}

// release answers those who have waited long enough, in order.
func (s *sink) release() {
	for f := s.manner.Freeze; s.first < len(s.waiting); s.first++ {
		first, now := s.waiting[s.first], s.now()
		due := max(s.next, first.at, f.ended(now))
		if f.over(now) > now || now < due {
			return
		}
		if f.Rate > 0 {
			s.next = due + int64(time.Second)/int64(f.Rate)
		}
		s.answer(first.conn)
	}
	s.waiting, s.first = s.waiting[:0], 0
}

func (s *sink) answer(c *conn) {
	if !c.open {
		return
	}
	if _, err := unix.Write(c.fd, answer); err != nil {
		s.drop(c)
	}
}

var (
	endOfLine = []byte("\r\n")
	colon     = []byte(":")
	ourHeader = []byte("X-Request-Id")
	vegetas   = []byte("X-Vegeta-Seq")
)

// number is what the tool calls a request: the digits at the end of the header in which
// ours or vegeta says so.
func number(head []byte) (int64, bool) {
	for len(head) > 0 {
		var line []byte
		line, head, _ = bytes.Cut(head, endOfLine)
		name, value, _ := bytes.Cut(line, colon)
		if !bytes.EqualFold(name, ourHeader) && !bytes.EqualFold(name, vegetas) {
			continue
		}
		return digits(value)
	}
	return 0, false
}

// digits is the number that a value ends with.
func digits[T string | []byte](value T) (int64, bool) {
	var seq, place int64 = 0, 1
	for i := len(value) - 1; i >= 0 && '0' <= value[i] && value[i] <= '9'; i-- {
		seq += place * int64(value[i]-'0')
		place *= 10
	}
	return seq, place > 1
}

// manyFiles raises the limit on open files as far as it may.
func manyFiles() {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil {
		return
	}
	for _, most := range []uint64{1 << 19, limit.Max} {
		if unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: most, Max: max(most, limit.Max)}) == nil {
			return
		}
	}
}
