package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cutover-dev/cutover/scenarios"
)

// execute runs the program's command line and returns its exit code and its error.
func execute(t *testing.T, arguments ...string) (int, string) {
	t.Helper()
	root := command()
	var out bytes.Buffer
	root.SetOut(&out)
	root.SetErr(&out)
	root.SetArgs(arguments)
	err := root.ExecuteContext(context.Background())
	text := out.String()
	if err != nil {
		text += err.Error()
	}
	return exitCode(err), text
}

func TestUsageErrors(t *testing.T) {
	dir := t.TempDir()
	empty := t.TempDir()
	for _, file := range []string{"events.ndjson", "requests.log"} {
		if err := os.WriteFile(filepath.Join(empty, file), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	shipped, err := os.ReadFile("../../scenarios/canary-slow-candidate-rolls-back.yaml")
	if err != nil {
		t.Fatal(err)
	}
	wrong := func(name, old, replacement string) string {
		changed := strings.Replace(string(shipped), old, replacement, 1)
		if changed == string(shipped) {
			t.Fatalf("%s: the scenario has no %q", name, old)
		}
		path := filepath.Join(dir, name+".yaml")
		if err := os.WriteFile(path, []byte(changed), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, row := range []struct {
		arguments []string
		want      []string // what the message must name
	}{
		// A slip of the keys: the place, and what it was meant to be.
		{[]string{"run", wrong("key", "release:", "relaese:")}, []string{"key.yaml:", "relaese", "release"}},
		// A step that the strategy does not have.
		{[]string{"run", wrong("step", "step: weight-25", "step: weight-26")}, []string{"step.yaml:", "weight-26", "weight-25"}},
		// A duration without a unit.
		{[]string{"run", wrong("duration", "for: 20s", "for: 20")}, []string{"duration.yaml:", `"20"`, "unit"}},
		// An image that is not there.
		{[]string{"run", wrong("image", "apps/shop", "apps/shed")}, []string{"image.yaml:", "apps/shed"}},
		// An image in a file that is not there.
		{[]string{"scenario", "validate", wrong("archive", "ko://./apps/shop", "oci-archive:none.tar")}, []string{"archive.yaml:6: app.image: there is no file", "none.tar", "docs/images.md"}},
		// Two answers to one question.
		{[]string{"run", wrong("twice", "action: delay,", "action: delay, duration: 5s,")}, []string{"twice.yaml:", "for", "duration"}},
		// A file that does not exist.
		{[]string{"run", filepath.Join(dir, "none.yaml")}, []string{"none.yaml"}},
		// A provider that is not built.
		{[]string{"run", "../../scenarios", "--cluster", "existing", "--label", "smoke"}, []string{"not supported yet"}},
		// A provider that nobody knows.
		{[]string{"run", "../../scenarios", "--cluster", "cloud"}, []string{"cloud", "embedded"}},
		// A cluster of nothing, and one that no machine would carry.
		{[]string{"run", "../../scenarios", "--cluster", "embedded", "--nodes", "0"}, []string{"0 nodes", "1 to 9"}},
		{[]string{"cluster", "up", "--cluster", "embedded", "--nodes", "10"}, []string{"10 nodes", "1 to 9"}},
		// How many nodes a cluster that runs already has was decided when it was started.
		{[]string{"run", "../../scenarios", "--nodes", "3", "--name", "shared"}, []string{"--nodes", "shared"}},
		// A set of nothing, and one that is to leave out faults which are not there.
		{[]string{"run", "../../scenarios", "--repeat", "0"}, []string{"--repeat 0", "at least once"}},
		{[]string{"run", "../../scenarios", "--label", "smoke", "--repeat", "-3"}, []string{"--repeat -3"}},
		{[]string{"run", "../../scenarios/canary-good-promotes.yaml", "--sham"}, []string{"--sham", "canary-good-promotes.yaml", "--label"}},
		{[]string{"run", "../../scenarios", "--repeat", "many"}, []string{"many"}},
		// A flag that nobody knows.
		{[]string{"run", "--fast"}, []string{"--fast", "--help"}},
		// A record that is none.
		{[]string{"report", dir}, []string{"events.ndjson"}},
		// The record of a run that was killed before it had written anything.
		{[]string{"report", empty}, []string{empty, "no plan"}},
		// A cluster that is none.
		{[]string{"cluster", "kubeconfig", "--name", "nobody-has-this"}, []string{"nobody-has-this", "cluster list"}},
		// A cluster that dies with the run, and is to be kept.
		{[]string{"run", "../../scenarios", "--keep", "--name", "shared"}, []string{"--keep", "--name"}},
	} {
		began := time.Now()
		code, text := execute(t, row.arguments...)
		if code != exitUsage {
			t.Errorf("%v: exit code %d, want %d (%s)", row.arguments, code, exitUsage, text)
		}
		for _, want := range row.want {
			if !strings.Contains(text, want) {
				t.Errorf("%v: the message does not name %q:\n%s", row.arguments, want, text)
			}
		}
		// Nothing was built or started for it. Generous: this is no benchmark.
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%v: refused only after %v", row.arguments, took)
		}
	}
}

func TestScenarioCommands(t *testing.T) {
	shipped, err := scenarios.Find([]string{"../../scenarios"}, "")
	if err != nil {
		t.Fatal(err)
	}
	validate := []string{"scenario", "validate"}
	for _, scenario := range shipped {
		if len(scenario.Missing()) == 0 { // archives are made by `make images`, where there is apt
			validate = append(validate, scenario.Path)
		}
	}
	if code, text := execute(t, validate...); code != 0 {
		t.Errorf("the shipped scenarios: exit code %d\n%s", code, text)
	}
	if code, text := execute(t, "scenario", "list", "../../scenarios", "--label", "gameday"); code != 0 || !strings.Contains(text, "canary-slow-candidate-rolls-back") {
		t.Errorf("exit code %d\n%s", code, text)
	}
	if code, text := execute(t, "scenario", "schema"); code != 0 || !strings.Contains(text, "$schema") {
		t.Errorf("exit code %d\n%s", code, text)
	}
}

func TestScenarioInit(t *testing.T) {
	t.Chdir(t.TempDir())
	// Somebody who has only the program is told how to begin.
	for _, arguments := range [][]string{{"run"}, {"scenario", "list"}} {
		if code, text := execute(t, arguments...); code != exitUsage || !strings.Contains(text, "cutover scenario init") {
			t.Errorf("%v in an empty folder: exit code %d\n%s", arguments, code, text)
		}
	}
	if code, text := execute(t, "scenario", "init"); code != 0 || !strings.Contains(text, "cutover run scenario.yaml") {
		t.Fatalf("exit code %d\n%s", code, text)
	}
	if code, text := execute(t, "scenario", "validate", "scenario.yaml"); code != 0 {
		t.Errorf("what was written: exit code %d\n%s", code, text)
	}
	if err := os.WriteFile("mine.yaml", []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, text := execute(t, "scenario", "init", "mine.yaml"); code != exitUsage || !strings.Contains(text, "mine.yaml exists") {
		t.Errorf("a file that is there: exit code %d\n%s", code, text)
	}
	if kept, err := os.ReadFile("mine.yaml"); err != nil || string(kept) != "mine" {
		t.Errorf("a file that was there is now %q (%v)", kept, err)
	}
	if code, text := execute(t, "scenario", "init", "no/such/folder.yaml"); code != exitUsage || !strings.Contains(text, "no such file") {
		t.Errorf("a folder that is not there: exit code %d\n%s", code, text)
	}
}

func TestVersion(t *testing.T) {
	_, command := execute(t, "version")
	_, flag := execute(t, "--version")
	if command != flag {
		t.Errorf("`version` and `--version` differ:\n%s%s", command, flag)
	}
	for _, want := range []string{"cutover", "go1.", "Kubernetes v1."} {
		if !strings.Contains(command, want) {
			t.Errorf("it does not name %q:\n%s", want, command)
		}
	}
}
