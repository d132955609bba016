package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/cluster/doctor"
	"github.com/cutover-dev/cutover/cluster/embedded"
	"github.com/cutover-dev/cutover/cluster/embedded/components"
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
				Cache: filepath.Join(cache, "cutover"), State: state, Built: built, Unusable: unusable, Rootless: rootless,
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
