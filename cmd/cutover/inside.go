package main

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/cutover-dev/cutover/cluster/inside"
)

// insideCommand is the first process of a procedure's own namespace.
func insideCommand() *cobra.Command {
	return &cobra.Command{Use: inside.Command, Hidden: true, Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		code, err := inside.Init(os.Stdin)
		if err != nil {
			c.PrintErrln("cutover:", err)
		}
		return exit(code)
	}}
}
