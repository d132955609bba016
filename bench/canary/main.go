package main

import (
	"context"
	"errors"
	"flag"
	"os"
	"time"

	"github.com/cutover-dev/cutover/bench"
)

func main() { os.Exit(bench.Main("bench-canary", run)) }

func run(ctx context.Context, args []string) error {
	var s sizes
	flags := flag.NewFlagSet("bench-canary", flag.ContinueOnError)
	out := flags.String("out", "artifacts/bench-canary.json", "where the report goes")
	flags.IntVar(&s.seed, "seed", 7, "of all chance")
	flags.IntVar(&s.runs, "runs", 10_000, "releases without a difference")
	flags.IntVar(&s.looks, "looks", 10_000, "requests of each, and looks")
	flags.IntVar(&s.delays, "delays", 600, "releases of a worse candidate, for each")
	flags.IntVar(&s.most, "most", 600, "seconds that one may take to be seen")
	if err := flags.Parse(args); err != nil {
		return err
	}
	report, err := measure(ctx, s)
	if err != nil {
		return err
	}
	return errors.Join(report.Write(*out), report.Table(os.Stdout))
}

func measure(ctx context.Context, s sizes) (bench.Report, error) {
	report := bench.Report{Head: bench.Head{
		Benchmark: "canary", Date: time.Now().UTC(), N: s.delays, Machine: bench.ThisMachine(),
		Versions: map[string]string{"cutover": bench.Revision(ctx)},
	}}
	for _, part := range []func(context.Context, sizes) ([]bench.Row, error){alarmRows, delayRows} {
		rows, err := part(ctx, s)
		if err != nil {
			return report, err
		}
		report.Rows = append(report.Rows, rows...)
	}
	for _, part := range []func(context.Context, sizes) (bench.Row, error){sharedRow, againRow} {
		row, err := part(ctx, s)
		if err != nil {
			return report, err
		}
		report.Rows = append(report.Rows, row)
	}
	report.Rows = append(report.Rows, costRows()...)
	return report, nil
}
