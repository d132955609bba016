package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/cutover-dev/cutover/bench"
	"github.com/cutover-dev/cutover/bench/stalls"
)

const (
	holeRate = 5000
	// connections is how many ours opens at most; arrivals without one are told unsent.
	connections = 4096
	// others are goroutines that are nobody's connection.
	others = 64
	// enough is the memory in MB at which vegeta is ended, so that the machine lives on.
	enough = 8 << 10
)

// holeRows are about what a tool takes when nobody answers.
func holeRows(ctx context.Context, l *lab, s sizes) ([]bench.Row, error) {
	began := stalls.Monotonic()
	j := job{Rate: holeRate, Lasting: s.hole, Timeout: 30 * time.Second, Seed: 1, Count: true, Addresses: l.addresses[:1]}
	ours, o, held, err := l.blackHole(ctx, "ours", j)
	if err != nil {
		return nil, err
	}
	j.Addresses = l.addresses
	vegetas, _, vegetaHeld, err := l.blackHole(ctx, "vegeta", j)
	if err != nil {
		return nil, err
	}
	name := fmt.Sprintf("%s of no answer at %d/s", s.hole, holeRate)
	samples := bench.Samples{Ours: []float64{ours}, Peer: []float64{vegetas}}
	growth := bench.Judge("memory that comes with "+name+"; beside vegeta", bench.AtMost(64, "MB"), samples, "")
	factor := bench.Judge("memory that comes with "+name+"; beside vegeta", bench.Times(20, "MB"), samples, "")
	growth.Because = fmt.Sprintf("%s: ours had %d connections, vegeta %d; the server hung up when the load was over; %s", name, held, vegetaHeld, l.told(began))
	if vegetas >= enough {
		growth.Because += fmt.Sprintf("; vegeta was ended at %d MB", enough)
	}
	factor.Because = growth.Because
	alive := bench.Judge(fmt.Sprintf("goroutines during %s, with %d connections at most", name, connections), bench.AtMost(connections+others, "goroutines"),
		bench.Samples{Ours: []float64{float64(o.Goroutines)}}, "vegeta's are not counted: it is ended before it could tell")
	books := account(j.planned(), o, seen{}, true)
	accounted := bench.Judge("requests that the books do not account for, "+name, bench.AtMost(0, "requests"), bench.Samples{Ours: []float64{float64(books.wrong)}}, "")
	accounted.Because = name + ": " + books.String()
	return []bench.Row{growth, factor, alive, accounted}, nil
}

// blackHole has a tool send where nobody answers, and returns by how many MB it grows. Ours
// ends by itself when the server hangs up at the end; vegeta is ended.
func (l *lab) blackHole(ctx context.Context, role string, j job) (grown float64, o outcome, held int, err error) {
	if _, err := l.be(manner{Holds: true}); err != nil {
		return 0, outcome{}, 0, err
	}
	tool, err := start(ctx, role, l.tools)
	if err != nil {
		return 0, outcome{}, 0, err
	}
	var told outcome
	if err := tool.ask(job{}, &told); err != nil { // it is there
		return 0, outcome{}, 0, err
	}
	before, err := resident(tool.cmd.Process.Pid, "VmRSS")
	if err != nil {
		return 0, outcome{}, 0, err
	}
	answered := make(chan error, 1)
	go func() { answered <- tool.ask(j, &told) }()
	peak, err := l.peak(ctx, tool, j.Lasting+500*time.Millisecond, answered)
	if err != nil || role != "ours" {
		tool.kill()
	}
	was, hangUp := l.be(manner{})
	if err = errors.Join(err, hangUp); err != nil || role != "ours" {
		return peak - before, outcome{}, was.Held, err
	}
	if err := <-answered; err != nil {
		return 0, outcome{}, 0, err
	}
	last, err := resident(tool.cmd.Process.Pid, "VmHWM")
	return max(peak, last) - before, told, was.Held, errors.Join(err, tool.end())
}

// peak watches a tool for so long, or until it takes more than enough.
func (l *lab) peak(ctx context.Context, tool *process, lasting time.Duration, answered chan error) (peak float64, err error) {
	over := time.NewTimer(lasting)
	defer over.Stop()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for peak < enough {
		select {
		case <-ctx.Done():
			return peak, context.Cause(ctx)
		case err := <-answered:
			if err == nil {
				err = fmt.Errorf("%s was over before the black hole was", tool.role)
			}
			return peak, err
		case <-over.C:
			return peak, nil
		case <-tick.C:
			if peak, err = resident(tool.cmd.Process.Pid, "VmHWM"); err != nil {
				return peak, err
			}
		}
	}
	return peak, nil
}

// resident is a line of a process's status that is about its memory, in MB.
func resident(pid int, field string) (float64, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(data)) {
		var kib float64
		if rest, is := strings.CutPrefix(line, field+":"); is {
			if _, err := fmt.Sscanf(rest, "%f kB", &kib); err != nil {
				return 0, fmt.Errorf("%s of process %d: %w", field, pid, err)
			}
			return kib / 1024, nil
		}
	}
	return 0, fmt.Errorf("the status of process %d has no %s", pid, field)
}
