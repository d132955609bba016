package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/cutover-dev/cutover/history"
	"github.com/cutover-dev/cutover/stats"
)

// panel is a terminal with a line at its bottom that shows the run as it is now.
// What is written goes above it. Where the output is no terminal there is none.
type panel struct {
	out io.Writer

	mu     sync.Mutex
	live   history.Live // nil between runs
	plan   history.Plan
	step   string
	weight int
	faults map[int]bool
	drawn  bool
}

// newPanel returns out itself, and no panel, if out is no terminal.
func newPanel(out io.Writer) (io.Writer, *panel) {
	file, ok := out.(*os.File)
	if !ok {
		return out, nil
	}
	if _, err := unix.IoctlGetTermios(int(file.Fd()), unix.TCGETS); err != nil {
		return out, nil
	}
	p := &panel{out: out}
	return p, p
}

// Write puts text above the panel.
func (p *panel) Write(text []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.erase()
	return p.out.Write(text)
}

func (p *panel) erase() {
	if p.drawn {
		_, _ = io.WriteString(p.out, "\r\033[K") // a terminal that is gone must not end the run
		p.drawn = false
	}
}

// follow draws the run until the function that it returns is called.
func (p *panel) follow(live history.Live) (stop func()) {
	if p == nil {
		return func() {}
	}
	p.mu.Lock()
	p.live, p.step, p.weight, p.faults = live, "baseline", 0, map[int]bool{}
	p.mu.Unlock()
	ticker := time.NewTicker(500 * time.Millisecond)
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-ticker.C:
				p.draw()
			case <-done:
				return
			}
		}
	}()
	return func() {
		ticker.Stop()
		close(done)
		<-ended
		p.mu.Lock()
		defer p.mu.Unlock()
		p.erase()
	}
}

// event keeps what the panel shows of the run's course.
func (p *panel) event(e history.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if plan, ok := history.Decode[history.Plan](e); ok {
		p.plan = plan
	}
	if step, ok := history.Decode[history.StepBegan](e); ok {
		p.step = step.Name
	}
	if step, ok := history.Decode[history.StepLive](e); ok && step.Weight >= 0 {
		p.weight = step.Weight
	}
	if fault, ok := history.Decode[history.FaultApplied](e); ok && fault.Fault < len(p.plan.Faults) && !p.plan.Faults[fault.Fault].OneShot {
		p.faults[fault.Fault] = true
	}
	if fault, ok := history.Decode[history.FaultEnded](e); ok {
		delete(p.faults, fault.Fault)
	}
}

func (p *panel) draw() {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.live.Now()
	const window = time.Second
	var seen history.Tally
	for _, tally := range p.live.Window(now.After(-window), now).Versions {
		seen = seen.Add(tally)
	}
	p99, _ := stats.Quantile(seen.Latencies, 0.99)
	var active []string
	for i := range p.plan.Faults {
		if p.faults[i] {
			active = append(active, p.plan.Faults[i].Name)
		}
	}
	line := fmt.Sprintf("%6.1f s  %s  candidate %d %%  %d/s  bad %d  p99 %v", float64(now)/1e6, p.step, p.weight, seen.N, seen.Bad, p99.Round(time.Millisecond))
	if len(active) > 0 {
		line += "  FAULT " + strings.Join(active, ", ")
	}
	p.erase()
	_, _ = io.WriteString(p.out, line)
	p.drawn = true
}
