package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/cutover-dev/cutover/cluster/embedded/components"
	"github.com/cutover-dev/cutover/experiment"
)

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print which cutover this is, and what it was built with", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			_, err := fmt.Fprint(c.OutOrStdout(), versionText())
			return err
		},
	}
}

func versionText() string {
	build := experiment.ThisBuild()
	return fmt.Sprintf("cutover    %s\nGo         %s\nKubernetes %s (embedded clusters)\n", build, build.Go, components.KubernetesVersion)
}
