package scenarios

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestShippedScenariosLoad(t *testing.T) {
	files, err := filepath.Glob("*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios here: %v", err)
	}
	for _, file := range files {
		began := time.Now()
		s, err := Load(file)
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("%s took %s to load", file, took)
		}
		if s.Metadata.Name != strings.TrimSuffix(file, ".yaml") {
			t.Errorf("%s is called %s", file, s.Metadata.Name)
		}
		if !s.HasLabel(s.Release.Strategy) {
			t.Errorf("%s lacks the label of its strategy", file)
		}
		if strings.HasPrefix(file, "control-") != s.HasLabel("control") {
			t.Errorf("%s: name and label do not agree on its being a control", file)
		}
	}
}

// Each subject of the corpus has forms with a flaw, and sound ones beside them.
func TestCorpus(t *testing.T) {
	found, err := Find([]string{"procedures"}, "")
	if err != nil {
		t.Fatal(err)
	}
	flawed, sound := map[string]int{}, map[string]int{}
	for _, s := range found {
		if s.Metadata.Subject == "" || !s.HasLabel("corpus") {
			t.Errorf("%s has no subject, or not the label corpus", s.Path)
		}
		if s.Metadata.Flaw != "" {
			flawed[s.Metadata.Subject]++
			if s.Control.Check == "" {
				t.Errorf("%s: any failure would count as its flaw found: name the check", s.Path)
			}
		} else {
			sound[s.Metadata.Subject]++
		}
	}
	for subject := range flawed {
		if sound[subject] == 0 {
			t.Errorf("subject %q has flaws and no sound form", subject)
		}
	}
}

func TestFindChoosesByLabel(t *testing.T) {
	found, err := Find([]string{"."}, "smoke")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range found {
		names = append(names, s.Metadata.Name)
	}
	want := []string{"canary-good-promotes", "canary-slow-candidate-rolls-back", "control-zero-delay"}
	if !slices.Equal(names, want) {
		t.Errorf("smoke finds %v, want %v", names, want)
	}
}

func TestFindSaysWhatItDidNotFind(t *testing.T) {
	for _, row := range []struct {
		paths []string
		label string
		want  string
	}{
		// A label that nothing carries.
		{[]string{"."}, "smok", `no scenario has the label "smok"; known here: a-b, `},
		// A directory without scenarios.
		{[]string{"testdata/prog"}, "", "no scenarios in testdata/prog"},
		// A path that is not there.
		{[]string{"nowhere"}, "", "nowhere"},
		// A file given twice is read once.
		{[]string{"control-zero-delay.yaml", "./control-zero-delay.yaml"}, "", ""},
	} {
		_, err := Find(row.paths, row.label)
		if row.want == "" && err != nil || row.want != "" && (err == nil || !strings.Contains(err.Error(), row.want)) {
			t.Errorf("Find(%v, %q): error %v, want %q", row.paths, row.label, err, row.want)
		}
	}
}

func TestFindReturnsTheGoodAndNamesTheBad(t *testing.T) {
	dir := t.TempDir()
	anywhere := broken(t, "ko://./scenarios/testdata/prog", "registry.example.com/shop:v1")
	write(t, filepath.Join(dir, "a.yaml"), anywhere)
	write(t, filepath.Join(dir, "b", "same.yaml"), anywhere)
	write(t, filepath.Join(dir, "b", "empty.yaml"), "")
	write(t, filepath.Join(dir, ".hidden", "no.yaml"), "")
	found, err := Find([]string{dir}, "")
	if len(found) != 2 || err == nil {
		t.Fatalf("found %d, error %v", len(found), err)
	}
	for _, want := range []string{"empty.yaml:1: empty", `same.yaml: metadata.name: "good" is also the name of`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %v lacks %q", err, want)
		}
	}
	if strings.Contains(err.Error(), "no.yaml") {
		t.Errorf("a hidden directory was read: %v", err)
	}
}
