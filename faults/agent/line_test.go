package agent

import (
	"testing"
	"time"
)

func TestLine(t *testing.T) {
	now := time.Now()
	after := func(ms int) time.Time { return now.Add(time.Duration(ms) * time.Millisecond) }
	var l line
	for id, due := range []int{10, 5, 20} { // the second is due before the first
		l.join(uint32(id), after(due))
	}
	for _, step := range []struct {
		why   string
		at    int
		last  uint32
		count int
	}{
		{"nobody leaves early, nobody overtakes", 9, 0, 0},
		{"the second leaves with the first, behind it", 10, 1, 2},
		{"nobody leaves twice", 19, 0, 0},
		{"late is better than never", 30, 2, 1},
		{"an empty line", 40, 0, 0},
	} {
		if last, count := l.leave(after(step.at)); last != step.last || count != step.count {
			t.Errorf("%s: %d left, the last was %d; want %d, %d", step.why, count, last, step.count, step.last)
		}
	}
	if _, some := l.first(); some {
		t.Error("somebody still waits")
	}
}

func TestSteadyLineNeedsNoMemory(t *testing.T) {
	now := time.Now()
	var l line
	id := uint32(0)
	pass := func() {
		now = now.Add(time.Millisecond)
		l.join(id, now.Add(20*time.Millisecond))
		l.leave(now)
		id++
	}
	for range 100 {
		pass()
	}
	if allocated := testing.AllocsPerRun(1000, pass); allocated > 0 {
		t.Errorf("%.1f allocations for each packet", allocated)
	}
}
