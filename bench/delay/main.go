package main

import (
	"context"
	"errors"
	"flag"
	"os"
	"runtime"
	"runtime/debug"

	"github.com/cutover-dev/cutover/bench"
	"github.com/cutover-dev/cutover/bench/stalls"
	"github.com/cutover-dev/cutover/faults/agent"
)

func main() { os.Exit(bench.Main("bench-delay", run)) }

// run is the benchmark, or what the benchmark starts itself as.
func run(ctx context.Context, args []string) error {
	switch {
	case len(args) == 2 && args[0] == serveCommand:
		return serve(ctx, args[1], os.Stdin, os.Stdout)
	case len(args) == 1 && args[0] == stalls.Command:
		return stalls.Serve(os.Stdout)
	case len(args) > 0 && args[0] == agent.ExpireCommand:
		return agent.Expire(ctx, args[1:])
	}
	flags := flag.NewFlagSet("bench-delay", flag.ContinueOnError)
	out := flags.String("out", "artifacts/bench-delay.json", "where the report goes")
	short := flags.Bool("short", false, "a tenth of the exchanges: for a look, not for a figure")
	if err := flags.Parse(args); err != nil {
		return err
	}
	sizes := full
	if *short {
		sizes = brief
	}
	report, err := measure(ctx, sizes)
	if err != nil {
		return err
	}
	return errors.Join(report.Write(*out), report.Table(os.Stdout))
}

// sizes are how much is measured.
type sizes struct {
	exchanges int // for each delay
	rounds    int // of streams and flows
	flow      int // packets of a flow
	stream    int // seconds of a stream
}

var (
	full  = sizes{exchanges: 1000, rounds: 5, flow: 50_000, stream: 3}
	brief = sizes{exchanges: 100, rounds: 1, flow: 20_000, stream: 1}
)

func measure(ctx context.Context, s sizes) (bench.Report, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends the watch
	// A thread that comes first must not wait for one that does not to give up its
	// place in Go's scheduler.
	runtime.GOMAXPROCS(4 * runtime.NumCPU())
	debug.SetGCPercent(-1) // nor for a collection that does not come first; there is little to collect
	var report bench.Report
	report.Head = head(ctx, s)
	watched, err := stalls.Watch(ctx)
	if err != nil {
		return report, err
	}
	noNetem := whyNoNetem()
	for _, part := range []func(context.Context, sizes, *stalls.Seen, string) ([]bench.Row, error){
		streamRows, flowRows, exchangeRows,
	} {
		rows, err := part(ctx, s, watched, noNetem)
		if err != nil {
			return report, err
		}
		report.Rows = append(report.Rows, rows...)
	}
	return report, nil
}

// whyNoNetem is empty where the kernel has netem.
func whyNoNetem() string {
	if _, err := agent.NewNetemDriver(); err != nil {
		return err.Error()
	}
	return ""
}
