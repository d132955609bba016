package main

import (
	"context"
	"fmt"
	"os"
	"runtime/debug"
	"strings"

	"github.com/cutover-dev/cutover/bench"
)

// memoryRows: the pods answer with ten megabytes each time, more often than can be read, so
// that as many are compared at once as ever are.
func memoryRows(ctx context.Context, s liveSizes, l *lab) ([]bench.Row, error) {
	var rows []bench.Row
	for _, answer := range []struct{ path, how string }{{largePath, "that tell it beforehand"}, {chunkedPath, "that do not tell it"}} {
		what := load{seed: s.seed, rate: 200, path: answer.path, share: 1, lasting: s.lasting}
		more, err := growth(func() error {
			o, err := what.send(ctx, l.users.addresses[0], l.pods.addresses)
			if err == nil && (o.diff.Large == 0 || o.diff.Large != o.diff.Compared) {
				err = fmt.Errorf("%d of %d answers were too large to be taken apart: the benchmark is wrong", o.diff.Large, o.diff.Compared)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		target := fmt.Sprintf("memory that comparing takes while answers have %d MiB, %s", largeBody>>20, answer.how)
		rows = append(rows, bench.Judge(target, bench.AtMost(64, "MiB"), bench.Samples{Ours: []float64{more}}, "no peer compares in a process that could be measured alone"))
	}
	return rows, nil
}

// growth is by how much this process grows while it does something, in MiB, at its largest.
func growth(do func() error) (float64, error) {
	debug.FreeOSMemory()
	// Forget how large it ever was: proc(5), 5 in clear_refs.
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
		return 0, fmt.Errorf("measure memory anew: %w", err)
	}
	before, err := status("VmRSS")
	if err != nil {
		return 0, err
	}
	if err := do(); err != nil {
		return 0, err
	}
	peak, err := status("VmHWM")
	return (peak - before) / 1024, err
}

// status is a line of this process's status, in KiB.
func status(name string) (float64, error) {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(text), name+":")
	var kib float64
	if _, err := fmt.Sscanf(rest, "%f kB", &kib); err != nil {
		return 0, fmt.Errorf("/proc/self/status has no %s: %w", name, err)
	}
	return kib, nil
}
