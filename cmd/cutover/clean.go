package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/cutover-dev/cutover/experiment"
)

func cleanCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "clean",
		Short: "Undo and remove what killed runs left behind",
		Long:  "Undo and remove what killed runs left behind: faults, routes, namespaces, clusters, cgroups and state.\nRuns and clusters that live are left alone.",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			done := 0
			err := experiment.Clean(c.Context(), func(line string) {
				done++
				fmt.Fprintf(c.OutOrStdout(), "clean      %s\n", line)
			})
			if err != nil {
				return err
			}
			if done == 0 {
				fmt.Fprintln(c.OutOrStdout(), "clean      nothing was left behind")
			}
			return nil
		},
	}
}
