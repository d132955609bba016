package main

import (
	"context"
	"fmt"
	"io"

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
			done, err := clean(c.Context(), c.OutOrStdout())
			if err == nil && done == 0 {
				fmt.Fprintln(c.OutOrStdout(), "clean      nothing was left behind")
			}
			return err
		},
	}
}

// clean removes what dead runs left, a line for each thing, and counts them. Every
// start of a cluster does it too.
func clean(ctx context.Context, out io.Writer) (done int, err error) {
	err = experiment.Clean(ctx, func(line string) {
		done++
		fmt.Fprintf(out, "clean      %s\n", line)
	})
	return done, err
}
