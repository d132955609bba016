package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// watchCommand is what the program starts itself with to be the process that
// watches for stalls: other work in the same process would look like one.
const watchCommand = "watch"

const (
	// watchEvery is often enough to see any stall of twice the size of stallLeast,
	// and seldom enough not to keep the machine awake.
	watchEvery = 2 * time.Millisecond
	// stallLeast is how late a thread that comes first on its processor must be for
	// the machine, not us, to be the reason.
	stallLeast = time.Millisecond
)

// watch writes every stall of any processor as two instants of the machine's clock.
func watch(out io.Writer) error {
	var cpus unix.CPUSet
	if err := unix.SchedGetaffinity(0, &cpus); err != nil {
		return fmt.Errorf("list the processors: %w", err)
	}
	runtime.GOMAXPROCS(2 * cpus.Count())
	var mu sync.Mutex
	for cpu, left := 0, cpus.Count(); left > 0; cpu++ {
		if !cpus.IsSet(cpu) {
			continue
		}
		left--
		go watchOne(cpu, func(from, to int64) {
			mu.Lock()
			defer mu.Unlock()
			fmt.Fprintln(out, from, to) // unless the parent is gone, and this ends too
		})
	}
	_, err := io.Copy(io.Discard, os.Stdin) // until the parent ends
	return err
}

func watchOne(cpu int, report func(from, to int64)) {
	runtime.LockOSThread()
	var one unix.CPUSet
	one.Set(cpu)
	_ = unix.SchedSetaffinity(0, &one)
	comeFirst()
	for {
		due := monotonic() + watchEvery.Nanoseconds()
		sleepUntil(due)
		if now := monotonic(); now-due >= stallLeast.Nanoseconds() {
			report(due, now)
		}
	}
}

// comeFirst puts the calling thread before all others and has its timers fire when
// they are due, as far as it may.
func comeFirst() {
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
	roundRobin := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_RR, Priority: 50}
	if unix.SchedSetAttr(0, &roundRobin, 0) != nil {
		_ = unix.Setpriority(unix.PRIO_PROCESS, 0, -20)
	}
}

// stalls are the times in which the machine did not run what it should have.
type stalls struct {
	mu   sync.Mutex
	seen []stall
}

type stall struct{ from, to int64 }

// watchForStalls goes on until ctx ends.
func watchForStalls(ctx context.Context) (*stalls, error) {
	cmd := exec.CommandContext(ctx, "/proc/self/exe", watchCommand)
	cmd.Stderr = os.Stderr
	if _, err := cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("watch for stalls: %w", err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("watch for stalls: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("watch for stalls: %w", err)
	}
	s := &stalls{}
	go func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			var one stall
			if _, err := fmt.Sscan(lines.Text(), &one.from, &one.to); err != nil {
				continue
			}
			s.mu.Lock()
			s.seen = append(s.seen, one)
			s.mu.Unlock()
		}
		_ = cmd.Wait()
	}()
	return s, nil
}

// during says whether any stall touches a stretch of time.
func (s *stalls) during(from, to int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range s.seen {
		if one.from < to && from < one.to {
			return true
		}
	}
	return false
}

// since lists the lengths of the stalls since an instant.
func (s *stalls) since(instant int64) (lengths []time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range s.seen {
		if one.to > instant {
			lengths = append(lengths, time.Duration(one.to-one.from))
		}
	}
	return lengths
}
