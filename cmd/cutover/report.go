package main

import (
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/cutover-dev/cutover/experiment"
)

func reportCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "report FOLDER",
		Short: "Judge a saved record again and write its reports anew, offline",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			result, err := experiment.Report(args[0])
			if err != nil {
				return usageError{fmt.Errorf("%w; a record is the folder that `cutover run` named, with events.ndjson in it", err)}
			}
			fmt.Fprintf(c.OutOrStdout(), "verdict    %s: %s\nreport     %s\n", result.Verdict, result.Because, filepath.Join(args[0], "report.html"))
			return nil
		},
	}
}
