package gates

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/cutover-dev/cutover/history"
)

// Command is a test that judges by its exit code: 0 passes, 1 to 125 fail. It is a
// program on this machine, or a Job in the cluster. A pass stands for the whole step.
type Command struct {
	Name    string            `yaml:"name,omitempty" json:"name,omitempty"`       // what readings call it
	Run     []string          `yaml:"run,omitempty" json:"run,omitempty"`         // program and arguments, without a shell; a relative path starts at the scenario's module, or its folder
	Job     *Job              `yaml:"job,omitempty" json:"job,omitempty"`         // in place of run
	Env     map[string]string `yaml:"env,omitempty" json:"env,omitempty"`         // beside CUTOVER_… and, for run, PATH, HOME, LANG and TMPDIR
	Timeout history.Duration  `yaml:"timeout,omitempty" json:"timeout,omitempty"` // of one execution; default 30s
	Steps   []string          `yaml:"steps,omitempty" json:"steps,omitempty"`     // at which it is run; default all
}

// Job is a container that runs to its end.
type Job struct {
	Image   string   `yaml:"image" json:"image"`                         // as app.image
	Command []string `yaml:"command,omitempty" json:"command,omitempty"` // in place of the image's entrypoint
	Args    []string `yaml:"args,omitempty" json:"args,omitempty"`       // in place of the image's cmd
}

// Jobs runs containers in the cluster, and tells them where the versions are. The
// error says that the container did not run to its end, and why.
type Jobs interface {
	Run(ctx context.Context, name string, job Job, env map[string]string) (Exit, error)
}

// Exit is how a program ended.
type Exit struct {
	Code   int
	Output string // the last lines of what it said
}

var _ = register("command", kind{sections: func(s Spec) []section { return list(s.Command) }})

// WithDefaults fills what was left out.
func (c Command) WithDefaults() Command {
	c.Timeout = cmp.Or(c.Timeout, history.Duration(30*time.Second))
	return c
}

func (c Command) asking() asking {
	a := asking{name: c.Name, timeout: c.Timeout.D(), steps: c.Steps, once: true}
	switch {
	case c.Job != nil:
		a.image = c.Job.Image
		a.limits = cmp.Or(c.Name, "job "+c.Job.Image) + " exits with 0"
	case len(c.Run) > 0:
		a.limits = cmp.Or(c.Name, filepath.Base(c.Run[0])) + " exits with 0"
	}
	return a
}

func (c Command) validate(fail func(key, format string, args ...any)) {
	if (len(c.Run) == 0) == (c.Job == nil) {
		fail("", "has to have exactly one of run and job")
	}
	if len(c.Run) > 0 && c.Run[0] == "" {
		fail("run", "begins with an empty text: write the program and its arguments")
	}
	texts := map[string][]string{"run": c.Run}
	if c.Job != nil {
		texts["job.command"], texts["job.args"] = c.Job.Command, c.Job.Args
	}
	for _, key := range []string{"run", "job.command", "job.args"} {
		for i, argument := range texts[key] {
			if wrong := text(argument).validate(); wrong != "" {
				fail(fmt.Sprintf("%s[%d]", key, i), "%s", wrong)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Env)) {
		if wrong := text(c.Env[name]).validate(); wrong != "" {
			fail("env."+name, "%s", wrong)
		}
		if name == "" || strings.ContainsAny(name, "= \t") {
			fail("env."+name, "is no name of a variable")
		}
		if strings.HasPrefix(name, "CUTOVER_") {
			fail("env."+name, "is given by cutover: choose another name")
		}
	}
}

func (c Command) source(name string, place Place) source {
	return command{Command: c, name: name, place: place}
}

type command struct {
	Command
	name  string
	place Place
}

func (c command) ask(ctx context.Context, q Question) Answer {
	exit, err := c.execute(ctx, q.Values)
	if err != nil {
		because := err.Error()
		if exit.Output != "" {
			because += "; it said: " + exit.Output
		}
		return noData("%s", because)
	}
	said := ""
	if exit.Output != "" {
		said = ": " + exit.Output
	}
	switch {
	case exit.Code == 0:
		return Answer{Status: Pass, Because: "exit 0" + said}
	case exit.Code >= 1 && exit.Code <= 125:
		return Answer{Status: Fail, Because: fmt.Sprintf("exit %d%s", exit.Code, said)}
	case exit.Code == 126:
		return noData("exit 126: something in it cannot be executed%s", said)
	case exit.Code == 127:
		return noData("exit 127: something in it was not found%s", said)
	}
	return noData("exit %d: it was killed%s", exit.Code, said)
}

func (c command) execute(ctx context.Context, v Values) (Exit, error) {
	env, err := fillAll(c.Env, v)
	if err != nil {
		return Exit{}, fmt.Errorf("env.%w", err)
	}
	for name, value := range map[string]string{
		"CUTOVER_RUN": v.Run, "CUTOVER_SCENARIO": v.Scenario, "CUTOVER_STEP": v.Step, "CUTOVER_GATE": c.name,
		"CUTOVER_NAMESPACE": v.Namespace, "CUTOVER_SERVICE": v.Service,
	} {
		env[name] = value
	}
	if c.Job != nil {
		return c.inCluster(ctx, v, env)
	}
	return c.here(ctx, v, env)
}

// inCluster runs the Job, which is told there how to reach the versions.
func (c command) inCluster(ctx context.Context, v Values, env map[string]string) (Exit, error) {
	if c.place.Jobs == nil {
		return Exit{}, fmt.Errorf("there is no cluster to run the Job in")
	}
	job := *c.Job
	var err error
	if job.Command, err = fillList(job.Command, v); err == nil {
		job.Args, err = fillList(job.Args, v)
	}
	if err != nil {
		return Exit{}, err
	}
	return c.place.Jobs.Run(ctx, c.name, job, env)
}

// here runs the program on this machine, which reaches the versions by ports that
// are opened for it.
func (c command) here(ctx context.Context, v Values, env map[string]string) (Exit, error) {
	argv, err := fillList(c.Run, v)
	if err != nil {
		return Exit{}, err
	}
	if c.place.Reach != nil {
		urls, stop, err := c.place.Reach(ctx)
		if err != nil {
			return Exit{}, fmt.Errorf("no way to the versions could be opened for it: %w", err)
		}
		defer stop()
		for v, url := range urls {
			env[URLVariable(v)] = url
		}
	}
	var exit Exit
	run := func(ctx context.Context) (err error) {
		exit, err = execute(ctx, c.place.Folder, argv, env)
		return err
	}
	if c.place.Processes == nil {
		return exit, run(ctx)
	}
	mark := v.Run + "/" + c.name
	env[markVariable] = mark
	err = c.place.Processes(ctx, mark, run)
	return exit, err
}

// URLVariable names the variable that says where a version is.
func URLVariable(v history.Version) string { return "CUTOVER_" + strings.ToUpper(string(v)) + "_URL" }

func fillList(list []string, v Values) ([]string, error) {
	var filled []string
	for _, item := range list {
		one, err := text(item).fill(v)
		if err != nil {
			return nil, err
		}
		filled = append(filled, one)
	}
	return filled, nil
}
