package loadgen

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// hurried is the niceness of a generator: it competes for the processor with what
// it measures, and a late generator measures itself.
const hurried = -15

// unhurried is that of most processes.
const unhurried = 0

// hurry puts all threads of this process before others, and threads that they make
// after them, and returns the way back. Without the right to do so nothing changes:
// lateness is measured and recorded either way.
func hurry() (relax func()) {
	before, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
	if err != nil {
		return func() {}
	}
	renice(hurried)
	// The system call answers 20 minus the niceness, which is never negative.
	return func() { renice(20 - before) }
}

func renice(niceness int) {
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return
	}
	for _, thread := range threads {
		if id, err := strconv.Atoi(thread.Name()); err == nil {
			_ = unix.Setpriority(unix.PRIO_PROCESS, id, niceness) // it may have ended
		}
	}
}
