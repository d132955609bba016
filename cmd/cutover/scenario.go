package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/cutover-dev/cutover/scenarios"
)

func scenarioCommand() *cobra.Command {
	c := &cobra.Command{Use: "scenario", Short: "Begin, check and list scenarios, print their schema"}
	c.AddCommand(scenarioInit(), scenarioValidate(), scenarioList(), &cobra.Command{
		Use: "schema", Short: "Print the JSON Schema of scenarios, for editors", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			_, err := c.OutOrStdout().Write(scenarios.Schema())
			return err
		},
	})
	return c
}

func scenarioValidate() *cobra.Command {
	return &cobra.Command{
		Use: "validate SCENARIO.yaml...", Short: "Check scenarios without running them", Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			found, err := scenarios.Find(args, "")
			for _, scenario := range found {
				if missing := scenario.Missing(); len(missing) > 0 {
					err = errors.Join(err, missing)
					continue
				}
				fmt.Fprintf(c.OutOrStdout(), "%s: ok (plan %.12s)\n", scenario.Path, scenario.Hash())
			}
			if err != nil {
				return usageError{err}
			}
			return nil
		},
	}
}

func scenarioList() *cobra.Command {
	var label string
	c := &cobra.Command{Use: "list [FOLDER]...", Short: "List scenarios"}
	c.Flags().StringVar(&label, "label", "", "only those with this label")
	c.RunE = func(c *cobra.Command, args []string) error {
		found, err := findScenarios(args, label)
		if err != nil {
			return usageError{err}
		}
		table := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
		for _, s := range found {
			fmt.Fprintf(table, "%s\t%s\t%s\n", s.Metadata.Name, strings.Join(s.Metadata.Labels, ","), s.Why)
		}
		return table.Flush()
	}
	return c
}

// findScenarios loads the scenarios at the paths, or those of the folder scenarios if none
// are given.
func findScenarios(paths []string, label string) ([]scenarios.Scenario, error) {
	if len(paths) > 0 {
		return scenarios.Find(paths, label)
	}
	const usual = "scenarios"
	if _, err := os.Stat(usual); err != nil {
		return nil, fmt.Errorf("no scenario was named, and there is no folder %s here: name a file, or write a first one with `cutover scenario init`", usual)
	}
	return scenarios.Find([]string{usual}, label)
}
