//go:build !linux

package loadgen

import "time"

func keepTime() {}

func takeTime() {}

// nap sleeps for d, as exactly as the runtime's timers do.
func nap(d time.Duration) { <-time.After(d) }
