package loadgen

import (
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// keepTime readies the calling goroutine for exact naps: it has its thread to
// itself, whose timers the kernel may not round.
func keepTime() {
	runtime.LockOSThread()
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0) // without it naps are some 50 µs late, no more
}

// takeTime gives the calling goroutine a thread to itself that is in no hurry, whatever
// the others are in.
func takeTime() {
	runtime.LockOSThread()
	_ = unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), unhurried)
}

// nap sleeps for d in the kernel. The runtime's own timers may be a millisecond
// late; the deadline is absolute, so that being preempted before the call adds
// nothing. A signal may end it early.
func nap(d time.Duration) {
	var now unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &now) != nil {
		<-time.After(d)
		return
	}
	until := unix.NsecToTimespec(now.Nano() + d.Nanoseconds())
	_ = unix.ClockNanosleep(unix.CLOCK_MONOTONIC, unix.TIMER_ABSTIME, &until, nil) // the caller looks at the clock again
}
