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
	"runtime"
	"syscall"
	"time"

	benchmark "github.com/cutover-dev/cutover/bench"
	"github.com/cutover-dev/cutover/cluster/embedded/components"
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
	remove, err := b.findKind(ctx)
	if err != nil {
		return err
	}
	defer remove()
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
	built   components.Programs

	peer   *kind  // nil if it cannot be measured here
	noKind string // why it was not, or not to the end

	ours, kind []figures
	starts     []map[string]float64 // the phases of ours
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
	if b.built, err = components.Ensure(ctx, os.Stderr, components.Embedded); err != nil {
		return nil, err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, err
	}
	b.app, err = image.Build(ctx, "ko://github.com/cutover-dev/cutover/apps/shop", image.Options{CacheDir: filepath.Join(cache, "cutover", "images")})
	return b, err
}

// findKind sees whether the peer can be measured here.
func (b *bench) findKind(ctx context.Context) (remove func(), err error) {
	engine := docker(runDocker)
	node, missing := engine.nodeImage(ctx, os.Getenv("KIND_NODE_IMAGE"))
	if missing != "" {
		b.noKind = missing
		return func() {}, nil
	}
	dir, err := os.MkdirTemp("", "bench-kind-")
	b.peer = &kind{docker: engine, image: node, dir: dir}
	return func() { _ = os.RemoveAll(dir) }, err // it holds credentials of clusters that are gone
}

func (b *bench) versions(ctx context.Context) map[string]string {
	versions := map[string]string{"cutover": benchmark.Revision(ctx), "kubernetes": components.KubernetesVersion, "go": runtime.Version()}
	if b.peer != nil {
		versions["kind"], versions["kind node image"] = kindVersion, b.peer.image
		versions["docker"], _ = b.peer.docker(ctx, "version", "--format", "{{.Server.Version}}") // it answered a moment ago
	}
	return versions
}

// rounds lives one round of each that does not count, and then n, taking turns. An
// error of the peer ends its rounds and not ours.
func (b *bench) rounds(ctx context.Context, n int) error {
	for i := range n + 1 {
		r, err := b.round(ctx, i, ours{b.program}, "bench-ours")
		if i > 0 || err != nil {
			b.ours, b.starts = append(b.ours, r.figures), append(b.starts, r.phases)
		}
		if err != nil {
			return fmt.Errorf("round %d of ours: %w", i, err)
		}
		if b.peer == nil || b.noKind != "" {
			continue
		}
		r, err = b.round(ctx, i, b.peer, "bench-kind")
		if i > 0 {
			b.kind = append(b.kind, r.figures)
		}
		if err != nil {
			b.noKind = fmt.Sprintf("kind was not measured further: round %d: %v", i, err)
		}
	}
	return nil
}

func (b *bench) round(ctx context.Context, i int, p product, name string) (*round, error) {
	r := &round{product: p, cluster: name, app: b.app, program: b.program, built: b.built, figures: figures{}}
	err := r.live(ctx)
	say(os.Stderr, i, r, err)
	return r, err
}

// say tells people how it goes.
func say(out io.Writer, i int, r *round, err error) {
	what := fmt.Sprintf("round %d of %s", i, r.cluster)
	if i == 0 {
		what += " (does not count)"
	}
	if err != nil {
		fmt.Fprintf(out, "%s: %v\n", what, err)
		return
	}
	fmt.Fprintf(out, "%s: node Ready in %.2f s, first pod in %.2f s\n", what, r.figures[nodeReady], r.figures[firstPod])
}
