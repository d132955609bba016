package release

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/types"

	"github.com/cutover-dev/cutover/cluster/inside"
	"github.com/cutover-dev/cutover/history"
)

// Surroundings are what a procedure runs in.
type Surroundings struct {
	Cluster    inside.Cluster
	Executable string // the cutover program
	Root       string // folder that paths of the scenario are relative to
	// Scratch is an empty folder for the time of the run: of tools, configuration and
	// what the procedure puts into its HOME or TMPDIR.
	Scratch    string
	Kubeconfig []byte
	DNS        string // address of the cluster's
	Namespace  string
	App        App
	Gateway    types.NamespacedName // that routes of the procedure's own attach to
	Images     map[string]string    // as in [Installation]
	Programs   map[string]string    // files that the procedure's Go programs were built into, by [Procedure.Sources]
	// Own is where programs are that cutover brings along; "" if none.
	Own string
	// Told is given each line of the procedure's output.
	Told func(stream, line string)
	Log  io.Writer // all of its output as it comes
}

// Lacking says which tools this machine does not have; nil if it has all.
func (p Procedure) Lacking(own string) error {
	var lacking []error
	for _, tool := range p.Tools {
		_, err := p.find(tool, own)
		lacking = append(lacking, err)
	}
	return errors.Join(lacking...)
}

// find is the path of a tool: of the one that cutover brings along, or of the first of
// this machine's that can run with no other programs than the procedure's.
func (p Procedure) find(tool, own string) (string, error) {
	reason := "is not on this machine: install it, or add its folder to PATH"
	for _, folder := range append([]string{own}, filepath.SplitList(os.Getenv("PATH"))...) {
		path, err := exec.LookPath(filepath.Join(folder, tool))
		if folder == "" || err != nil {
			continue
		}
		needs := interpreter(path)
		if needs == "" || slices.Contains(p.Tools, needs) {
			return filepath.Abs(path)
		}
		reason = fmt.Sprintf("is a script, %s, that needs %s: add that to procedure.tools too", path, needs)
	}
	return "", fmt.Errorf("the procedure's tool %s %s", tool, reason)
}

// interpreter is the program that a script of the machine, such as the shims of version
// managers, looks for on its PATH; "" if it needs none.
func interpreter(path string) string {
	file, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer file.Close()
	line, _ := bufio.NewReader(io.LimitReader(file, 256)).ReadString('\n') // as much as there is
	words := strings.Fields(strings.TrimPrefix(line, "#!"))
	if !strings.HasPrefix(line, "#!") || len(words) < 2 || filepath.Base(words[0]) != "env" {
		return ""
	}
	return words[1]
}

// Furnish puts into the scratch folder what the procedure needs.
func (s Surroundings) Furnish(p Procedure) error {
	for _, dir := range []string{s.tools(), s.home(), s.temp()} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			return err
		}
	}
	resolver := fmt.Sprintf("nameserver %s\nsearch %s.svc.cluster.local svc.cluster.local cluster.local\noptions ndots:5\n", s.DNS, s.Namespace)
	if err := os.WriteFile(s.resolver(), []byte(resolver), 0o644); err != nil {
		return err
	}
	if err := os.WriteFile(s.kubeconfig(), s.Kubeconfig, 0o600); err != nil {
		return err
	}
	for _, tool := range p.Tools {
		path, err := p.find(tool, s.Own)
		if err != nil {
			return err
		}
		if err := os.Symlink(path, filepath.Join(s.tools(), tool)); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return nil
}

func (s Surroundings) tools() string      { return filepath.Join(s.Scratch, "tools") }
func (s Surroundings) home() string       { return filepath.Join(s.Scratch, "home") }
func (s Surroundings) temp() string       { return filepath.Join(s.Scratch, "tmp") }
func (s Surroundings) resolver() string   { return filepath.Join(s.Scratch, "resolv.conf") }
func (s Surroundings) kubeconfig() string { return filepath.Join(s.Scratch, "kubeconfig") }

// environment is all that a procedure has of one.
func (s Surroundings) environment(p Procedure) []string {
	told := map[string]string{
		"PATH": s.tools(), "HOME": s.home(), "TMPDIR": s.temp(), "LANG": "C.UTF-8", "KUBECONFIG": s.kubeconfig(),
		variableNamespace:        s.Namespace,
		variableService:          s.App.Service,
		variableHost:             Hostname(s.App.Service, s.Namespace),
		variableGateway:          s.Gateway.Name,
		variableGatewayNamespace: s.Gateway.Namespace,
		variablePort:             strconv.Itoa(s.App.Ports[httpPort]),
		variableReplicas:         strconv.Itoa(s.App.Replicas),
		variableBaselineImage:    s.Images[cmp.Or(s.App.Baseline.Image, s.App.Image)],
		variableCandidateImage:   s.Images[cmp.Or(s.App.Candidate.Image, s.App.Image)],
	}
	for name, image := range p.Images {
		told[ImageVariable(name)] = s.Images[image]
	}
	maps.Copy(told, p.Env)
	var environment []string
	for _, name := range slices.Sorted(maps.Keys(told)) {
		environment = append(environment, name+"="+told[name])
	}
	return environment
}

// What cutover tells every procedure.
const (
	ownPrefix = "CUTOVER_"

	variableNamespace        = ownPrefix + "NAMESPACE"
	variableService          = ownPrefix + "SERVICE"
	variableHost             = ownPrefix + "HOST"
	variableGateway          = ownPrefix + "GATEWAY"
	variableGatewayNamespace = ownPrefix + "GATEWAY_NAMESPACE"
	variablePort             = ownPrefix + "PORT"
	variableReplicas         = ownPrefix + "REPLICAS"
	variableBaselineImage    = ownPrefix + "BASELINE_IMAGE"
	variableCandidateImage   = ownPrefix + "CANDIDATE_IMAGE"
)

// variables are the names of all that cutover tells the procedure.
func (p Procedure) variables() []string {
	names := []string{
		variableNamespace, variableService, variableHost, variableGateway, variableGatewayNamespace,
		variablePort, variableReplicas, variableBaselineImage, variableCandidateImage,
	}
	for _, image := range slices.Sorted(maps.Keys(p.Images)) {
		names = append(names, ImageVariable(image))
	}
	return names
}

// ImageVariable is the variable that tells a procedure the reference of one of its own
// images.
func ImageVariable(name string) string {
	return ownPrefix + "IMAGE_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
}

// Reserved reports whether a procedure is told the variable by cutover.
func Reserved(variable string) bool {
	return strings.HasPrefix(variable, ownPrefix) || slices.Contains([]string{"PATH", "HOME", "TMPDIR", "KUBECONFIG"}, variable)
}

// SetUp starts what brings up the baseline of a procedure that sets up.
func (s Surroundings) SetUp(ctx context.Context, p Procedure) (Running, error) {
	if p.deployer() != nil {
		return s.deploy(ctx, p, history.Baseline)
	}
	return s.script(ctx, p, p.Setup, nil)
}

// Release starts the procedure itself.
func (s Surroundings) Release(ctx context.Context, p Procedure) (Running, error) {
	if p.deployer() != nil {
		return s.deploy(ctx, p, history.Candidate)
	}
	return s.script(ctx, p, p.Script, p.Args)
}

// SchemeGo begins a script that is a Go program, which has to be built.
const SchemeGo = "go://"

// Sources are the procedure's scripts that are Go programs, as the scenario names them.
func (p Procedure) Sources() []string {
	return slices.DeleteFunc([]string{p.Script, p.Setup}, func(script string) bool { return !strings.HasPrefix(script, SchemeGo) })
}

// script starts one of the procedure's scripts, in the script's own folder. That of a
// Go program is the root, for only some have one of their own on this machine.
func (s Surroundings) script(ctx context.Context, p Procedure, script string, args []string) (Running, error) {
	path, built := s.Programs[script]
	dir := s.Root
	if !built {
		path = filepath.Join(s.Root, script)
		dir = filepath.Dir(path)
	}
	return s.start(ctx, inside.Program{Path: path, Args: args, Dir: dir, Env: s.environment(p)})
}

// start starts a program as the system under test.
func (s Surroundings) start(ctx context.Context, program inside.Program) (Running, error) {
	output := func(stream string) *lines {
		return &lines{all: s.Log, tell: func(line string) { s.Told(stream, line) }}
	}
	stdout, stderr := output("stdout"), output("stderr")
	program.Resolver, program.Stdout, program.Stderr = s.resolver(), stdout, stderr
	process, err := inside.Start(ctx, s.Cluster, s.Executable, program)
	if err != nil {
		return nil, err
	}
	return &talking{process, []*lines{stdout, stderr}}, nil
}

// talking is a process whose last lines may have no end.
type talking struct {
	*inside.Process
	output []*lines
}

// Wait implements Running.
func (t *talking) Wait() (code int, err error) {
	code, err = t.Process.Wait()
	for _, output := range t.output {
		output.end()
	}
	return code, err
}

// longestLine is how much of a line is told, in bytes.
const longestLine = 4 << 10

// lines tells a stream line by line.
type lines struct {
	all  io.Writer
	tell func(line string)

	mu   sync.Mutex
	rest []byte
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, _ = l.all.Write(p) // a full disk must not end the procedure
	l.rest = append(l.rest, p...)
	for {
		line, rest, whole := bytes.Cut(l.rest, []byte("\n"))
		if !whole && len(l.rest) < longestLine {
			return len(p), nil
		}
		if !whole {
			line, rest = l.rest, nil
		}
		l.tell(string(line[:min(len(line), longestLine)]))
		l.rest = rest
	}
}

func (l *lines) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.rest) > 0 {
		l.tell(string(l.rest))
	}
	l.rest = nil
}

// OutputOf records lines of a procedure's output.
func OutputOf(live history.Live, sink history.Sink) func(stream, line string) {
	return func(stream, line string) {
		sink.Event(history.NewEvent(live.Now(), history.ProcedureOutput{Stream: stream, Line: line}))
	}
}
