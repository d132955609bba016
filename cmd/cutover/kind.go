package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/cutover-dev/cutover/cluster/kind"
	"github.com/cutover-dev/cutover/cluster/kind/nodeimage"
)

// kindCommands are the processes of a kind cluster, not for people, and the building
// of the image of its nodes.
func kindCommands() []*cobra.Command {
	docker := &cobra.Command{Use: "kind-docker FOLDER ARGUMENT...", Hidden: true, DisableFlagParsing: true, RunE: func(_ *cobra.Command, args []string) error {
		return kind.RunDocker(args)
	}}
	logs := &cobra.Command{Use: "kind-logs FOLDER LOGS", Hidden: true, Args: cobra.ExactArgs(2), RunE: func(_ *cobra.Command, args []string) error {
		return kind.RunLogs(args[0], args[1])
	}}
	return []*cobra.Command{docker, logs, inner("kind-make FOLDER", kind.RunMake), clusterNodeImage()}
}

func clusterNodeImage() *cobra.Command {
	c := &cobra.Command{
		Use:   "node-image",
		Short: "Build the image of kind's nodes, for machines that reach no registry",
		Long:  "Build the image of kind's nodes out of folders of Debian packages, as hack/debian-root makes them, and of\nprograms that are built from their Go modules, and give it to the container engine. `make node-image` does all of it.",
		Args:  cobra.NoArgs,
	}
	var from nodeimage.Sources
	c.Flags().StringVar(&from.Node, "node", "", "folder of the packages in kind-config/node/node.packages")
	c.Flags().StringVar(&from.Proxy, "proxy", "", "folder of the packages in kind-config/node/proxy.packages")
	for _, required := range []string{"node", "proxy"} {
		_ = c.MarkFlagRequired(required) // it exists
	}
	c.RunE = func(c *cobra.Command, _ []string) error {
		reference, err := nodeimage.Build(c.Context(), from, c.ErrOrStderr())
		if err != nil {
			return err
		}
		fmt.Fprintln(c.OutOrStdout(), reference)
		return nil
	}
	return c
}
