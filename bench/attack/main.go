package main

import (
	"context"
	"errors"
	"flag"
	"io"
	"os"
	"time"

	"github.com/cutover-dev/cutover/bench"
	"github.com/cutover-dev/cutover/bench/stalls"
)

func main() { os.Exit(bench.Main("bench-attack", run)) }

// roles are what the benchmark starts itself as.
var roles = map[string]func(ctx context.Context, in *os.File, out io.Writer) error{
	"sink":         func(_ context.Context, in *os.File, out io.Writer) error { return serve(in, out, stalls.Monotonic) },
	"streams":      serveStreams,
	"ours":         tool(attack),
	"vegeta":       tool(vegetaAttack),
	stalls.Command: func(_ context.Context, _ *os.File, out io.Writer) error { return stalls.Serve(out) },
}

func run(ctx context.Context, args []string) error {
	if len(args) == 1 && roles[args[0]] != nil {
		return roles[args[0]](ctx, os.Stdin, os.Stdout)
	}
	flags := flag.NewFlagSet("bench-attack", flag.ContinueOnError)
	out := flags.String("out", "artifacts/bench-attack.json", "where the report goes")
	at := flags.String("peers", "bin/bench-peers", "folder of unpacked packages with wrk and hey, where they are not installed")
	full := flags.Bool("full", false, "more rounds, and the black hole and the freezes at their full length: 15 minutes")
	short := flags.Bool("short", false, "one round of everything, as short as can be: for a look, not for a figure")
	if err := flags.Parse(args); err != nil {
		return err
	}
	s := usual
	switch {
	case *short:
		s = brief
	case *full:
		s = thorough
	}
	report, err := measure(ctx, s, *at)
	if err != nil {
		return err
	}
	return errors.Join(report.Write(*out), report.Table(os.Stdout))
}

// sizes are how much is measured.
type sizes struct {
	rounds  int
	lasting time.Duration // of a run whose release error is measured
	step    time.Duration // of one rate in the search for the highest
	finest  float64       // the search ends when the rates left differ by no more than this factor
	closed  time.Duration // of a run in a closed loop
	frozen  frozen
	hole    time.Duration // that the black hole lasts
}

var (
	usual = sizes{rounds: 3, lasting: 2 * time.Second, step: time.Second, finest: 1.1, closed: time.Second,
		frozen: frozen{rounds: 1, stands: 500 * time.Millisecond, every: 4 * time.Second, periods: 2}, hole: 10 * time.Second}
	thorough = sizes{rounds: 5, lasting: 4 * time.Second, step: 2 * time.Second, finest: 1.05, closed: 5 * time.Second,
		frozen: frozen{rounds: 1, stands: time.Second, every: 10 * time.Second, periods: 3}, hole: 30 * time.Second}
	brief = sizes{rounds: 1, lasting: 500 * time.Millisecond, step: 300 * time.Millisecond, finest: 1.5, closed: time.Second,
		frozen: frozen{rounds: 1, stands: 200 * time.Millisecond, every: 2 * time.Second, periods: 1}, hole: 2 * time.Second}
)

func measure(ctx context.Context, s sizes, peersAt string) (bench.Report, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends the watch, and the sink if need be
	var report bench.Report
	machine := bench.ThisMachine() // before it is busy with this
	watched, err := stalls.Watch(ctx)
	if err != nil {
		return report, err
	}
	l, err := newLab(ctx, "sink", watched, peersAt)
	if err != nil {
		return report, err
	}
	report.Head = bench.Head{
		Benchmark: "attack", Date: time.Now().UTC(), N: s.rounds, Machine: machine,
		Versions: map[string]string{
			"cutover": bench.Revision(ctx), "vegeta": bench.Module("github.com/tsenart/vegeta/v12"),
			"wrk": l.version(ctx, "wrk"), "hey": l.version(ctx, "hey"),
		},
	}
	for _, part := range []func(context.Context, *lab, sizes) ([]bench.Row, error){
		releaseRows, capacityRows, frozenRows, holeRows, protocolRows,
	} {
		rows, err := part(ctx, l, s)
		if err != nil {
			return report, errors.Join(err, l.close())
		}
		report.Rows = append(report.Rows, rows...)
	}
	return report, l.close()
}
