package loadgen

import (
	"context"
	"runtime"
	"sync"
	"time"
)

const (
	// spin is how long before an instant waiting turns from sleeping to looking at
	// the clock: about what the kernel takes to wake a thread.
	spin = 50 * time.Microsecond
	// longestNap bounds how late a cancelled wait notices.
	longestNap = 50 * time.Millisecond
)

// waitUntil returns at the instant, or at once if it is over; false if ctx was
// done first.
func waitUntil(ctx context.Context, at time.Time) bool {
	for {
		if ctx.Err() != nil {
			return false
		}
		left := time.Until(at)
		if left <= spin {
			break
		}
		nap(min(left-spin, longestNap))
	}
	for time.Now().Before(at) {
	}
	return true
}

// room is of whoever changes how many goroutines may run at a time.
var room sync.Mutex

// makeRoom lets one goroutine more run at a time, for the one that spins: it would hold
// up all others where there is but one processor, and they would hold it up where it
// comes back from waiting and finds that all are in use. Who really runs is then the
// kernel's choice. It returns the way back.
func makeRoom() (leave func()) {
	change := func(by int) {
		room.Lock()
		defer room.Unlock()
		runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + by)
	}
	change(1)
	return func() { change(-1) }
}
