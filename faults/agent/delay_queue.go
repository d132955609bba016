package agent

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"
	"k8s.io/apimachinery/pkg/types"
)

// delayQueue delays what one pod sends: it holds each packet and lets it go when it
// is due, never one before another that came earlier. A pod under several delays
// suffers their sum. The packets stay in the kernel: what comes here is only their
// numbers.
type delayQueue struct {
	kernel *kernelQueue
	stop   int // an eventfd: readable when the thread is to end
	done   chan struct{}

	mu     sync.Mutex
	delays map[types.UID]running // by fault
	held   line
}

// running is a delay from the first packet on until its time is over.
type running struct {
	draw  func() time.Duration
	until time.Time
}

func openDelayQueue(netns int) (*delayQueue, error) {
	stop, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("open a packet queue: %w", err)
	}
	kernel, err := openKernelQueue(netns)
	if err != nil {
		return nil, errors.Join(err, unix.Close(stop))
	}
	q := &delayQueue{kernel: kernel, stop: stop, done: make(chan struct{}), delays: map[types.UID]running{}}
	go q.run()
	return q, nil
}

// add a fault's delay to what every packet from now on suffers.
func (q *delayQueue) add(fault types.UID, draw func() time.Duration, until time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.delays[fault] = running{draw, until}
}

// remove a fault's delay and say how many are left. What is held already keeps to
// its time.
func (q *delayQueue) remove(fault types.UID) (left int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.delays, fault)
	return len(q.delays)
}

// run serves the queue on a thread of its own, which reads, waits and writes by
// itself: a timer of Go's would be up to a millisecond late when nothing else
// happens, and each hand-over between goroutines costs more than the packet.
func (q *delayQueue) run() {
	defer close(q.done)
	runtime.LockOSThread() // never unlocked: what hasten does ends with the thread
	hasten()
	events := []unix.PollFd{{Fd: int32(q.stop), Events: unix.POLLIN}, {Fd: int32(q.kernel.fd), Events: unix.POLLIN}}
	watched, pause := events, forever
	var span unix.Timespec
	for last := time.Now(); events[0].Revents == 0; {
		var timeout *unix.Timespec
		if pause != forever {
			span, timeout = unix.NsecToTimespec(max(0, pause.Nanoseconds())), &span
		}
		_, _ = unix.Ppoll(watched, timeout, nil) // a signal may cut it short: then nothing is due or there
		came := q.take()
		now := time.Now()
		left, gone := q.release(now)
		watched, pause = events, left
		if came+gone > 0 && now.Sub(last) < 2*breather {
			watched, pause = events[:1], breather
		}
		last = now
	}
}

const forever = time.Duration(math.MaxInt64)

// breather is how long the thread rests between packets when they follow one
// another within twice that time: most of what a packet costs is the wake-up, and
// so a dozen share it. Each may be late by so much then; seldom ones never are. It
// also keeps a flood from taking a processor for itself: a thread that comes before
// all others reads a batch at most between two rests.
const breather = 400 * time.Microsecond

// batch is so many packets.
const batch = 64

// hasten has the calling thread run at once when it is woken: timers fire when they
// are due, not up to 50 µs later, and no other work goes first. Where real-time
// priority is refused, the next best is to be nice to nobody and to ask for short
// turns, which come sooner; on a busy machine others still go first now and then.
func hasten() {
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
	roundRobin := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_RR, Priority: 1, Flags: unix.SCHED_FLAG_RESET_ON_FORK}
	if unix.SchedSetAttr(0, &roundRobin, 0) == nil {
		return
	}
	eager := unix.SchedAttr{
		Size: unix.SizeofSchedAttr, Policy: unix.SCHED_NORMAL, Nice: -20, Flags: unix.SCHED_FLAG_RESET_ON_FORK,
		Runtime: uint64(100 * time.Microsecond), // a turn; kernels before 6.12 take no notice
	}
	_ = unix.SchedSetAttr(0, &eager, 0)
}

// take reads which packets have come and says how many.
func (q *delayQueue) take() (count int) {
	var ids [batch]uint32
	for count < batch {
		id, some := q.kernel.next()
		if !some {
			break
		}
		ids[count] = id
		count++
	}
	if count == 0 {
		return 0
	}
	now := time.Now()
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, id := range ids[:count] {
		due := now
		for _, delay := range q.delays {
			if now.Before(delay.until) {
				due = due.Add(delay.draw())
			}
		}
		q.held.join(id, due)
	}
	return count
}

// release lets go of all packets that are due, in one message to the kernel. It
// says how long it is until the next one is, and how many have gone.
func (q *delayQueue) release(now time.Time) (left time.Duration, gone int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	last, gone := q.held.leave(now)
	if gone > 0 {
		q.kernel.accept(last)
	}
	due, some := q.held.first()
	if !some {
		return forever, gone
	}
	return due.Sub(now), gone
}

// close lets everything go, in order, and gives the queue back. Nothing may be
// directed into the queue any more: the kernel drops what it holds for a queue
// without an owner.
func (q *delayQueue) close() error {
	if _, err := unix.Write(q.stop, []byte{1, 0, 0, 0, 0, 0, 0, 0}); err != nil {
		return fmt.Errorf("stop the thread of packet queue %d: %w", q.kernel.number, err)
	}
	<-q.done
	// Far beyond the last number seen: also what the kernel holds but has not told.
	q.kernel.accept(q.held.last + 1<<30)
	return errors.Join(q.kernel.close(), unix.Close(q.stop))
}
