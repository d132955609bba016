package main

import (
	"context"
	"errors"
	"flag"
	"os"
	"time"

	"github.com/cutover-dev/cutover/bench"
)

func main() { os.Exit(bench.Main("bench-mttr", run)) }

// run is the benchmark, or the service that the benchmark starts itself as.
func run(ctx context.Context, args []string) error {
	if len(args) == 1 && args[0] == serveCommand {
		return serve(ctx, os.Stdin, os.Stdout)
	}
	var s sizes
	flags := flag.NewFlagSet("bench-mttr", flag.ContinueOnError)
	out := flags.String("out", "artifacts/bench-mttr.json", "where the report goes")
	flags.Uint64Var(&s.seed, "seed", 7, "of all chance")
	flags.IntVar(&s.outages, "outages", 300, "of each sort, in virtual time")
	flags.IntVar(&s.live, "live", 60, "outages of all sorts together, in real time; 4 s each")
	if err := flags.Parse(args); err != nil {
		return err
	}
	report := bench.Report{Head: bench.Head{
		Benchmark: "mttr", Date: time.Now().UTC(), N: s.outages, Machine: bench.ThisMachine(),
		Versions: map[string]string{"cutover": bench.Revision(ctx)},
	}}
	var err error
	if report.Rows, err = measure(ctx, s); err != nil {
		return err
	}
	if s.live > 0 {
		rows, err := measureLive(ctx, s)
		if err != nil {
			return err
		}
		report.Rows = append(report.Rows, rows...)
	}
	return errors.Join(report.Write(*out), report.Table(os.Stdout))
}
