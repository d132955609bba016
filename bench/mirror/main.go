package main

import (
	"context"
	"errors"
	"flag"
	"os"
	"time"

	"github.com/cutover-dev/cutover/bench"
)

func main() { os.Exit(bench.Main("bench-mirror", run)) }

func run(ctx context.Context, args []string) error {
	if len(args) > 0 && args[0] == serveCommand {
		return serve(ctx, args[1:], os.Stdin, os.Stdout)
	}
	var s sizes
	var live liveSizes
	flags := flag.NewFlagSet("bench-mirror", flag.ContinueOnError)
	out := flags.String("out", "artifacts/bench-mirror.json", "where the report goes")
	flags.Uint64Var(&s.seed, "seed", 7, "of all chance")
	flags.IntVar(&s.runs, "runs", 300, "in which nothing differs")
	flags.IntVar(&s.requests, "requests", 1_000_000, "that are compared in each of them")
	flags.IntVar(&s.delays, "delays", 300, "runs in which a field is wrong now and then")
	flags.IntVar(&live.rounds, "rounds", 9, "of loads of which nothing, a tenth and all is mirrored")
	flags.DurationVar(&live.lasting, "lasting", 2*time.Second, "how long the load of each measurement goes on")
	flags.IntVar(&live.freezes, "freezes", 5, "rounds in which what is mirrored to is frozen")
	flags.DurationVar(&live.frozen, "frozen", 2*time.Second, "how long what is mirrored to is frozen")
	flags.StringVar(&live.nginx, "nginx", "bin/images/nginx", "folder that hack/debian-root has unpacked nginx into")
	if err := flags.Parse(args); err != nil {
		return err
	}
	live.seed = int64(s.seed)
	report := bench.Report{Head: bench.Head{
		Benchmark: "mirror", Date: time.Now().UTC(), N: live.rounds, Machine: bench.ThisMachine(),
		Versions: map[string]string{"cutover": bench.Revision(ctx), "nginx": nginxVersion(ctx, live.nginx)},
	}}
	for _, measure := range []func() ([]bench.Row, error){
		func() ([]bench.Row, error) { return liveRows(ctx, live) },
		func() ([]bench.Row, error) { return alarmRows(ctx, s) },
		func() ([]bench.Row, error) { return delayRows(ctx, s) },
	} {
		rows, err := measure()
		if err != nil {
			return err
		}
		report.Rows = append(report.Rows, rows...)
	}
	return errors.Join(report.Write(*out), report.Table(os.Stdout))
}
