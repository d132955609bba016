package main

import (
	"context"
	"errors"
	"flag"
	"os"
	"time"

	"github.com/cutover-dev/cutover/bench"
)

func main() { os.Exit(bench.Main("bench-percentiles", run)) }

func run(ctx context.Context, args []string) error {
	var s sizes
	flags := flag.NewFlagSet("bench-percentiles", flag.ContinueOnError)
	out := flags.String("out", "artifacts/bench-percentiles.json", "where the report goes")
	flags.Uint64Var(&s.seed, "seed", 7, "of all chance")
	flags.IntVar(&s.samples, "samples", 10_000_000, "latencies of each shape")
	flags.IntVar(&s.rounds, "rounds", 5, "of what is measured in time")
	if err := flags.Parse(args); err != nil {
		return err
	}
	report := bench.Report{Head: bench.Head{
		Benchmark: "percentiles", Date: time.Now().UTC(), N: s.rounds, Machine: bench.ThisMachine(),
		Versions: map[string]string{"cutover": bench.Revision(ctx), "vegeta": bench.Module("github.com/tsenart/vegeta/v12")},
	}}
	rows, err := measure(ctx, s)
	if err != nil {
		return err
	}
	report.Rows = rows
	return errors.Join(report.Write(*out), report.Table(os.Stdout))
}
