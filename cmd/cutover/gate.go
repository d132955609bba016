package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/cutover-dev/cutover/cluster/provider"
	"github.com/cutover-dev/cutover/experiment"
	"github.com/cutover-dev/cutover/gates/mutants"
	"github.com/cutover-dev/cutover/scenarios"
)

func gateCommand() *cobra.Command {
	c := &cobra.Command{Use: "gate", Short: "Test gates"}
	c.AddCommand(gateTestCommand(), gateMutantsCommand())
	return c
}

func gateMutantsCommand() *cobra.Command {
	return &cobra.Command{Use: "mutants", Short: "List the candidates that gates are tested with", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		table := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
		for _, m := range mutants.All() {
			fmt.Fprintf(table, "%s\t%s\t%s\n", m.Name, sortOf(m.Harmless), m.What)
		}
		return table.Flush()
	}}
}

func sortOf(harmless bool) string {
	if harmless {
		return "harmless"
	}
	return "bad"
}

// Forms in which a test of a gate is printed.
const (
	asText     = "text"
	asJSON     = "json"
	asMarkdown = "markdown"
)

func gateTestCommand() *cobra.Command {
	var f runFlags
	var only []string
	var form string
	c := &cobra.Command{
		Use:   "test SCENARIO.yaml",
		Short: "Release bad and harmless candidates under a scenario's gate and count what it catches",
		Long: "Release bad and harmless candidates under a scenario's gate and count what it catches.\n\n" +
			"The scenario must be one that promotes. Its candidate gets a proxy in front of it, in the same pod, that makes it\n" +
			"bad in one way after the other; the app itself is left as it is, and must speak plain HTTP. Strategy, gate and load\n" +
			"are the scenario's own; its faults are left out.\n\n" +
			"Exit codes: 0 all bad ones were caught and no harmless one, 1 not so, 2 some could not be judged, 3 the harness broke, 4 usage.",
		Example: "  cutover gate test scenarios/canary-good-promotes.yaml\n  cutover gate test release.yaml --only errors-1,slow-p99 --output json",
		Args:    cobra.ExactArgs(1),
	}
	c.Flags().StringVar(&f.provider, "cluster", provider.Auto, "sort of the test's own cluster: auto, embedded or kind")
	c.Flags().StringVar(&f.name, "name", "", "test on this cluster, started by `cutover cluster up`, instead of one of its own")
	c.Flags().StringVar(&f.out, "out", "", "folder of the records (default artifacts/gate-<scenario>-<time>)")
	c.Flags().Int64Var(&f.seed, "seed", 1, "seed of all chance")
	c.Flags().StringSliceVar(&only, "only", nil, "these mutants, by name (default all: `cutover gate mutants`)")
	c.Flags().StringVar(&form, "output", asText, "text, json or markdown")
	c.RunE = func(c *cobra.Command, args []string) error {
		f.nodes = 1
		chosen, err := mutants.Find(only)
		if err != nil {
			return usageError{err}
		}
		found, err := scenarios.Find(args, "")
		if err != nil {
			return usageError{err}
		}
		if len(found) != 1 {
			return usageError{fmt.Errorf("%s holds %d scenarios: name the file of one", args[0], len(found))}
		}
		if form != asText && form != asJSON && form != asMarkdown {
			return usageError{fmt.Errorf("unknown form %q: use text, json or markdown", form)}
		}
		return testGate(c.Context(), c.OutOrStdout(), found[0], chosen, form, f)
	}
	return c
}

// testGate prints lines to follow on stderr, and the result alone on out.
func testGate(ctx context.Context, out io.Writer, scenario scenarios.Scenario, chosen []mutants.Mutant, form string, f runFlags) error {
	cache, err := os.UserCacheDir()
	if err != nil {
		return err
	}
	if f.out == "" {
		f.out = filepath.Join("artifacts", "gate-"+scenario.Metadata.Name+"-"+time.Now().UTC().Format("20060102-150405"))
	}
	up, platform, err := provide(ctx, os.Stderr, f)
	if err != nil {
		return err
	}
	o := experiment.Options{
		Cluster: up, Platform: platform, Out: f.out, CacheDir: filepath.Join(cache, "cutover", "images"), Seed: f.seed,
		Replay: fmt.Sprintf("cutover gate test %s --seed %d", scenario.Path, f.seed),
	}
	result, err := experiment.TestGate(ctx, scenario, o, chosen, func(t experiment.Trial) { fmt.Fprintln(os.Stderr, trialLine(t)) })
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	if err := errors.Join(err, up.Close(closing)); err != nil {
		return err
	}
	if err := printGateTest(out, result, form); err != nil {
		return err
	}
	switch {
	case result.Killed < result.Bad || result.FalseAlarms > 0:
		return exit(1)
	case result.Unjudged > 0:
		return exit(2)
	}
	return nil
}

func trialLine(t experiment.Trial) string {
	return fmt.Sprintf("%-16s %-9s %-12s after %-8s %d bad of %d  %s", t.Mutant, sortOf(t.Harmless), said(t), caughtAfter(t), t.Bad, t.Requests, t.Because)
}

func said(t experiment.Trial) string {
	switch {
	case !t.Judged():
		return "not judged"
	case t.Harmless && t.Right():
		return "let through"
	case t.Harmless:
		return "FALSE ALARM"
	case t.Right():
		return "caught"
	}
	return "NOT CAUGHT"
}

func caughtAfter(t experiment.Trial) string {
	if t.CatchMs == nil {
		return "–"
	}
	return fmt.Sprintf("%.1f s", *t.CatchMs/1000)
}

func printGateTest(out io.Writer, g experiment.GateTest, form string) error {
	score := fmt.Sprintf("%d of %d bad candidates caught, %d false alarms in %d harmless ones", g.Killed, g.Bad, g.FalseAlarms, g.Harmless)
	if g.Unjudged > 0 {
		score += fmt.Sprintf(", %d not judged", g.Unjudged)
	}
	switch form {
	case asJSON:
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(g)
	case asMarkdown:
		fmt.Fprintf(out, "`%s`, %s: **%s**.\n\n| candidate | what it does | | after | at | bad requests |\n|---|---|---|---|---|---|\n", g.Scenario, g.Gate, score)
		for _, t := range g.Trials {
			fmt.Fprintf(out, "| %s | %s | %s | %s | %s | %d of %d |\n", t.Mutant, t.What, strings.ToLower(said(t)), caughtAfter(t), t.Step, t.Bad, t.Requests)
		}
		return nil
	}
	_, err := fmt.Fprintln(out, score)
	return err
}

// mutantProxyCommand is the container in front of a candidate that is tested.
func mutantProxyCommand() *cobra.Command {
	var port int
	var app string
	var s mutants.Setting
	c := &cobra.Command{Use: experiment.MutantCommand + " MUTANT", Hidden: true, Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
		return mutants.Serve(c.Context(), args[0], port, app, &s)
	}}
	c.Flags().IntVar(&port, "port", 0, "")
	c.Flags().StringVar(&app, "app", "", "")
	c.Flags().Float64Var(&s.Rate, "rate", 0, "")
	c.Flags().DurationVar(&s.Hold, "hold", 0, "")
	c.Flags().DurationVar(&s.Slow, "slow", 0, "")
	c.Flags().Uint64Var(&s.Seed, "seed", 0, "")
	return c
}
