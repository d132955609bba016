package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cutover-dev/cutover/experiment"
	"github.com/cutover-dev/cutover/reports"
	"github.com/cutover-dev/cutover/verdict"
)

func reportCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "report FOLDER",
		Short: "Judge a saved record, or a set of them, again and write its reports anew, offline",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if isSet(args[0]) {
				return reportSet(c.OutOrStdout(), args[0])
			}
			result, err := experiment.Report(args[0])
			if err != nil {
				return usageError{fmt.Errorf("%w; a record is the folder that `cutover run` named, with events.ndjson in it", err)}
			}
			fmt.Fprintf(c.OutOrStdout(), "verdict    %s: %s\nreport     %s\n", result.Verdict, result.Because, filepath.Join(args[0], "report.html"))
			return nil
		},
	}
	c.AddCommand(reportCompareCommand())
	return c
}

func reportCompareCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "compare FOLDER FOLDER...",
		Short: "Print what the same scenarios did in several places, and fail if it differs",
		Long: "Print a Markdown table of what the same scenarios did in several places. Each folder holds the records of one\n" +
			"place, such as artifacts/ after `make e2e`. Exit code 1 if a scenario ended with another verdict or outcome\nin one of them; where it was skipped it counts for nothing.",
		Args: cobra.MinimumNArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			var columns []reports.Column
			for _, folder := range args {
				column, err := columnOf(folder)
				if err != nil {
					return usageError{err}
				}
				columns = append(columns, column)
			}
			if err := reports.Compare(columns)(c.OutOrStdout()); err != nil {
				return err
			}
			if differing := reports.Differences(columns); len(differing) > 0 {
				fmt.Fprintf(c.ErrOrStderr(), "cutover: these did not end alike: %s\n", strings.Join(differing, ", "))
				return exit(verdict.ExitFail)
			}
			return nil
		},
	}
}

// columnOf reads the summaries of all records right below a folder.
func columnOf(folder string) (reports.Column, error) {
	paths, err := filepath.Glob(filepath.Join(folder, "*", "run.json"))
	if err != nil || len(paths) == 0 {
		return reports.Column{}, fmt.Errorf("%s holds no records: name a folder that has some right below it, such as artifacts/ after `make e2e`", folder)
	}
	var column reports.Column
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			return column, err
		}
		var run verdict.Run
		if err := json.Unmarshal(data, &run); err != nil {
			return column, fmt.Errorf("%s: %w", path, err)
		}
		column.Name = run.Provider
		column.Runs = append(column.Runs, run)
	}
	return column, nil
}
