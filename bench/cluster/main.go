package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	benchmark "github.com/cutover-dev/cutover/bench"
	"github.com/cutover-dev/cutover/cluster/embedded"
	"github.com/cutover-dev/cutover/cluster/image"
)

// exitUnmeasured says that there are no figures, or not all. What the figures are
// is no reason to fail.
const exitUnmeasured = 3

func main() {
	rounds := flag.Int("n", 5, "rounds that each median is of")
	out := flag.String("out", filepath.Join("artifacts", "bench-cluster.json"), "file of the report")
	program := flag.String("cutover", filepath.Join("bin", "cutover"), "the program that is measured")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	err := run(ctx, *rounds, *program, *out)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench-cluster:", err)
		os.Exit(exitUnmeasured)
	}
}

func run(ctx context.Context, n int, program, out string) error {
	b, err := prepare(ctx, program)
	if err != nil {
		return err
	}
	head := benchmark.Head{Benchmark: "bench-cluster", Date: time.Now().UTC(), N: n, Machine: benchmark.ThisMachine(), Versions: b.versions(ctx)}
	broken := b.rounds(ctx, n)
	report := b.report(head, broken)
	if err := report.Write(out); err != nil {
		return errors.Join(broken, err)
	}
	if err := report.Table(os.Stdout); err != nil {
		return errors.Join(broken, err)
	}
	fmt.Printf("\nreport: %s\n", out)
	return broken
}

// bench is what all rounds share, and what they gave.
type bench struct {
	program string
	app     image.Image
	built   embedded.Components

	ours, kind []figures
	starts     []map[string]float64 // the phases of ours
	noKind     string               // why there are no rounds of kind
}

// prepare does what the machine is to have done before: components, images.
func prepare(ctx context.Context, program string) (*bench, error) {
	program, err := filepath.Abs(program)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(program); err != nil {
		return nil, fmt.Errorf("build the program first, by `make build`: %w", err)
	}
	if os.Geteuid() != 0 {
		return nil, errors.New("an embedded cluster needs root: run it with sudo")
	}
	b := &bench{program: program}
	if b.built, err = embedded.EnsureComponents(ctx, os.Stderr); err != nil {
		return nil, err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, err
	}
	b.app, err = image.Build(ctx, "ko://github.com/cutover-dev/cutover/apps/shop", image.Options{CacheDir: filepath.Join(cache, "cutover", "images")})
	return b, err
}

func (b *bench) versions(ctx context.Context) map[string]string {
	return map[string]string{"cutover": benchmark.Revision(ctx), "kubernetes": embedded.KubernetesVersion}
}

// rounds lives one round that does not count, and then n.
func (b *bench) rounds(ctx context.Context, n int) error {
	for i := range n + 1 {
		r := &round{product: ours{b.program}, cluster: "bench-ours", app: b.app, program: b.program, built: b.built}
		err := r.live(ctx)
		say(os.Stderr, i, "ours", r, err)
		if i > 0 || err != nil {
			b.ours, b.starts = append(b.ours, r.figures), append(b.starts, r.phases)
		}
		if err != nil {
			return fmt.Errorf("round %d of ours: %w", i, err)
		}
	}
	return nil
}

// say tells people how it goes.
func say(out io.Writer, i int, whose string, r *round, err error) {
	what := fmt.Sprintf("round %d of %s", i, whose)
	if i == 0 {
		what += " (does not count)"
	}
	if err != nil {
		fmt.Fprintf(out, "%s: %v\n", what, err)
		return
	}
	fmt.Fprintf(out, "%s: node Ready in %.2f s, first pod in %.2f s\n", what, r.figures[nodeReady], r.figures[firstPod])
}
