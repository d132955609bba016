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

func run(ctx context.Context, args []string) error {
	var s sizes
	flags := flag.NewFlagSet("bench-mttr", flag.ContinueOnError)
	out := flags.String("out", "artifacts/bench-mttr.json", "where the report goes")
	flags.Uint64Var(&s.seed, "seed", 7, "of all chance")
	flags.IntVar(&s.outages, "outages", 300, "of each sort")
	if err := flags.Parse(args); err != nil {
		return err
	}
	report := bench.Report{Head: bench.Head{
		Benchmark: "mttr", Date: time.Now().UTC(), N: s.outages, Machine: bench.ThisMachine(),
		Versions: map[string]string{"cutover": bench.Revision(ctx)},
	}}
	rows, err := measure(ctx, s)
	if err != nil {
		return err
	}
	report.Rows = rows
	return errors.Join(report.Write(*out), report.Table(os.Stdout))
}
