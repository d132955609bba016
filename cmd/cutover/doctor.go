package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/cluster/doctor"
	"github.com/cutover-dev/cutover/cluster/embedded"
	"github.com/cutover-dev/cutover/cluster/embedded/components"
	"github.com/cutover-dev/cutover/cluster/engine"
	"github.com/cutover-dev/cutover/cluster/kind"
)

func doctorCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Explain what this machine can and cannot do, and what to do about it",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cache, err := os.UserCacheDir()
			if err != nil {
				return err
			}
			state, err := cluster.StateDir()
			if err != nil {
				return err
			}
			built, unusable := components.Built(c.Context(), components.Embedded)
			rootless, err := withoutRoot(c.Context())
			if err != nil {
				return err
			}
			lines := doctor.Check(c.Context(), doctor.Options{
				Cache: filepath.Join(cache, "cutover"), State: state, Built: built, Unusable: unusable, Rootless: rootless, Kind: onKind(c.Context()),
			})
			if err := doctor.Render(c.OutOrStdout(), lines); err != nil {
				return err
			}
			if !doctor.Usable(lines) {
				return usageError{errors.New("this machine cannot run embedded clusters; the lines marked fail say what to do")}
			}
			return nil
		},
	}
}

// kindPatience is how long the container engine has to answer doctor.
const kindPatience = 20 * time.Second

// onKind is what kind clusters find here. Nothing of it keeps embedded ones from
// running.
func onKind(ctx context.Context) []doctor.Line {
	ctx, cancel := context.WithTimeout(ctx, kindPatience)
	defer cancel()
	image, err := kind.Usable(ctx)
	if err != nil {
		return []doctor.Line{{Name: "kind", Status: doctor.Warn, Meaning: "there can be no kind clusters: " + err.Error(),
			Remedy: "none is needed for embedded clusters; else start a container engine, and build the nodes' image by `make node-image` or reach a registry"}}
	}
	lines := []doctor.Line{{Name: "kind", Status: doctor.OK, Meaning: "clusters of kind can run; their nodes are " + image}}
	if has, err := engine.HasImage(ctx, image); err != nil || !has {
		return lines // it is pulled by the first cluster, and can be tried then
	}
	grant, err := engine.Granted(ctx, image)
	switch {
	case err != nil:
		lines = append(lines, doctor.Line{Name: "kind: nodes", Status: doctor.Warn, Meaning: err.Error(),
			Remedy: "let the engine start privileged containers: it is probably in a container, or an ordinary user's"})
	case !grant.Full:
		lines = append(lines, doctor.Line{Name: "kind: nodes", Status: doctor.OK,
			Meaning: fmt.Sprintf("the engine refuses privileged containers and grants %v, which is what nodes ask for", grant)})
	}
	return lines
}

// withoutRoot is what an ordinary user's clusters find here, for doctor to say.
func withoutRoot(ctx context.Context) ([]doctor.Line, error) {
	if os.Geteuid() == 0 {
		return nil, nil
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	conditions, err := embedded.Conditions(ctx, self)
	if err != nil {
		return nil, err
	}
	var lines []doctor.Line
	for _, c := range conditions {
		line := doctor.Line{Name: "rootless: " + c.Name, Status: doctor.OK, Meaning: c.Meaning}
		if !c.Met {
			line.Status, line.Remedy = doctor.Warn, c.Fix
		}
		if !c.Met && c.Needed {
			line.Status = doctor.Fail
		}
		lines = append(lines, line)
	}
	return lines, nil
}
