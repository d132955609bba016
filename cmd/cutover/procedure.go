package main

import (
	"github.com/spf13/cobra"

	"github.com/cutover-dev/cutover/release"
)

// procedureCommand is the process of a procedure that is a tool which cutover brings
// along: the system under test.
func procedureCommand() *cobra.Command {
	return &cobra.Command{Use: release.DeployCommand, Hidden: true, Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
		if err := release.Deploy(c.Context(), args[0]); err != nil {
			c.PrintErrln("Error:", err)
			return exit(1)
		}
		return nil
	}}
}
