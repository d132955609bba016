package agent

import (
	"errors"
	"fmt"
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
	events := []unix.PollFd{{Fd: int32(q.kernel.fd), Events: unix.POLLIN}, {Fd: int32(q.stop), Events: unix.POLLIN}}
	var span unix.Timespec
	for events[1].Revents == 0 {
		var timeout *unix.Timespec
		if left, some := q.release(); some {
			span, timeout = unix.NsecToTimespec(max(0, left.Nanoseconds())), &span
		}
		events[0].Revents = 0
		if n, err := unix.Ppoll(events, timeout, nil); n > 0 && err == nil && events[0].Revents != 0 {
			q.take()
		}
	}
}

// hasten has the calling thread's timers fire when they are due, not up to 50 µs
// later, and puts it before others, as far as it may.
func hasten() {
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
	_ = unix.Setpriority(unix.PRIO_PROCESS, 0, -20)
}

// take reads which packets have come. It takes no more at a time than it can do
// without letting due ones wait.
func (q *delayQueue) take() {
	var batch [64]uint32
	n := 0
	for n < len(batch) {
		id, some := q.kernel.next()
		if !some {
			break
		}
		batch[n] = id
		n++
	}
	now := time.Now()
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, id := range batch[:n] {
		due := now
		for _, delay := range q.delays {
			if now.Before(delay.until) {
				due = due.Add(delay.draw())
			}
		}
		q.held.join(id, due)
	}
}

// release lets go of all packets that are due, in one message to the kernel, and
// says how long it is until the next one is.
func (q *delayQueue) release() (left time.Duration, some bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now()
	if last, some := q.held.leave(now); some {
		q.kernel.accept(last)
	}
	due, some := q.held.first()
	return due.Sub(now), some
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
