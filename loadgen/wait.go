package loadgen

import (
	"context"
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
