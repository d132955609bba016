package experiment

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/cutover-dev/cutover/dependencies"
	"github.com/cutover-dev/cutover/history"
	"github.com/cutover-dev/cutover/release"
)

// onEngine is a cluster whose nodes are containers in a network of the container
// engine, so that pods reach what else is there.
type onEngine interface{ Network() string }

// dependenciesNeed says why the scenario's dependencies cannot run beside this
// cluster; "" if they can, or if there are none.
func (r *run) dependenciesNeed() string {
	if _, can := r.Cluster.(onEngine); can || len(r.scenario.Dependencies) == 0 {
		return ""
	}
	return fmt.Sprintf("the scenario has dependencies, which are containers beside the cluster, and the pods of this cluster (%s) have no way out of it: run it with --cluster kind", r.Cluster.Provider())
}

// startDependencies starts what the app needs and tells the app where it is.
func (r *run) startDependencies(ctx context.Context) (err error) {
	if len(r.scenario.Dependencies) == 0 {
		return nil
	}
	on, can := r.Cluster.(onEngine)
	if !can {
		return errors.New(r.dependenciesNeed())
	}
	r.dependencies, err = dependencies.Start(ctx, r.scenario.Dependencies, dependencies.Place{
		Run: r.id, Network: on.Network(), Ledger: r.ledger, Ledgers: r.ledgers, Images: r.built, Dial: r.Cluster.Dial,
		Ready: func(d history.Dependency) { r.tell(d) },
	})
	if err == nil {
		r.app.App, err = filledApp(r.scenario.App, r.dependencies.Values)
	}
	return err
}

// filledApp is the app with the dependencies' addresses in the place of its references
// to them.
func filledApp(app release.App, values dependencies.Values) (release.App, error) {
	var failed []error
	fill := func(env *map[string]string, command, args *[]string) {
		var inEnv, inCommand, inArgs error
		*env, inEnv = values.FillMap(*env)
		*command, inCommand = values.FillList(*command)
		*args, inArgs = values.FillList(*args)
		failed = append(failed, inEnv, inCommand, inArgs)
	}
	fill(&app.Env, &app.Command, &app.Args)
	for _, v := range []*release.Variant{&app.Baseline, &app.Candidate} {
		fill(&v.Env, &v.Command, &v.Args)
	}
	return app, errors.Join(failed...)
}

// keepLogs writes the logs of the dependencies to the record's folder of the cluster.
func (r *run) keepLogs(ctx context.Context, dir string) {
	for name, log := range r.dependencies.Logs(ctx) {
		_ = os.WriteFile(filepath.Join(dir, "dependency-"+name+".txt"), log, 0o644)
	}
}
