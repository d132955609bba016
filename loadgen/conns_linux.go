package loadgen

import (
	"context"
	"runtime"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// conn is a connection in the hands of exchanges. It has no buffers of its own while it
// waits for an answer.
type conn struct {
	fd              int
	row, generation int32 // in the table; the generation is that of the row
	to              *place
	opened          time.Duration
	exchange        *exchange // nil if it is idle
	parser          parser
	last            bool          // no other request is sent over it
	unwritten       []byte        // of the request
	broken          syscall.Errno // of writing: the other side has closed, and may have said why before
	idle            node[conn]
}

// conns are the connections of exchanges.
type conns struct {
	table []*conn
	free  []*conn
}

// add takes a connection that was opened.
func (c *conns) add(fd int, to *place, opened time.Duration) *conn {
	var n *conn
	if last := len(c.free) - 1; last >= 0 {
		n, c.free = c.free[last], c.free[:last]
	} else {
		n = &conn{row: int32(len(c.table))}
		n.idle.value = n
		c.table = append(c.table, n)
	}
	n.fd, n.to, n.opened, n.last, n.broken, n.unwritten = fd, to, opened, false, 0, nil
	to.open++
	return n
}

// of is the connection that an event is of; nil if it was closed meanwhile.
func (c *conns) of(event *unix.EpollEvent) *conn {
	n := c.table[event.Fd]
	if n.generation != event.Pad {
		return nil
	}
	return n
}

// drop closes a connection.
func (c *conns) drop(n *conn) {
	n.idle.leave()
	shut(n.fd)
	n.fd, n.exchange = -1, nil
	n.generation++
	c.free = append(c.free, n)
	n.to.open--
}

// take is the idle connection to a place that was used last. Those that have died
// meanwhile are dropped on the way.
func (c *conns) take(to *place) *conn {
	for {
		n := to.idle.last()
		if n == nil || silent(n.fd) {
			if n != nil {
				n.idle.leave()
			}
			return n
		}
		c.drop(n)
	}
}

// dialsAtOnce bounds how many connections are being opened at the same time, each on a
// goroutine. It is what 200 requests a second need if no dial is answered within five
// seconds, and costs some 16 MB.
const dialsAtOnce = 1024

// dialsEach is how many connections are opened in a millisecond at most: what the
// processors can do, at some 0.1 ms each. Who finds no connection because the generator
// itself stood still is soon served by one that comes free; opening one for each of them
// would take the processor from the very thread that is late already.
var dialsEach = 8 * runtime.NumCPU()

// dialled is what came of opening a connection.
type dialled struct {
	asker  *exchange
	number uint64 // of the asker when it asked
	to     *place
	fd     int
	err    error
}

// dials are connections that are being opened.
type dials struct {
	dial    Dialer
	timeout time.Duration
	ctx     context.Context // of the exchanges
	wakeup  int             // an eventfd, written when one is open
	atOnce  int
	window  time.Duration // the latest millisecond in which one was begun
	begun   int           // in it
	held    bool          // one waits for the next millisecond

	mu    sync.Mutex
	ended bool
	came  []dialled
}

// may reports whether a connection may be begun now.
func (d *dials) may(now time.Duration) bool {
	if window := now.Truncate(time.Millisecond); window != d.window {
		d.window, d.begun = window, 0
	}
	return d.begun < dialsEach
}

// again is when the next one may be begun.
func (d *dials) again() time.Duration { return d.window + time.Millisecond }

// start opens a connection in the background.
func (d *dials) start(asker *exchange) {
	d.atOnce++
	d.begun++
	asker.to.dialling++
	result := dialled{asker: asker, number: asker.number, to: asker.to}
	go func() {
		result.fd, result.err = d.open(result.to.address)
		d.bring(result)
	}()
}

func (d *dials) open(address string) (int, error) {
	ctx, cancel := context.WithTimeout(d.ctx, d.timeout)
	defer cancel()
	conn, err := d.dial(ctx, "tcp", address)
	if err != nil {
		return -1, err
	}
	defer conn.Close()
	return descriptor(conn)
}

// bring hands a connection in, or closes it if nobody takes it any more.
func (d *dials) bring(result dialled) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ended {
		if result.err == nil {
			unix.Close(result.fd)
		}
		return
	}
	d.came = append(d.came, result)
	_, _ = unix.Write(d.wakeup, []byte{1, 0, 0, 0, 0, 0, 0, 0}) // a counter that is far from full
}

// take is what came since the last time. It takes nothing if it would have to wait: the
// wakeup stands, and one comes back to it.
func (d *dials) take() []dialled {
	if !d.mu.TryLock() {
		return nil
	}
	defer d.mu.Unlock()
	var counter [8]byte
	_, _ = receive(d.wakeup, counter[:])
	came := d.came
	d.came = nil
	d.atOnce -= len(came)
	for _, result := range came {
		result.to.dialling--
	}
	return came
}

// end closes what was opened and not taken, now and later.
func (d *dials) end() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ended = true
	for _, result := range d.came {
		if result.err == nil {
			unix.Close(result.fd)
		}
	}
	unix.Close(d.wakeup)
}
