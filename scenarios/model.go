package scenarios

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/cutover-dev/cutover/dependencies"
	"github.com/cutover-dev/cutover/faults"
	"github.com/cutover-dev/cutover/gates"
	"github.com/cutover-dev/cutover/history"
	"github.com/cutover-dev/cutover/loadgen"
	"github.com/cutover-dev/cutover/release"
)

// APIVersion and Kind open every scenario file.
const (
	APIVersion = "cutover.dev/v1alpha1"
	Kind       = "Scenario"
)

// Scenario is one release, what breaks it, and what must become of it.
type Scenario struct {
	APIVersion   string              `yaml:"apiVersion" json:"apiVersion"`
	Kind         string              `yaml:"kind" json:"kind"`
	Metadata     Metadata            `yaml:"metadata" json:"metadata"`
	Why          string              `yaml:"why" json:"why"`                                       // one sentence: what is promised, and to whom it matters
	App          release.App         `yaml:"app" json:"app"`                                       // the service under release and its two versions
	Dependencies []dependencies.Spec `yaml:"dependencies,omitempty" json:"dependencies,omitempty"` // what the app needs beside the cluster
	Release      release.Spec        `yaml:"release,omitempty" json:"release"`                     // how traffic moves
	Procedure    *release.Procedure  `yaml:"procedure,omitempty" json:"procedure,omitempty"`       // the user's own way to release, in place of release.strategy
	Gate         *gates.Spec         `yaml:"gate,omitempty" json:"gate,omitempty"`                 // what judges each step; without one, nothing does
	Load         loadgen.Spec        `yaml:"load" json:"load"`                                     // the users
	Faults       []faults.Spec       `yaml:"faults,omitempty" json:"faults,omitempty"`             // what breaks, and when
	Recover      history.Recover     `yaml:"recover,omitempty" json:"recover"`                     // when an incident is over
	Expect       history.Expect      `yaml:"expect" json:"expect"`                                 // what must become of it
	Control      *history.Control    `yaml:"control,omitempty" json:"control,omitempty"`
	Seed         int64               `yaml:"seed,omitempty" json:"seed,omitempty"` // of all chance in the run; without one, the caller draws it

	// Path is the file it was read from.
	Path string `yaml:"-" json:"-"`
	// Seeded says that the file gives a seed, so that 0 can be one.
	Seeded bool `yaml:"-" json:"-"`
	// Archives are the files that hold its images. They are made apart from the
	// scenario, and may not be there yet: see Missing.
	Archives []Archive `yaml:"-" json:"-"`
}

// Archive is an image in a file.
type Archive struct {
	Key  string // of the image in the scenario
	Line int    // on which it stands there
	File string // absolute
}

// Metadata names a scenario.
type Metadata struct {
	Name   string   `yaml:"name" json:"name"`                         // unique among the scenarios run together
	Labels []string `yaml:"labels,omitempty" json:"labels,omitempty"` // to choose scenarios by
	// Subject makes it one of a corpus, which tests the tester: a way to release, of
	// which some scenarios have a flaw that must be found and others have none.
	Subject string `yaml:"subject,omitempty" json:"subject,omitempty"`
	Flaw    string `yaml:"flaw,omitempty" json:"flaw,omitempty"` // what is wrong with the subject here; such a scenario is a control that must fail
}

// Missing says which archives of the scenario are not there, each on its line; none
// if all are. Without them it is a sound scenario that cannot be run here.
func (s Scenario) Missing() Problems {
	var missing Problems
	for _, a := range s.Archives {
		if !isFile(a.File) {
			missing = append(missing, Problem{File: s.Path, Line: a.Line, Key: a.Key,
				Text: fmt.Sprintf("there is no file %s: make it (docs/images.md says how; those of cutover's own scenarios: `make images`), or correct the path", a.File)})
		}
	}
	return missing
}

// HasLabel reports whether the scenario carries label.
func (s Scenario) HasLabel(label string) bool {
	return slices.Contains(s.Metadata.Labels, label)
}

// Root is the directory that relative images of the app are relative to: the Go
// module or workspace around the scenario's file, or, if there is none, the file's
// own directory.
func (s Scenario) Root() string {
	dir := filepath.Dir(s.Path)
	if root, ok := moduleAround(dir); ok {
		return root
	}
	return dir
}

// moduleAround finds the closest directory, from dir upwards, that Go programs can
// be built in.
func moduleAround(dir string) (root string, found bool) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", false
	}
	for {
		for _, file := range []string{"go.mod", "go.work"} {
			if isFile(filepath.Join(dir, file)) {
				return dir, true
			}
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", false
		}
		dir = parent
	}
}

// Hash identifies what the scenario does: the SHA-256 of its JSON form with all
// defaults filled in. Where the file lies, how it is laid out and which labels it
// carries leave the hash as it is.
func (s Scenario) Hash() string {
	s.Metadata.Labels = nil
	data, err := json.Marshal(s)
	if err != nil {
		panic(fmt.Sprintf("scenarios: %s cannot be encoded: %v", s.Metadata.Name, err))
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
