package loadgen

import (
	"context"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/cutover-dev/cutover/history"
)

// hasLoop says that requests are carried by an event loop, as they can be on Linux.
const hasLoop = true

const (
	// guard is the time before an instant at which nothing else is begun: about what
	// reading an answer takes.
	guard = 5 * time.Microsecond
	// shortestNap is the shortest wait that is worth giving up the processor.
	shortestNap = 20 * time.Microsecond
	// handIn is how often notes are handed in while there is no long wait.
	handIn = time.Millisecond
	// readAtOnce is the size of the one buffer: reading that much takes a few microseconds.
	readAtOnce = 16 << 10
	// maxWires bounds the kinds of requests that are kept as they are written.
	maxWires = 4096
	// maxInterned bounds the different versions of which the text is kept.
	maxInterned = 1000
)

// loop carries requests over HTTP/1.1 on a single thread. An arrival that is due goes
// first; answers are read one at a time between arrivals. So reading never delays a
// request by more than one read, and a late release is all that a lack of time can do.
//
// Nothing is allocated for a request, and what is under way costs neither a goroutine nor
// a buffer. Nothing is ever sent twice.
type loop struct {
	spec     Spec
	prefix   string // of ids
	fill     bool   // {{.ID}} stands for the id
	zero     time.Time
	full     string // why an arrival is turned away
	notes    *inbox
	batch    batch // not yet handed in
	handedIn time.Duration

	version  string // the header that tells it, in lower case
	keep     int    // bytes of a body
	keepAll  bool   // also of good answers
	interned map[string]string

	poller *poller
	polled time.Duration // when events were asked for last
	conns  conns
	dials  dials
	cancel context.CancelFunc // of dials
	wires  map[*RequestSpec]*wire
	id     []byte
	buffer []byte

	free      []*exchange
	underway  int
	pending   list[exchange] // in order of their deadlines
	waiting   list[exchange] // for a connection
	undialled list[exchange] // of those, for which none is being opened
}

// exchange is a request that is under way, and its answer as far as it has come.
type exchange struct {
	seq      int64
	wire     *wire
	intended history.Micros
	sent     history.Micros
	deadline time.Duration
	conn     *conn // nil as long as it waits for one
	heard    heard

	pending, waiting, undialled node[exchange]
}

// The places of events that are of no connection.
const wakeupPlace = -1

func newLoop(a *Attack, spec Spec, notes *inbox) (courier, error) {
	poller, err := newPoller()
	if err != nil {
		return nil, err
	}
	wakeup, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		poller.close()
		return nil, os.NewSyscallError("eventfd", err)
	}
	if err := poller.add(wakeup, wakeupPlace, 0); err != nil {
		poller.close()
		unix.Close(wakeup)
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	l := &loop{
		spec: spec, prefix: a.RunID + "-", fill: spec.Replay == nil, // what was recorded is sent as it was
		zero: a.Clock.Began(), full: allInUse(spec), notes: notes,
		keep: sampleBody, interned: map[string]string{},
		poller: poller, dials: dials{dial: a.Dial, timeout: spec.Timeout.D(), ctx: ctx, wakeup: wakeup}, cancel: cancel,
		wires: map[*RequestSpec]*wire{}, buffer: make([]byte, readAtOnce),
	}
	if at := a.Attribution; at != nil {
		l.version = strings.ToLower(at.Source.Header)
		if at.Source.JSON != "" {
			l.keep, l.keepAll = keptBody, true
		}
	}
	return l, nil
}

// now is the time since the clock's zero.
func (l *loop) now() time.Duration { return time.Since(l.zero) }

func micros(d time.Duration) history.Micros { return history.Micros(d.Microseconds()) }

// wait reads answers until the instant.
func (l *loop) wait(ctx context.Context, at time.Time) bool {
	until := at.Sub(l.zero)
	for {
		if ctx.Err() != nil {
			return false
		}
		now := l.now()
		if now >= until-guard {
			break
		}
		l.turn(now, until) //nolint:contextcheck // requests and their connections outlive the load
	}
	for l.now() < until {
	}
	return true
}

// finish reads answers until none is awaited, and closes everything.
func (l *loop) finish() {
	for l.underway > 0 {
		now := l.now()
		l.turn(now, now+longestNap)
	}
	for len(l.batch.notes) > 0 && !l.handIn(l.now()) {
		nap(handIn)
	}
	l.cancel()
	for _, c := range l.conns.table {
		if c.fd >= 0 {
			l.conns.drop(c)
		}
	}
	l.dials.end()
	l.poller.close()
}

// turn does one thing: it takes an event, ends a request whose time is over, or waits for
// either until shortly before the next arrival.
func (l *loop) turn(now, until time.Duration) {
	if event, ok := l.poller.next(); ok {
		l.take(&event)
		return
	}
	pause := min(until-spin-now, longestNap)
	if first := l.pending.first(); first != nil {
		if first.deadline <= now {
			if l.polled < first.deadline { // its answer may have come while this thread stood still
				l.poll(now, 0)
				return
			}
			l.giveUp(first)
			return
		}
		pause = min(pause, first.deadline-now)
	}
	if l.dials.held {
		if l.dials.again() <= now {
			l.dial()
			return
		}
		pause = min(pause, l.dials.again()-now)
	}
	if pause < shortestNap {
		pause = 0
	}
	if len(l.batch.notes) > 0 && (pause > handIn || now-l.handedIn > handIn) {
		if l.handIn(now) {
			return
		}
		pause = min(pause, handIn)
	}
	l.poll(now, pause)
}

func (l *loop) poll(now, pause time.Duration) {
	l.polled = now
	l.poller.wait(pause)
}

// handIn hands in the notes, unless that would have to wait.
func (l *loop) handIn(now time.Duration) bool {
	l.handedIn = now
	return l.notes.swap(&l.batch)
}

func (l *loop) note(n note) { l.batch.notes = append(l.batch.notes, n) }

// send begins a request.
func (l *loop) send(next arrival, intended history.Micros) {
	released := l.now()
	w, err := l.wire(&next)
	if err != nil {
		r := newRecord(next.spec, next.spec.Name(), next.seq, intended)
		l.note(note{kind: begins, released: micros(released), request: r, spec: next.spec})
		r.Done, r.Err = micros(released), err.Error()
		l.note(note{kind: ends, request: r, spec: next.spec})
		return
	}
	r := newRecord(w.spec, w.name, next.seq, intended)
	if l.underway >= l.spec.Connections {
		r.Done, r.Err = intended, l.full
		l.note(note{kind: turnedAway, released: micros(released), request: r, spec: w.spec})
		return
	}
	l.note(note{kind: begins, released: micros(released), request: r, spec: w.spec})
	e := l.begin(w, next.seq, intended)
	if c := l.conns.take(); c != nil {
		l.write(c, e)
	} else {
		l.waiting.add(&e.waiting)
		l.undialled.add(&e.undialled)
		l.dial()
	}
}

// wire is the request as it is written. The first of a kind lays it out.
func (l *loop) wire(next *arrival) (*wire, error) {
	if w, ok := l.wires[next.spec]; ok {
		return w, nil
	}
	w, err := newWire(next.spec, next.target, l.fill, *l.spec.KeepAlive)
	if err != nil {
		return nil, err
	}
	if len(l.wires) == maxWires {
		clear(l.wires)
	}
	l.wires[next.spec] = w
	return w, nil
}

// begin makes an exchange out of one that is over.
func (l *loop) begin(w *wire, seq int64, intended history.Micros) *exchange {
	var e *exchange
	if last := len(l.free) - 1; last >= 0 {
		e, l.free = l.free[last], l.free[:last]
	} else {
		e = &exchange{}
		e.pending.value, e.waiting.value, e.undialled.value = e, e, e
	}
	e.seq, e.wire, e.intended, e.sent = seq, w, intended, history.Never
	e.deadline = intended.Sub(0) + l.spec.Timeout.D()
	e.heard.reset()
	l.pending.add(&e.pending)
	l.underway++
	return e
}

// dial opens connections for those that wait, as long as there may be more.
func (l *loop) dial() {
	for l.dials.held = false; ; {
		e := l.undialled.first()
		if e == nil || l.conns.open+l.dials.atOnce >= l.spec.Connections || l.dials.atOnce >= dialsAtOnce {
			return
		}
		if l.dials.held = !l.dials.may(l.now()); l.dials.held {
			return
		}
		e.undialled.leave()
		l.dials.start(e.wire.address, e)
	}
}

// collect takes the connections that were opened. Whoever asked for one gets it, or else
// whoever waits longest.
func (l *loop) collect() {
	for _, d := range l.dials.take() {
		e := d.asker
		if e.seq != d.seq || !e.waiting.listed() {
			e = nil // it was answered over another one, or its time was over
		}
		var c *conn
		if d.err == nil {
			c, d.err = l.adopt(d.fd)
		}
		switch {
		case d.err != nil && e != nil:
			l.end(e, reason(d.err))
		case d.err != nil:
		case e != nil:
			l.write(c, e)
		default:
			l.offer(c)
		}
	}
	l.dial()
}

func (l *loop) adopt(fd int) (*conn, error) {
	c := l.conns.add(fd, l.now())
	c.parser.versionHeader, c.parser.keep = l.version, l.keep
	if err := l.poller.add(fd, c.place, c.generation); err != nil {
		l.conns.drop(c)
		return nil, err
	}
	return c, nil
}

// offer gives a connection to whoever waits longest, or keeps it.
func (l *loop) offer(c *conn) {
	if e := l.waiting.first(); e != nil {
		l.write(c, e)
		return
	}
	l.conns.idle.add(&c.idle)
}

// write sends the request.
func (l *loop) write(c *conn, e *exchange) {
	e.waiting.leave()
	e.undialled.leave()
	now := l.now()
	age := l.spec.ConnectionAge.D()
	// The last request on an old connection asks for its end.
	c.last = e.wire.closing || age > 0 && now-c.opened >= age
	c.exchange, e.conn, e.sent = e, c, micros(now)
	c.parser.reset(&e.heard, e.wire.noBody)
	l.id = strconv.AppendInt(append(l.id[:0], l.prefix...), e.seq, 10)
	text := e.wire.request(l.id, c.last)
	n, errno := transmit(c.fd, text)
	l.wrote(c, errno)
	if errno == 0 && n < len(text) {
		c.unwritten = append(c.unwritten[:0], text[n:]...)
		l.poller.alsoWritable(c.fd, c.place, c.generation, true)
	}
}

// writeOn sends more of a request that did not fit.
func (l *loop) writeOn(c *conn) {
	n, errno := transmit(c.fd, c.unwritten)
	if c.unwritten = c.unwritten[n:]; len(c.unwritten) == 0 || errno != 0 {
		c.unwritten = nil
		l.poller.alsoWritable(c.fd, c.place, c.generation, false)
	}
	l.wrote(c, errno)
}

// wrote heeds what came of writing. If the other side has closed, an event follows, and
// what it said before that can be read.
func (l *loop) wrote(c *conn, errno syscall.Errno) {
	switch errno {
	case 0:
	case unix.EPIPE, unix.ECONNRESET:
		c.broken = errno
	default:
		l.fail(c, "write: "+os.NewSyscallError("write", errno).Error())
	}
}

// take does what an event asks for.
func (l *loop) take(event *unix.EpollEvent) {
	if event.Fd == wakeupPlace {
		l.collect()
		return
	}
	c := l.conns.of(event)
	if c == nil {
		return
	}
	if event.Events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		c.last = true
	}
	if event.Events&unix.EPOLLOUT != 0 && len(c.unwritten) > 0 {
		l.writeOn(c)
	}
	if event.Events&^unix.EPOLLOUT != 0 && c.generation == event.Pad {
		l.read(c)
	}
}

// read reads once, and no more than there is a buffer for. The rest makes another event.
func (l *loop) read(c *conn) {
	n, errno := receive(c.fd, l.buffer)
	switch {
	case errno == unix.EAGAIN || errno == unix.EINTR:
	case c.exchange == nil: // closed while idle, or saying what nobody asked for
		l.drop(c)
	case errno != 0:
		l.fail(c, "read: "+os.NewSyscallError("read", errno).Error())
	case n == 0:
		if err := c.parser.end(); err != nil {
			l.fail(c, l.cut(c, err))
			return
		}
		l.answered(c, nil)
	default:
		rest, err := c.parser.feed(l.buffer[:n])
		if err != nil {
			l.fail(c, err.Error())
			return
		}
		if c.parser.done() {
			l.answered(c, rest)
		}
	}
}

// cut is why an answer ended before its time: that writing failed explains more.
func (l *loop) cut(c *conn, err error) string {
	if c.broken != 0 {
		return "write: " + os.NewSyscallError("write", c.broken).Error()
	}
	return err.Error()
}

// answered ends a request whose answer is complete; rest is what followed it.
func (l *loop) answered(c *conn, rest []byte) {
	l.end(c.exchange, "")
	c.exchange = nil
	if c.last || !c.parser.persistent || len(rest) > 0 || len(c.unwritten) > 0 || c.broken != 0 {
		l.drop(c)
		return
	}
	l.offer(c)
}

// fail ends a request that is not answered.
func (l *loop) fail(c *conn, why string) {
	l.end(c.exchange, why)
	l.drop(c)
}

// drop closes a connection, which may make room for another one.
func (l *loop) drop(c *conn) {
	l.conns.drop(c)
	l.dial()
}

// giveUp ends a request whose time is over.
func (l *loop) giveUp(e *exchange) {
	if e.conn == nil {
		l.end(e, "timeout")
		return
	}
	l.fail(e.conn, "timeout")
}

// end notes what became of a request. why is empty if it was answered.
func (l *loop) end(e *exchange, why string) {
	r := newRecord(e.wire.spec, e.wire.name, e.seq, e.intended)
	r.Sent, r.Done = e.sent, micros(l.now())
	if r.Sent.Happened() {
		r.Attempts = 1
	}
	r.Status, r.Gen, r.Err = e.heard.status, e.heard.generation, why
	r.Expected = why == "" && e.wire.spec.Expect.met(r.Status)
	n := note{kind: ends, request: r, spec: e.wire.spec}
	if r.Status > 0 {
		n.told = l.intern(e.heard.version)
	}
	if l.keepAll || !r.Expected {
		n.body = l.batch.hold(e.heard.body)
	}
	l.note(n)

	e.pending.leave()
	e.waiting.leave()
	e.undialled.leave()
	e.conn, e.wire = nil, nil
	l.free = append(l.free, e)
	l.underway--
}

// intern is a text that is kept, so that the same again allocates nothing.
func (l *loop) intern(text []byte) string {
	if kept, ok := l.interned[string(text)]; ok {
		return kept
	}
	kept := string(text)
	if len(l.interned) < maxInterned {
		l.interned[kept] = kept
	}
	return kept
}
