package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"

	"github.com/cutover-dev/cutover/experiment"
	"github.com/cutover-dev/cutover/history"
	"github.com/cutover-dev/cutover/reports"
	"github.com/cutover-dev/cutover/scenarios"
	"github.com/cutover-dev/cutover/verdict"
)

// asSet reports whether each scenario is run as a set.
func (f runFlags) asSet() bool { return f.repeat > 1 || f.sham }

// checkRepeats refuses a set that would show nothing, before anything is started.
func checkRepeats(chosen []scenarios.Scenario, f runFlags) error {
	if f.repeat < 1 {
		return fmt.Errorf("--repeat %d: a scenario is run at least once", f.repeat)
	}
	var faultless []string
	for _, scenario := range chosen {
		if f.sham && len(scenario.Faults) == 0 {
			faultless = append(faultless, scenario.Path)
		}
	}
	if len(faultless) > 0 {
		return fmt.Errorf("--sham is for scenarios with faults, to see what happens without them, and there are none in %s: leave out --sham, or choose others with --label", strings.Join(faultless, ", "))
	}
	return nil
}

// setFile is where a set is written, in its folder.
const setFile = "set.json"

// turn is one run of a set.
type turn struct {
	pair int // from 1
	sham bool
	seed int64
}

// Streams of chance from the seed of a set.
const (
	seedStream  = 1
	orderStream = 2
)

// turns are the runs of a set in their order. Each pair has a seed of its own, which is the
// same with the faults and without, so that both get the same load. Which of them comes
// first is drawn: what drifts while the set runs falls on both alike.
func turns(seed int64, repeats int, sham bool) []turn {
	seeds, order := rand.New(rand.NewPCG(uint64(seed), seedStream)), rand.New(rand.NewPCG(uint64(seed), orderStream))
	var all []turn
	for pair := 1; pair <= repeats; pair++ {
		one := turn{pair: pair, seed: seeds.Int64N(1_000_000_000)} // small enough to be typed again
		if !sham {
			all = append(all, one)
			continue
		}
		other := one
		one.sham = order.IntN(2) == 0
		other.sham = !one.sham
		all = append(all, one, other)
	}
	return all
}

// folder is where the record of the nth of so many runs goes, below the set's.
func (t turn) folder(n, of int) string {
	name := fmt.Sprintf("%0*d", max(2, len(fmt.Sprint(of))), n)
	if t.sham {
		name += "-sham"
	}
	return name
}

// runner runs a scenario once, and leaves its record in a folder.
type runner func(scenario scenarios.Scenario, dir string, f runFlags) (verdict.Run, error)

// runSet runs a scenario again and again, one run after the other, and writes what they
// show together beside their records. It ends early when the harness broke, since what was
// left behind would be in all that follows, and when the cluster cannot run the scenario.
func runSet(ctx context.Context, out io.Writer, scenario scenarios.Scenario, dir string, f runFlags, once runner) (verdict.Set, error) {
	seed, err := chooseSeed(scenario, f)
	if err != nil {
		return verdict.Set{}, err
	}
	plan := verdict.SetPlan{Scenario: scenario.Metadata.Name, Seed: seed, Repeats: f.repeat, Sham: f.sham, Replay: replaySet(scenario.Path, seed, f)}
	var runs []verdict.Repeat
	var entries []reports.IndexEntry
	all := turns(seed, f.repeat, f.sham)
	for i, t := range all {
		under := f
		under.seed, under.seeded = t.seed, true
		this := scenario
		if t.sham {
			this, under.replay = experiment.Sham(scenario), plan.Replay
		}
		record := t.folder(i+1, len(all))
		fmt.Fprintf(out, "\n%-10s %d of %d: %s\n", "set", i+1, len(all), record)
		var result verdict.Run
		if result, err = once(this, filepath.Join(dir, record), under); err != nil {
			break
		}
		runs = append(runs, verdict.Repeat{Record: record, Pair: t.pair, Sham: t.sham, Run: result})
		entries = append(entries, experiment.IndexEntry(this, result, record+"/report.html"))
		if ctx.Err() != nil || result.Verdict == verdict.Error || result.Verdict == verdict.Skipped {
			break
		}
	}
	set := verdict.JudgeSet(plan, runs)
	if len(runs) == 0 {
		return set, err
	}
	return set, errors.Join(err, writeSet(out, dir, set, entries))
}

func writeSet(out io.Writer, dir string, set verdict.Set, entries []reports.IndexEntry) error {
	page := filepath.Join(dir, "index.html")
	if err := errors.Join(experiment.WriteReport(filepath.Join(dir, setFile), reports.SetJSON(set)), experiment.WriteReport(page, reports.SetPage(set, entries))); err != nil {
		return err
	}
	if err := reports.SetClosing(set)(out); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "%-10s %s\n", "report", page)
	return err
}

// replaySet is the command that repeats a set.
func replaySet(path string, seed int64, f runFlags) string {
	command := replay(path, seed, f) + fmt.Sprintf(" --repeat %d", f.repeat)
	if f.sham {
		command += " --sham"
	}
	return command
}

// isSet reports whether a folder is that of a set.
func isSet(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, setFile))
	return err == nil
}

// reportSet judges each record of a set again, and then the set.
func reportSet(out io.Writer, dir string) error {
	data, err := os.ReadFile(filepath.Join(dir, setFile))
	if err != nil {
		return usageError{err}
	}
	var old verdict.Set
	if err := json.Unmarshal(data, &old); err != nil {
		return usageError{fmt.Errorf("%s: %w", filepath.Join(dir, setFile), err)}
	}
	var runs []verdict.Repeat
	var entries []reports.IndexEntry
	for _, run := range old.Runs {
		if !filepath.IsLocal(run.Record) {
			return usageError{fmt.Errorf("%s names a record %q, which is not in its folder", filepath.Join(dir, setFile), run.Record)}
		}
		result, err := experiment.Report(filepath.Join(dir, run.Record))
		if err != nil {
			return usageError{err}
		}
		h, err := history.Read(filepath.Join(dir, run.Record))
		if err != nil {
			return err
		}
		runs = append(runs, verdict.Repeat{Record: run.Record, Pair: run.Pair, Sham: run.Sham, Run: result})
		entries = append(entries, reports.IndexEntry{Plan: h.Plan, Run: result, Link: run.Record + "/report.html"})
	}
	plan := verdict.SetPlan{Scenario: old.Scenario, Seed: old.Seed, Repeats: old.Repeats.Planned, Sham: old.Sham != nil, Replay: old.Replay}
	return writeSet(out, dir, verdict.JudgeSet(plan, runs), entries)
}
