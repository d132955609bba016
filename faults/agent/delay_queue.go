package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/florianl/go-nfqueue/v2"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

const (
	// maxHeld is how many packets a queue holds. One more is let through at once:
	// at 20 ms it takes 3 million packets a second to get there.
	maxHeld = 1 << 16
	// socketBuffer, in bytes, holds the kernel's word of so many packets too.
	socketBuffer = 16 << 20
	// firstQueue is where the search for a free queue number starts: others who use
	// queues tend to take the low numbers.
	firstQueue, lastQueue = 27000, 27999
)

// delayQueue holds the packets that the kernel hands it and lets each go when it
// is due, never one before another that came earlier. The packets stay in the
// kernel: what comes here is only their numbers.
type delayQueue struct {
	number uint16
	nf     *nfqueue.Nfqueue
	delay  func() time.Duration
	cancel context.CancelFunc
	done   chan struct{}
	wake   chan struct{} // something is held where nothing was

	mu      sync.Mutex
	held    []packet // in order of arrival, of number and of due
	lastDue time.Time
	lastID  uint32
	open    bool // let everything through at once
}

type packet struct {
	id  uint32
	due time.Time
}

// openQueue takes the first free queue number of a network namespace.
func openQueue(netns int, delay func() time.Duration) (*delayQueue, error) {
	for number := uint16(firstQueue); number <= lastQueue; number++ {
		q, err := bindQueue(netns, number, delay)
		if errors.Is(err, unix.EBUSY) || errors.Is(err, unix.EPERM) || errors.Is(err, unix.EEXIST) {
			continue // somebody else's
		}
		return q, err
	}
	return nil, fmt.Errorf("no free packet queue: the numbers %d to %d are all taken", firstQueue, lastQueue)
}

func bindQueue(netns int, number uint16, delay func() time.Duration) (*delayQueue, error) {
	nf, err := nfqueue.Open(&nfqueue.Config{
		NetNS: netns, NfQueue: number, AfFamily: unix.AF_INET,
		Copymode: nfqueue.NfQnlCopyMeta, MaxQueueLen: maxHeld,
		Flags: nfqueue.NfQaCfgFlagFailOpen | nfqueue.NfQaCfgFlagGSO,
	})
	if err != nil {
		return nil, fmt.Errorf("open a packet queue: %w", err)
	}
	if err := errors.Join(nf.Con.SetReadBuffer(socketBuffer), nf.SetOption(netlink.NoENOBUFS, true)); err != nil {
		return nil, errors.Join(fmt.Errorf("set up packet queue %d: %w", number, err), nf.Con.Close())
	}
	ctx, cancel := context.WithCancel(context.Background())
	q := &delayQueue{
		number: number, nf: nf, delay: delay, cancel: cancel,
		done: make(chan struct{}), wake: make(chan struct{}, 1),
	}
	if err := nf.RegisterWithErrorFunc(ctx, q.arrived, ignore); err != nil {
		cancel()
		return nil, errors.Join(fmt.Errorf("bind packet queue %d: %w", number, err), nf.Con.Close())
	}
	go q.run(ctx)
	return q, nil
}

// ignore goes on after an error: most are the kernel's answers to verdicts on
// packets that went away with their device. Only a closed socket ends the reading.
func ignore(err error) int {
	if errors.Is(err, os.ErrClosed) || errors.Is(err, unix.EBADF) {
		return 1
	}
	return 0
}

func (q *delayQueue) arrived(a nfqueue.Attribute) int {
	if a.PacketID == nil {
		return 0
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	due := time.Now()
	if !q.open {
		due = due.Add(q.delay())
	}
	if due.Before(q.lastDue) && !q.open {
		due = q.lastDue
	}
	q.lastDue, q.lastID = due, *a.PacketID
	q.held = append(q.held, packet{*a.PacketID, due})
	if len(q.held) == 1 {
		q.nudge()
	}
	return 0
}

func (q *delayQueue) nudge() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// run lets packets go when they are due. A packet that arrives later is never due
// earlier, so only the first one is waited for.
func (q *delayQueue) run(ctx context.Context) {
	defer close(q.done)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		if next, some := q.release(time.Now()); some {
			left := time.Until(next)
			if left <= lastStretch {
				nap(left)
				continue
			}
			timer.Reset(left - lastStretch)
		}
		select {
		case <-timer.C:
		case <-q.wake:
		case <-ctx.Done():
			return
		}
	}
}

// lastStretch before a packet is due is slept through in the kernel, since Go's
// timers fire up to a millisecond late when nothing else happens.
const lastStretch = 2 * time.Millisecond

func nap(d time.Duration) {
	if d <= 0 {
		return
	}
	span := unix.NsecToTimespec(d.Nanoseconds())
	// Woken early by a signal, the caller looks at the time and naps again.
	_ = unix.Nanosleep(&span, nil)
}

// release lets go of all packets that are due by now, in one message to the
// kernel, and says when the next one is.
func (q *delayQueue) release(now time.Time) (next time.Time, some bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := 0
	for n < len(q.held) && (q.open || !q.held[n].due.After(now)) {
		n++
	}
	if n > 0 {
		// A failure means that the queue or the packets are gone: nothing is held then.
		_ = q.nf.SetVerdictBatch(q.held[n-1].id, nfqueue.NfAccept)
		q.held = q.held[n:]
	}
	if len(q.held) == 0 {
		return time.Time{}, false
	}
	return q.held[0].due, true
}

// close lets everything go, in order, and gives the queue back. Nothing may be
// directed into the queue any more: the kernel drops what it holds for a queue
// without an owner.
func (q *delayQueue) close() error {
	q.mu.Lock()
	q.open = true
	// Far beyond the last number seen: also what the kernel holds but has not told.
	_ = q.nf.SetVerdictBatch(q.lastID+1<<30, nfqueue.NfAccept)
	q.held = nil
	q.mu.Unlock()
	q.cancel()
	<-q.done
	if err := q.nf.Close(); err != nil {
		return fmt.Errorf("close packet queue %d: %w", q.number, err)
	}
	return nil
}
