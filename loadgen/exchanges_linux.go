package loadgen

import (
	"context"
	"os"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/cutover-dev/cutover/history"
)

// exchanges are requests that are under way over HTTP/1.1, all in the hands of one thread,
// which does one thing at a time. What is under way costs neither a goroutine nor a buffer,
// and nothing is allocated for it. Nothing is ever sent twice.
type exchanges struct {
	exchangesSpec
	poller *poller
	polled time.Duration // when events were asked for last
	conns  conns
	dials  dials
	cancel context.CancelFunc // of dials
	id     []byte
	buffer []byte

	places   map[string]*place // by address
	free     []*exchange
	begun    uint64
	underway int
	pending  list[exchange] // in order of their deadlines
}

// exchangesSpec is what exchanges are made of.
type exchangesSpec struct {
	zero        time.Time
	prefix      string // of ids
	connections int    // to one address, at most
	age         time.Duration
	dial        Dialer
	timeout     time.Duration // of dials
	version     string        // the header that tells it, in lower case
	keep        int           // bytes of a body
	// ended is told of each request at its end, and why it was not answered; "" if it was.
	ended func(e *exchange, why string)
}

// exchange is a request that is under way, and its answer as far as it has come.
type exchange struct {
	number   uint64 // of all that were begun
	seq      int64
	wire     *wire
	to       *place
	intended history.Micros
	sent     history.Micros
	deadline time.Duration
	conn     *conn // nil as long as it waits for one
	heard    heard
	asking   *asking // nil if a user asks

	pending, waiting, undialled node[exchange]
}

// place is an address, and who wants to go there.
type place struct {
	address   string
	open      int        // connections
	dialling  int        // that are being opened
	idle      list[conn] // the latest used one is the last
	waiting   list[exchange]
	undialled list[exchange] // of those that wait, for which no connection is being opened
}

// The rows of events that are of no connection.
const (
	wakeupRow = -1 // connections were opened
	othersRow = -2 // there are events of other exchanges, which look themselves
)

// readAtOnce is the size of the one buffer: reading that much takes a few microseconds.
const readAtOnce = 16 << 10

func newExchanges(spec exchangesSpec) (*exchanges, error) {
	poller, err := newPoller()
	if err != nil {
		return nil, err
	}
	wakeup, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		poller.close()
		return nil, os.NewSyscallError("eventfd", err)
	}
	if err := poller.add(wakeup, wakeupRow, 0); err != nil {
		poller.close()
		unix.Close(wakeup)
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	return &exchanges{
		exchangesSpec: spec,
		poller:        poller, dials: dials{dial: spec.dial, timeout: spec.timeout, ctx: ctx, wakeup: wakeup}, cancel: cancel,
		buffer: make([]byte, readAtOnce), places: map[string]*place{},
	}, nil
}

// close ends connections; nothing is under way any more.
func (x *exchanges) close() {
	x.cancel()
	for _, c := range x.conns.table {
		if c.fd >= 0 {
			x.conns.drop(c)
		}
	}
	x.dials.end()
	x.poller.close()
}

// now is the time since the clock's zero.
func (x *exchanges) now() time.Duration { return time.Since(x.zero) }

func micros(d time.Duration) history.Micros { return history.Micros(d.Microseconds()) }

// step does one thing, if there is one to be done: it takes an event, ends a request whose
// time is over, or opens connections that had to wait. If there is none, rest is how long
// it stays so unless an event comes.
func (x *exchanges) step(now time.Duration) (rest time.Duration, done bool) {
	if event, ok := x.poller.next(); ok {
		x.take(&event)
		return 0, true
	}
	rest = longestNap
	if first := x.pending.first(); first != nil {
		switch {
		case first.deadline > now:
			rest = min(rest, first.deadline-now)
		case x.polled < first.deadline: // its answer may have come while this thread stood still
			x.poll(now, 0)
			return 0, true
		default:
			x.giveUp(first)
			return 0, true
		}
	}
	if x.dials.held {
		if x.dials.again() <= now {
			x.dialAll()
			return 0, true
		}
		rest = min(rest, x.dials.again()-now)
	}
	return rest, false
}

func (x *exchanges) poll(now, pause time.Duration) {
	x.polled = now
	x.poller.wait(pause)
}

// place is that of an address.
func (x *exchanges) place(address string) *place {
	p, known := x.places[address]
	if !known {
		p = &place{address: address}
		x.places[address] = p
	}
	return p
}

// begin makes an exchange out of one that is over.
func (x *exchanges) begin(w *wire, to *place, seq int64, intended history.Micros, deadline time.Duration) *exchange {
	var e *exchange
	if last := len(x.free) - 1; last >= 0 {
		e, x.free = x.free[last], x.free[:last]
	} else {
		e = &exchange{}
		e.pending.value, e.waiting.value, e.undialled.value = e, e, e
	}
	x.begun++
	x.underway++
	e.number, e.seq, e.wire, e.to, e.intended, e.sent, e.deadline = x.begun, seq, w, to, intended, history.Never, deadline
	e.heard.reset()
	before := x.pending.tail()
	for before.value != nil && before.value.deadline > deadline {
		before = before.prev
	}
	e.pending.follow(before)
	return e
}

// dispatch writes the request, as soon as there is a connection.
func (x *exchanges) dispatch(e *exchange) {
	if c := x.conns.take(e.to); c != nil {
		x.write(c, e)
		return
	}
	e.to.waiting.add(&e.waiting)
	e.to.undialled.add(&e.undialled)
	x.dialTo(e.to)
}

// dialTo opens connections for those that wait, as long as there may be more.
func (x *exchanges) dialTo(p *place) {
	for {
		e := p.undialled.first()
		if e == nil || p.open+p.dialling >= x.connections || x.dials.atOnce >= dialsAtOnce {
			return
		}
		if !x.dials.may(x.now()) {
			x.dials.held = true
			return
		}
		e.undialled.leave()
		x.dials.start(e)
	}
}

func (x *exchanges) dialAll() {
	x.dials.held = false
	for _, p := range x.places {
		x.dialTo(p)
	}
}

// collect takes the connections that were opened. Whoever asked for one gets it, or else
// whoever waits longest.
func (x *exchanges) collect() {
	for _, d := range x.dials.take() {
		e := d.asker
		if e.number != d.number || !e.waiting.listed() {
			e = nil // it was answered over another one, or its time was over
		}
		var c *conn
		if d.err == nil {
			c, d.err = x.adopt(d.fd, d.to)
		}
		switch {
		case d.err != nil && e != nil:
			x.end(e, reason(d.err))
		case d.err != nil:
		case e != nil:
			x.write(c, e)
		default:
			x.offer(c)
		}
	}
	x.dialAll()
}

func (x *exchanges) adopt(fd int, to *place) (*conn, error) {
	c := x.conns.add(fd, to, x.now())
	c.parser.versionHeader, c.parser.keep = x.version, x.keep
	if err := x.poller.add(fd, c.row, c.generation); err != nil {
		x.conns.drop(c)
		return nil, err
	}
	return c, nil
}

// offer gives a connection to whoever waits longest, or keeps it.
func (x *exchanges) offer(c *conn) {
	if e := c.to.waiting.first(); e != nil {
		x.write(c, e)
		return
	}
	c.to.idle.add(&c.idle)
}

// write sends the request.
func (x *exchanges) write(c *conn, e *exchange) {
	e.waiting.leave()
	e.undialled.leave()
	now := x.now()
	// The last request on an old connection asks for its end.
	c.last = e.wire.closing || x.age > 0 && now-c.opened >= x.age
	c.exchange, e.conn, e.sent = e, c, micros(now)
	c.parser.reset(&e.heard, e.wire.noBody)
	x.id = strconv.AppendInt(append(x.id[:0], x.prefix...), e.seq, 10)
	text := e.wire.request(x.id, c.last)
	n, errno := transmit(c.fd, text)
	x.wrote(c, errno)
	if errno == 0 && n < len(text) {
		c.unwritten = append(c.unwritten[:0], text[n:]...)
		x.poller.alsoWritable(c.fd, c.row, c.generation, true)
	}
}

// writeOn sends more of a request that did not fit.
func (x *exchanges) writeOn(c *conn) {
	n, errno := transmit(c.fd, c.unwritten)
	if c.unwritten = c.unwritten[n:]; len(c.unwritten) == 0 || errno != 0 {
		c.unwritten = nil
		x.poller.alsoWritable(c.fd, c.row, c.generation, false)
	}
	x.wrote(c, errno)
}

// wrote heeds what came of writing. If the other side has closed, an event follows, and
// what it said before that can be read.
func (x *exchanges) wrote(c *conn, errno syscall.Errno) {
	switch errno {
	case 0:
	case unix.EPIPE, unix.ECONNRESET:
		c.broken = errno
	default:
		x.fail(c, "write: "+os.NewSyscallError("write", errno).Error())
	}
}

// take does what an event asks for.
func (x *exchanges) take(event *unix.EpollEvent) {
	switch event.Fd {
	case othersRow:
		return
	case wakeupRow:
		x.collect()
		return
	}
	c := x.conns.of(event)
	if c == nil {
		return
	}
	if event.Events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		c.last = true
	}
	if event.Events&unix.EPOLLOUT != 0 && len(c.unwritten) > 0 {
		x.writeOn(c)
	}
	if event.Events&^unix.EPOLLOUT != 0 && c.generation == event.Pad {
		x.read(c)
	}
}

// read reads once, and no more than there is a buffer for. The rest makes another event.
func (x *exchanges) read(c *conn) {
	n, errno := receive(c.fd, x.buffer)
	switch {
	case errno == unix.EAGAIN || errno == unix.EINTR:
	case c.exchange == nil: // closed while idle, or saying what nobody asked for
		x.drop(c)
	case errno != 0:
		x.fail(c, "read: "+os.NewSyscallError("read", errno).Error())
	case n == 0:
		if err := c.parser.end(); err != nil {
			x.fail(c, x.cut(c, err))
			return
		}
		x.answered(c, nil)
	default:
		rest, err := c.parser.feed(x.buffer[:n])
		if err != nil {
			x.fail(c, err.Error())
			return
		}
		if c.parser.done() {
			x.answered(c, rest)
		}
	}
}

// cut is why an answer ended before its time: that writing failed explains more.
func (x *exchanges) cut(c *conn, err error) string {
	if c.broken != 0 {
		return "write: " + os.NewSyscallError("write", c.broken).Error()
	}
	return err.Error()
}

// answered ends a request whose answer is complete; rest is what followed it.
func (x *exchanges) answered(c *conn, rest []byte) {
	x.end(c.exchange, "")
	c.exchange = nil
	if c.last || !c.parser.persistent || len(rest) > 0 || len(c.unwritten) > 0 || c.broken != 0 {
		x.drop(c)
		return
	}
	x.offer(c)
}

// fail ends a request that is not answered.
func (x *exchanges) fail(c *conn, why string) {
	x.end(c.exchange, why)
	x.drop(c)
}

// drop closes a connection, which may make room for another one.
func (x *exchanges) drop(c *conn) {
	x.conns.drop(c)
	x.dialTo(c.to)
}

// giveUp ends a request whose time is over.
func (x *exchanges) giveUp(e *exchange) {
	if e.conn == nil {
		x.end(e, "timeout")
		return
	}
	x.fail(e.conn, "timeout")
}

// end tells of a request, and makes room for another one.
func (x *exchanges) end(e *exchange, why string) {
	x.ended(e, why)
	e.pending.leave()
	e.waiting.leave()
	e.undialled.leave()
	e.conn, e.wire, e.to, e.asking = nil, nil, nil, nil
	x.free = append(x.free, e)
	x.underway--
}
