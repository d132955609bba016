package stalls

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/cutover-dev/cutover/bench"
)

// Command is what a program starts itself with to be the process that watches for
// stalls: other work in the same process would look like one.
const Command = "watch"

const (
	// every is often enough to see any stall of twice the size of least,
	// and seldom enough not to keep the machine awake.
	every = 2 * time.Millisecond
	// least is how late a thread that comes first on its processor must be for
	// the machine, not us, to be the reason.
	least = time.Millisecond
)

// Serve is that process: it writes every stall of any processor as two instants of the
// machine's clock, until its standard input ends.
func Serve(out io.Writer) error {
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
	ComeFirst()
	for {
		due := Monotonic() + every.Nanoseconds()
		SleepUntil(due)
		if now := Monotonic(); now-due >= least.Nanoseconds() {
			report(due, now)
		}
	}
}

// ComeFirst puts the calling thread before all others and has its timers fire when
// they are due, as far as it may.
func ComeFirst() {
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
	roundRobin := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_RR, Priority: 50}
	if unix.SchedSetAttr(0, &roundRobin, 0) != nil {
		_ = unix.Setpriority(unix.PRIO_PROCESS, 0, -20)
	}
}

// Seen are the stalls that were seen so far.
type Seen struct {
	mu   sync.Mutex
	seen []Stall
}

// Stall is a time in which the machine stood still, in nanoseconds of its clock.
type Stall struct{ From, To int64 }

// NewSeen is what there is to see if nobody watches.
func NewSeen(all ...Stall) *Seen { return &Seen{seen: all} }

// Watch starts the process; it goes on until ctx ends.
func Watch(ctx context.Context) (*Seen, error) {
	cmd, _, out, err := bench.Again(ctx, Command)
	if err != nil {
		return nil, fmt.Errorf("watch for stalls: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("watch for stalls: %w", err)
	}
	s := &Seen{}
	go func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			var one Stall
			if _, err := fmt.Sscan(lines.Text(), &one.From, &one.To); err != nil {
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

// During says whether any stall touches a stretch of time.
func (s *Seen) During(from, to int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range s.seen {
		if one.From < to && from < one.To {
			return true
		}
	}
	return false
}

// Since lists the lengths of the stalls since an instant.
func (s *Seen) Since(instant int64) (lengths []time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range s.seen {
		if one.To > instant {
			lengths = append(lengths, time.Duration(one.To-one.From))
		}
	}
	return lengths
}

// Monotonic is the machine's clock in nanoseconds, the same for all processes.
func Monotonic() int64 {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &t) // it cannot fail on Linux
	return t.Nano()
}

// SleepUntil an instant of that clock.
func SleepUntil(instant int64) {
	t := unix.NsecToTimespec(instant)
	for unix.ClockNanosleep(unix.CLOCK_MONOTONIC, unix.TIMER_ABSTIME, &t, nil) == unix.EINTR {
	}
}
