package main

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/cutover-dev/cutover/experiment"
	"github.com/cutover-dev/cutover/faults"
	"github.com/cutover-dev/cutover/history"
	"github.com/cutover-dev/cutover/scenarios"
	"github.com/cutover-dev/cutover/verdict"
)

func TestTurns(t *testing.T) {
	const repeats = 200
	for _, sham := range []bool{false, true} {
		all := turns(7, repeats, sham)
		if !reflect.DeepEqual(all, turns(7, repeats, sham)) {
			t.Error("the same seed gives another set")
		}
		if reflect.DeepEqual(all, turns(8, repeats, sham)) {
			t.Error("another seed gives the same set")
		}
		seeds := map[int64]int{}
		for _, one := range all {
			seeds[one.seed]++
		}
		if len(seeds) != repeats {
			t.Errorf("%d seeds for %d repeats", len(seeds), repeats)
		}
		if !sham {
			continue
		}
		first := 0
		for i := 0; i < len(all); i += 2 {
			one, other := all[i], all[i+1]
			if one.pair != i/2+1 || other.pair != one.pair || one.seed != other.seed || one.sham == other.sham {
				t.Errorf("no pair: %+v and %+v", one, other)
			}
			if one.sham {
				first++
			}
		}
		// A fair coin is within three standard deviations, 21.
		if first < repeats/2-21 || first > repeats/2+21 {
			t.Errorf("the sham run is first in %d of %d pairs", first, repeats)
		}
	}
	// A longer set begins like a shorter one, so that it can be compared with it.
	if !reflect.DeepEqual(turns(7, 50, true), turns(7, repeats, true)[:100]) {
		t.Error("a longer set begins differently")
	}
}

func TestFolders(t *testing.T) {
	for _, row := range []struct {
		turn  turn
		n, of int
		want  string
	}{
		{turn{}, 3, 9, "03"},
		{turn{sham: true}, 3, 9, "03-sham"},
		{turn{}, 7, 118, "007"}, // they sort in the order in which they ran
	} {
		if got := row.turn.folder(row.n, row.of); got != row.want {
			t.Errorf("run %d of %d: %s, want %s", row.n, row.of, got, row.want)
		}
	}
}

func TestReplayOfASet(t *testing.T) {
	if got, want := replaySet("a.yaml", 7, runFlags{repeat: 5, sham: true, nodes: 3}), "cutover run a.yaml --seed 7 --nodes 3 --repeat 5 --sham"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// TestSham: a sham run differs in nothing that the release or its users could notice but
// the faults, and is not held to what they were to cause.
func TestSham(t *testing.T) {
	found, err := scenarios.Find([]string{"../../scenarios/canary-slow-candidate-rolls-back.yaml"}, "")
	if err != nil {
		t.Fatal(err)
	}
	real := found[0]
	sham := experiment.Sham(real)
	if len(sham.Faults) != 0 || sham.Expect.Outcome != "" || sham.Expect.MTTR != nil || sham.Control != nil {
		t.Errorf("faults or what they cause are still in it: %+v", sham)
	}
	if sham.Expect.Availability == nil || *sham.Expect.Availability != real.Load.SLO.Availability {
		t.Errorf("it is held to %v", sham.Expect.Availability)
	}
	if len(real.Faults) == 0 || real.Expect.Outcome == "" {
		t.Error("the scenario itself has been changed")
	}
	sham.Why, sham.Faults, sham.Expect = real.Why, real.Faults, real.Expect
	if !reflect.DeepEqual(sham, real) {
		t.Error("it differs in more than that")
	}
	var none history.Expect
	if reflect.DeepEqual(experiment.Sham(real).Expect, none) {
		t.Error("nothing is expected, so that nothing could be judged")
	}
}

func TestRunSet(t *testing.T) {
	broke := errors.New("no record could be made")
	scenario := scenarios.Scenario{Path: "a.yaml", Faults: make([]faults.Spec, 1)}
	for _, row := range []struct {
		why     string
		sham    bool
		script  []verdict.Verdict // of the runs; "" breaks before there is a record
		ran     int
		verdict verdict.Verdict
		err     error
	}{
		{"all of them", false, []verdict.Verdict{verdict.Pass, verdict.Pass, verdict.Pass}, 3, verdict.Pass, nil},
		{"what shows nothing is not run again", false, []verdict.Verdict{verdict.Invalid, verdict.Pass, verdict.Pass, verdict.Pass}, 3, verdict.Invalid, nil},
		{"nor is what failed", false, []verdict.Verdict{verdict.Pass, verdict.Fail, verdict.Pass, verdict.Pass}, 3, verdict.Fail, nil},
		{"nothing follows a broken harness", false, []verdict.Verdict{verdict.Pass, verdict.Error, verdict.Pass}, 2, verdict.Error, nil},
		{"nor one that cannot be run here", false, []verdict.Verdict{verdict.Skipped, verdict.Skipped, verdict.Skipped}, 1, verdict.Skipped, nil},
		{"with as many sham runs", true, []verdict.Verdict{verdict.Pass, verdict.Pass, verdict.Pass, verdict.Pass, verdict.Pass, verdict.Pass}, 6, verdict.Pass, nil},
		{"what ran before an error is told all the same", false, []verdict.Verdict{verdict.Pass, ""}, 1, verdict.Invalid, broke},
	} {
		dir := t.TempDir()
		faulty := 0
		var records []string
		once := func(s scenarios.Scenario, record string, f runFlags) (verdict.Run, error) {
			v := row.script[len(records)]
			if v == "" {
				return verdict.Run{}, broke
			}
			records = append(records, record)
			if len(s.Faults) > 0 {
				faulty++
			}
			if (len(s.Faults) == 0) != (f.replay != "") || !f.seeded {
				t.Errorf("%s: %s: replay %q, seeded %t", row.why, record, f.replay, f.seeded)
			}
			return verdict.Run{Verdict: v, Seed: f.seed}, os.MkdirAll(record, 0o755)
		}
		set, err := runSet(t.Context(), io.Discard, scenario, dir, runFlags{repeat: 3, sham: row.sham, seed: 7, seeded: true}, once)
		if !errors.Is(err, row.err) || len(records) != row.ran || set.Verdict != row.verdict {
			t.Errorf("%s: %d runs, %s (%s), %v", row.why, len(records), set.Verdict, set.Because, err)
		}
		if row.sham && faulty != 3 {
			t.Errorf("%s: %d of %d runs had the faults", row.why, faulty, len(records))
		}
		data, err := os.ReadFile(filepath.Join(dir, "set.json"))
		var written verdict.Set
		if err = errors.Join(err, json.Unmarshal(data, &written)); err != nil || len(written.Runs) != row.ran || written.Verdict != row.verdict {
			t.Errorf("%s: set.json has %d runs and is %s (%v)", row.why, len(written.Runs), written.Verdict, err)
		}
		for i, run := range written.Runs {
			if filepath.Join(dir, run.Record) != records[i] {
				t.Errorf("%s: run %d is told to be in %s, is in %s", row.why, i, run.Record, records[i])
			}
		}
		if _, err := os.Stat(filepath.Join(dir, "index.html")); err != nil {
			t.Errorf("%s: %v", row.why, err)
		}
	}
}

// TestReportOfASet: what is judged anew comes from the records, not from what was said of
// them before.
func TestReportOfASet(t *testing.T) {
	dir := t.TempDir()
	said := verdict.Set{Scenario: "synthetic", Repeats: verdict.Arm{Planned: 2}, Sham: &verdict.Arm{}, Replay: "cutover run a.yaml --repeat 2 --sham", Verdict: verdict.Fail}
	for i, name := range []string{"rolled-back", "promoted", "fault-unproven"} {
		record := turn{sham: i == 1}.folder(i+1, 3)
		for from, to := range map[string]string{"events.ndjson": "events.ndjson", "requests.ndjson": "requests.log"} {
			data, err := os.ReadFile(filepath.Join("../../verdict/testdata", name, from))
			if err == nil {
				err = errors.Join(os.MkdirAll(filepath.Join(dir, record), 0o755), os.WriteFile(filepath.Join(dir, record, to), data, 0o600))
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		said.Runs = append(said.Runs, verdict.SetRun{Record: record, Pair: i/2 + 1, Sham: i == 1, Verdict: verdict.Fail})
	}
	write := func() {
		data, err := json.Marshal(said)
		if err = errors.Join(err, os.WriteFile(filepath.Join(dir, "set.json"), data, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	write()
	if code, text := execute(t, "report", dir); code != 0 || !strings.Contains(text, "set        INVALID") {
		t.Errorf("exit code %d:\n%s", code, text)
	}
	data, err := os.ReadFile(filepath.Join(dir, "set.json"))
	var written verdict.Set
	if err = errors.Join(err, json.Unmarshal(data, &written)); err != nil {
		t.Fatal(err)
	}
	if r := written.Repeats; r.Planned != 2 || r.Invalid != 1 || r.Verdicts[verdict.Pass] != 1 || written.MTTR.Incidents != 1 || written.Comparison.LatencyP99Ms.Pairs != 1 || written.Replay != said.Replay {
		t.Errorf("%s", data)
	}
	said.Runs[0].Record = "../elsewhere"
	write()
	if code, text := execute(t, "report", dir); code != exitUsage || !strings.Contains(text, "../elsewhere") {
		t.Errorf("a record that is elsewhere: exit code %d\n%s", code, text)
	}
}
