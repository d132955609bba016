package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/cluster/provider"
	"github.com/cutover-dev/cutover/experiment"
	"github.com/cutover-dev/cutover/history"
	"github.com/cutover-dev/cutover/reports"
	"github.com/cutover-dev/cutover/scenarios"
	"github.com/cutover-dev/cutover/verdict"
)

// runFlags are the flags of `cutover run`.
type runFlags struct {
	provider string
	name     string
	nodes    int
	reuse    bool
	keep     bool
	config   string
	registry bool
	out      string
	label    string
	seed     int64
	seeded   bool
	repeat   int    // runs of each scenario; 0 is 1
	sham     bool   // as many without its faults
	replay   string // the command that repeats the run, where its own flags do not say it
}

func runCommand() *cobra.Command {
	var f runFlags
	c := &cobra.Command{
		Use:   "run [SCENARIO.yaml | FOLDER]...",
		Short: "Run scenarios and judge them",
		Long: "Run scenarios and judge them.\n\nExit codes: 0 pass, 1 fail, 2 invalid or skipped, 3 the harness broke, 4 usage.\n" +
			"A scenario that is run with others and is marked as a control counts as passed if it got the verdict it must get.\n" +
			"With --repeat, a scenario fails if one of its runs fails, and is invalid if more than a tenth of them show nothing.",
		Example: "  cutover run scenarios/canary-slow-candidate-rolls-back.yaml --cluster embedded --out artifacts/slow\n  cutover run --label smoke\n" +
			"  cutover run release.yaml --repeat 59 --sham",
	}
	c.Flags().StringVar(&f.provider, "cluster", provider.Auto, "sort of the run's own cluster: auto, embedded or kind")
	c.Flags().StringVar(&f.name, "name", "", "run on this cluster, started by `cutover cluster up`, instead of one of its own")
	c.Flags().IntVar(&f.nodes, "nodes", 1, "number of nodes of the run's own cluster")
	c.Flags().BoolVar(&f.reuse, "reuse", false, "take the cluster of --name (default "+defaultName+") if it runs, else start it; leave it running")
	c.Flags().BoolVar(&f.keep, "keep", false, "leave the run's own cluster running, to look into it")
	config, withRegistry := kindFlags(c)
	c.Flags().StringVar(&f.out, "out", "", "folder of the record (default artifacts/<scenario>-<time>)")
	c.Flags().StringVar(&f.label, "label", "", "run only scenarios with this label")
	c.Flags().Int64Var(&f.seed, "seed", 0, "seed of all chance (default: the scenario's, or drawn and printed)")
	c.Flags().IntVar(&f.repeat, "repeat", 1, "run each scenario so often, with seeds that follow from its seed, and say what the runs show together")
	c.Flags().BoolVar(&f.sham, "sham", false, "as many runs without the faults, in between, to say what the faults did")
	c.RunE = func(c *cobra.Command, args []string) error {
		f.seeded, f.config, f.registry = c.Flags().Changed("seed"), *config, *withRegistry
		if f.name != "" && !f.reuse && c.Flags().Changed("nodes") {
			return usageError{fmt.Errorf("--nodes is for a cluster of the run's own, and cluster %s has the nodes that it was started with: leave out --nodes or --name", f.name)}
		}
		if f.keep && (f.name != "" || f.reuse) {
			return usageError{errors.New("--keep is for a cluster of the run's own, and one that has a name is left running anyway: leave out --keep, or --name and --reuse")}
		}
		return run(c.Context(), c.OutOrStdout(), args, f)
	}
	return c
}

func run(ctx context.Context, out io.Writer, paths []string, f runFlags) error {
	chosen, err := findScenarios(paths, f.label)
	if err != nil {
		return usageError{err}
	}
	if err := checkRepeats(chosen, f); err != nil {
		return usageError{err}
	}
	runs, err := onCluster(ctx, out, chosen, f)
	if err != nil {
		return err
	}
	code := verdict.SuiteExitCode(runs...)
	if len(chosen) == 1 {
		code = verdict.ExitCode(runs...)
	}
	if code != 0 {
		return exit(code)
	}
	return nil
}

// onCluster provides a cluster, runs the scenarios on it and gives it up.
func onCluster(ctx context.Context, out io.Writer, chosen []scenarios.Scenario, f runFlags) ([]verdict.Run, error) {
	up, platform, err := provide(ctx, out, f)
	if err != nil {
		return nil, err
	}
	runs, err := runAll(ctx, out, up, platform, chosen, f)
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	return runs, errors.Join(err, up.Close(closing))
}

// runAll runs the scenarios one after the other, and links their reports from a page
// if they are several.
func runAll(ctx context.Context, out io.Writer, up cluster.Cluster, platform experiment.Platform, chosen []scenarios.Scenario, f runFlags) ([]verdict.Run, error) {
	var runs []verdict.Run
	var entries []reports.IndexEntry
	root := f.out
	if root == "" {
		root = "artifacts"
	}
	for _, scenario := range chosen {
		dir := root
		if f.out == "" || len(chosen) > 1 {
			dir = filepath.Join(root, scenario.Metadata.Name+"-"+time.Now().UTC().Format("20060102-150405"))
		}
		result, page, err := runOrRepeat(ctx, out, up, platform, scenario, dir, f)
		if err != nil {
			return nil, err
		}
		runs = append(runs, result)
		entries = append(entries, experiment.IndexEntry(scenario, result, relative(root, filepath.Join(dir, page))))
		if ctx.Err() != nil {
			break
		}
	}
	if len(chosen) == 1 {
		return runs, nil
	}
	index := filepath.Join(root, "index.html")
	if err := experiment.WriteReport(index, reports.Index(entries)); err != nil {
		return nil, err
	}
	fmt.Fprintf(out, "index      %s\n", index)
	return runs, nil
}

// runOrRepeat runs a scenario once, or as a set for which one run stands. It names the
// page of it in its folder.
func runOrRepeat(ctx context.Context, out io.Writer, up cluster.Cluster, platform experiment.Platform, scenario scenarios.Scenario, dir string, f runFlags) (verdict.Run, string, error) {
	once := func(scenario scenarios.Scenario, dir string, f runFlags) (verdict.Run, error) {
		return runOne(ctx, out, up, platform, scenario, dir, f)
	}
	if f.asSet() {
		set, err := runSet(ctx, out, scenario, dir, f, once)
		return set.Standing(), "index.html", err
	}
	result, err := once(scenario, dir, f)
	return result, "report.html", err
}

// replay is the command that repeats a run.
func replay(path string, seed int64, f runFlags) string {
	command := fmt.Sprintf("cutover run %s --seed %d", path, seed)
	if f.nodes > 1 {
		command += fmt.Sprintf(" --nodes %d", f.nodes)
	}
	return command
}

func relative(root, path string) string {
	if short, err := filepath.Rel(root, path); err == nil {
		return filepath.ToSlash(short)
	}
	return path
}

func runOne(ctx context.Context, out io.Writer, up cluster.Cluster, platform experiment.Platform, scenario scenarios.Scenario, dir string, f runFlags) (verdict.Run, error) {
	seed, err := chooseSeed(scenario, f)
	if err != nil {
		return verdict.Run{}, err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return verdict.Run{}, err
	}
	terminal, panel := newPanel(out)
	lines, hide := reports.Lines(terminal), func() {}
	result, err := experiment.Run(ctx, scenario, experiment.Options{
		Cluster: up, Platform: platform, Out: dir, CacheDir: filepath.Join(cache, "cutover", "images"),
		Seed: seed, Replay: cmp.Or(f.replay, replay(scenario.Path, seed, f)),
		Watch: func(e history.Event) {
			if panel != nil {
				panel.event(e)
			}
			lines(e)
		},
		Observe:  func(live history.Live) { hide = panel.follow(live) },
		Progress: func(line string) { fmt.Fprintf(terminal, "%-10s %s\n", "build", line) },
	})
	hide()
	if err != nil {
		return result, err
	}
	if err := reports.Closing(result)(out); err != nil {
		return result, err
	}
	_, err = fmt.Fprintf(out, "%-10s %s\n", "report", filepath.Join(dir, "report.html"))
	return result, err
}

func chooseSeed(scenario scenarios.Scenario, f runFlags) (int64, error) {
	switch {
	case f.seeded:
		return f.seed, nil
	case scenario.Seeded:
		return scenario.Seed, nil
	}
	return experiment.NewSeed()
}

// provide returns the cluster to run on, with everything that runs need in it.
func provide(ctx context.Context, out io.Writer, f runFlags) (provider.Cluster, experiment.Platform, error) {
	none := experiment.Platform{}
	up, err := find(ctx, out, f)
	if up == nil && err == nil {
		up, err = start(ctx, out, f)
	}
	if err != nil {
		return nil, none, err
	}
	began := time.Now()
	platform, err := install(ctx, up)
	if err != nil {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		return nil, none, errors.Join(err, up.Close(closing))
	}
	fmt.Fprintf(out, "%-10s %s, ready in %.1f s\n", "platform", platform, time.Since(began).Seconds())
	if f.keep {
		fmt.Fprintf(out, "%-10s %s is kept; `cutover run SCENARIO --name %s` runs on it, `cutover cluster down --name %s` takes it down\n", "cluster", up.Name(), up.Name(), up.Name())
	}
	return up, platform, nil
}

// find returns the cluster that was asked for by name; nil if one has to be started.
func find(ctx context.Context, out io.Writer, f runFlags) (provider.Cluster, error) {
	if f.name == "" && !f.reuse {
		return nil, nil
	}
	if _, err := clean(ctx, out); err != nil {
		return nil, err
	}
	up, err := attach(ctx, f.provider, cmp.Or(f.name, defaultName))
	if f.reuse && errors.Is(err, provider.ErrNone) {
		return nil, nil
	}
	return up, err
}

// start starts a cluster: the run's own, or a detached one that is kept.
func start(ctx context.Context, out io.Writer, f runFlags) (provider.Cluster, error) {
	p, err := choose(ctx, out, f.provider)
	if err != nil {
		return nil, err
	}
	options := provider.Options{Nodes: f.nodes, Registry: f.registry, Owned: !f.keep && !f.reuse, Out: out}
	if err := complete(&options, p, f.config); err != nil {
		return nil, err
	}
	if f.reuse {
		options.Name = cmp.Or(f.name, defaultName)
	}
	if _, err := clean(ctx, out); err != nil {
		return nil, err
	}
	began := time.Now()
	up, err := p.Up(ctx, options)
	if err != nil {
		return nil, err
	}
	return up, sayReady(ctx, out, up, f.nodes, time.Since(began))
}

func install(ctx context.Context, up provider.Cluster) (experiment.Platform, error) {
	executable, err := os.Executable()
	if err != nil {
		return experiment.Platform{}, err
	}
	installing, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	return experiment.Install(installing, up, executable)
}
