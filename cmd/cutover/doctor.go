package main

import (
	"errors"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/cluster/doctor"
	"github.com/cutover-dev/cutover/cluster/embedded"
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
			built, unusable := embedded.Built(c.Context())
			lines := doctor.Check(c.Context(), doctor.Options{
				Cache: filepath.Join(cache, "cutover"), State: state, Built: built, Unusable: unusable,
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
