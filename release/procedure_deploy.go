package release

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/cutover-dev/cutover/cluster/inside"
	"github.com/cutover-dev/cutover/history"
)

// A deployer is a section of the procedure's that says what a tool is to deploy, which
// cutover brings along as a library. A new one is its file, a field of [Procedure] and
// a line of deployers.
type deployer interface {
	// check says what is wrong with the section, in errors that begin with its key.
	check(folder checkedFolder) []error
	// patience is the timeout that the tool is given.
	patience() time.Duration
	// deploy changes over to a version, and returns when it is rolled out. It runs in a
	// process of its own, as a script does, prints what the tool prints, and may end the
	// process as the tool does.
	deploy(ctx context.Context, v history.Version, given placeholders) error
}

// deployers are those that the procedure has a section of, by its key.
func (p Procedure) deployers() map[string]deployer {
	given := map[string]deployer{}
	if p.Helm != nil {
		given["helm"] = p.Helm
	}
	if p.Kustomize != nil {
		given["kustomize"] = manifests{p.Kustomize, kustomization{}}
	}
	if p.Kubectl != nil {
		given["kubectl"] = manifests{p.Kubectl, plain{}}
	}
	return given
}

// Ways are the keys of a procedure of which one says what it is.
var Ways = []string{"script", "helm", "kustomize", "kubectl"}

// deployer is the only one of the procedure; nil of a script.
func (p Procedure) deployer() deployer {
	for _, d := range p.deployers() {
		return d
	}
	return nil
}

// Timeout is how long the tool may wait for a version to be rolled out, and its key;
// "" of a script, which nobody asks.
func (p Procedure) Timeout() (key string, patience time.Duration) {
	for name, d := range p.deployers() {
		return name + ".timeout", d.patience()
	}
	return "", 0
}

// SetsUp reports whether the procedure brings up the baseline itself.
func (p Procedure) SetsUp() bool { return p.Setup != "" || p.deployer() != nil }

// Validate says what is wrong with the sections of tools, whose files are in the
// folder root: one error a line, which begins with its key.
func (p Procedure) Validate(root string) error {
	var wrong []error
	for name, d := range p.deployers() {
		for _, err := range d.check(checkedFolder{root, placeholdersOf(p, known)}) {
			wrong = append(wrong, fmt.Errorf("%s.%w", name, err))
		}
		if d.patience() <= 0 {
			wrong = append(wrong, fmt.Errorf("%s.timeout: %s: write how long a version may take to be rolled out, such as 1m", name, d.patience()))
		}
	}
	return errors.Join(wrong...)
}

// DeployCommand is the command of the cutover program that [Deploy] serves.
const DeployCommand = "procedure"

// deployment is what the command is told.
type deployment struct {
	Procedure Procedure       `json:"procedure"`
	Version   history.Version `json:"version"`
}

// Deploy has a procedure's tool change over to a version, by the environment that it
// finds. told is what [Surroundings.SetUp] and [Surroundings.Release] start it with.
func Deploy(ctx context.Context, told string) error {
	var task deployment
	if err := json.Unmarshal([]byte(told), &task); err != nil {
		return fmt.Errorf("what is to be deployed was not said: %w", err)
	}
	tool := task.Procedure.deployer()
	if tool == nil {
		return errors.New("what is to be deployed was not said: there is no tool in it")
	}
	return tool.deploy(ctx, task.Version, placeholdersOf(task.Procedure, os.LookupEnv))
}

// told is how a deployment is written on a command line.
func (d deployment) told() (string, error) {
	text, err := json.Marshal(d)
	return string(text), err
}

// deploy starts the cutover program as the procedure's tool, in the scenario's root.
func (s Surroundings) deploy(ctx context.Context, p Procedure, v history.Version) (Running, error) {
	told, err := deployment{p, v}.told()
	if err != nil {
		return nil, err
	}
	return s.start(ctx, inside.Program{Path: s.Executable, Args: []string{DeployCommand, told}, Dir: s.Root, Env: s.environment(p)})
}

// placeholder is ${NAME}, and nothing else: what is like it is somebody else's.
var placeholder = regexp.MustCompile(`\$\{([A-Za-z_][A-Za-z0-9_]*)\}`)

// placeholders are what stands for ${NAME} in values and manifests: what a script
// finds in the variable of that name.
type placeholders map[string]string

// placeholdersOf are those of a procedure, with what look finds.
func placeholdersOf(p Procedure, look func(variable string) (value string, found bool)) placeholders {
	given := placeholders{}
	for _, name := range slices.Concat(p.variables(), slices.Collect(maps.Keys(p.Env))) {
		if value, found := look(name); found {
			given[name] = value
		}
	}
	return given
}

// known stands for values where only the names matter.
func known(string) (value string, found bool) { return "", true }

// fill replaces every placeholder that is known. One that is not, and is named as
// those of cutover are, is a mistake; others are left as they are.
func (p placeholders) fill(text string) (string, error) {
	var wrong error
	filled := placeholder.ReplaceAllStringFunc(text, func(found string) string {
		name := placeholder.FindStringSubmatch(found)[1]
		value, ok := p[name]
		switch {
		case ok:
			return value
		case strings.HasPrefix(name, ownPrefix) && wrong == nil:
			wrong = fmt.Errorf("%s is nothing that cutover says; it says %s", found, strings.Join(p.own(), ", "))
		}
		return found
	})
	return filled, wrong
}

// own are the names of those that cutover gives.
func (p placeholders) own() []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(p)), func(name string) bool { return !strings.HasPrefix(name, ownPrefix) })
}

// fillAll replaces those in all texts of a value that was read from JSON or YAML.
func (p placeholders) fillAll(value any) (filled any, err error) {
	switch value := value.(type) {
	case string:
		return p.fill(value)
	case []any:
		for i := range value {
			if value[i], err = p.fillAll(value[i]); err != nil {
				return nil, err
			}
		}
	case map[string]any:
		for key := range value {
			if value[key], err = p.fillAll(value[key]); err != nil {
				return nil, err
			}
		}
	}
	return value, nil
}

// read is a file with its placeholders filled.
func (p placeholders) read(path string) ([]byte, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	filled, err := p.fill(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return []byte(filled), nil
}

// checkedFolder is the root of a scenario, of which only names are known.
type checkedFolder struct {
	root  string
	given placeholders
}

// path checks that something is there, and returns where it lies.
func (f checkedFolder) path(key, path string) (string, os.FileInfo, error) {
	if filepath.IsAbs(path) {
		return "", nil, fmt.Errorf("%s: %s: write the path as seen from %s", key, path, f.root)
	}
	path = filepath.Join(f.root, path)
	info, err := os.Stat(path)
	if err != nil {
		return "", nil, fmt.Errorf("%s: there is no file or folder %s: write the path as seen from %s", key, path, f.root)
	}
	return path, info, nil
}

// file checks that a file is there and that its placeholders are known.
func (f checkedFolder) file(key, path string) error {
	path, info, err := f.path(key, path)
	switch {
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s: %s is no file", key, path)
	}
	if _, err := f.given.read(path); err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	return nil
}

// say prints a line of the tool's.
func say(w io.Writer, format string, args ...any) {
	_, _ = fmt.Fprintf(w, format+"\n", args...) // nobody could be told that it was lost
}
