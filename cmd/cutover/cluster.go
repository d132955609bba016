package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"sort"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/cutover-dev/cutover/cluster/embedded"
	"github.com/cutover-dev/cutover/cluster/embedded/components"
)

func clusterCommand() *cobra.Command {
	c := &cobra.Command{Use: "cluster", Short: "Start, stop and look into embedded clusters"}
	c.AddCommand(clusterUp(), clusterDown(), clusterList(), clusterKubeconfig(), clusterLogs(), clusterNode(), clusterComponents())
	c.AddCommand(inner("janitor FOLDER", embedded.RunJanitor), inner("sandbox FOLDER", embedded.RunSandbox), inner("machine NODE", embedded.RunMachine))
	c.AddCommand(kindCommands()...)
	c.AddCommand(inner("remove FOLDER", embedded.RunRemove), inner("trial FOLDER", embedded.RunTrial))
	c.AddCommand(&cobra.Command{Use: "mapped COMMAND FOLDER", Hidden: true, Args: cobra.ExactArgs(2), RunE: func(_ *cobra.Command, args []string) error {
		return embedded.RunMapped(args)
	}})
	c.AddCommand(&cobra.Command{Use: "supervisor NODE", Hidden: true, Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
		return embedded.RunSupervisor(c.Context(), args[0])
	}})
	return c
}

// inner is a process of a cluster, not for people.
func inner(use string, run func(argument string) error) *cobra.Command {
	return &cobra.Command{Use: use, Hidden: true, Args: cobra.ExactArgs(1), RunE: func(_ *cobra.Command, args []string) error {
		return run(args[0])
	}}
}

const defaultName = "default"

func nameFlag(c *cobra.Command) *string {
	return c.Flags().String("name", defaultName, "name of the cluster")
}

func nodesFlag(c *cobra.Command) *int {
	return c.Flags().Int("nodes", 1, fmt.Sprintf("number of nodes, up to %d", embedded.MaxNodes))
}

func clusterUp() *cobra.Command {
	c := &cobra.Command{Use: "up", Short: "Start a detached cluster that runs can share", Args: cobra.NoArgs}
	name, nodes := nameFlag(c), nodesFlag(c)
	phases := c.Flags().Bool("phases", false, "say on standard error when each phase of the start is over")
	c.RunE = func(c *cobra.Command, _ []string) error {
		began := time.Now()
		reached := func(phase embedded.Phase) {
			if *phases {
				fmt.Fprintf(c.ErrOrStderr(), "phase      %5.2f s  %s\n", time.Since(began).Seconds(), phase)
			}
		}
		if err := embedded.CheckNodes(*nodes); err != nil {
			return usageError{err}
		}
		if _, err := clean(c.Context(), c.OutOrStdout()); err != nil {
			return err
		}
		reached("leftovers removed")
		up, err := embedded.Up(c.Context(), embedded.Options{Name: *name, Nodes: *nodes, Out: c.ErrOrStderr(), Reached: reached})
		if err != nil {
			return err
		}
		fmt.Fprintf(c.OutOrStdout(), "cluster    embedded %s, Kubernetes %s, %s, ready in %.1f s\n", up.Name(), components.KubernetesVersion, countNodes(*nodes), time.Since(began).Seconds())
		fmt.Fprintf(c.OutOrStdout(), "kubeconfig %s\n", up.Kubeconfig())
		return nil
	}
	return c
}

func countNodes(count int) string {
	if count == 1 {
		return "1 node"
	}
	return fmt.Sprintf("%d nodes", count)
}

func clusterDown() *cobra.Command {
	c := &cobra.Command{Use: "down", Short: "Take a cluster down and confirm that nothing is left of it", Args: cobra.NoArgs}
	name := nameFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := embedded.Down(c.Context(), *name); err != nil {
			return err
		}
		fmt.Fprintf(c.OutOrStdout(), "cluster    %s is down\n", *name)
		return nil
	}
	return c
}

func clusterList() *cobra.Command {
	return &cobra.Command{Use: "list", Short: "List the clusters of this machine", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		list, err := embedded.List()
		if err != nil {
			return err
		}
		table := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
		fmt.Fprintln(table, "NAME\tSTATE\tNODES\tOWNER\tKUBECONFIG")
		for _, info := range list {
			state, owner := "running", "detached"
			switch {
			case info.Making:
				state = "starting"
			case !info.Alive:
				state = "dead"
			}
			if info.Owned {
				owner = "a run"
			}
			fmt.Fprintf(table, "%s\t%s\t%d\t%s\t%s\n", info.Name, state, info.Nodes, owner, info.Kubeconfig)
		}
		return table.Flush()
	}}
}

func clusterKubeconfig() *cobra.Command {
	c := &cobra.Command{Use: "kubeconfig", Short: "Print the kubeconfig of a cluster", Args: cobra.NoArgs}
	name := nameFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		up, err := embedded.Attach(*name)
		if err != nil {
			return usageError{err}
		}
		data, err := os.ReadFile(up.Kubeconfig())
		if err != nil {
			return err
		}
		_, err = c.OutOrStdout().Write(data)
		return err
	}
	return c
}

func clusterLogs() *cobra.Command {
	c := &cobra.Command{Use: "logs [COMPONENT...]", Short: "Print the logs of a cluster's components"}
	name := nameFlag(c)
	c.RunE = func(c *cobra.Command, wanted []string) error {
		up, err := embedded.Attach(*name)
		if err != nil {
			return usageError{err}
		}
		files := up.LogFiles()
		if len(wanted) == 0 {
			for component := range files {
				wanted = append(wanted, component)
			}
			sort.Strings(wanted)
		}
		for _, component := range wanted {
			if err := printLog(c.OutOrStdout(), files, component); err != nil {
				return err
			}
		}
		return nil
	}
	return c
}

func printLog(out io.Writer, files map[string]string, component string) error {
	path, known := files[component]
	if !known {
		var names []string
		for name := range files {
			names = append(names, name)
		}
		sort.Strings(names)
		return usageError{fmt.Errorf("no component named %q; known: %v", component, names)}
	}
	data, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		return nil // not started yet
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "==> %s <==\n", component)
	_, err = out.Write(data)
	return err
}

func clusterNode() *cobra.Command {
	c := &cobra.Command{Use: "node", Short: "Lose a node of a cluster, and bring it back"}
	for _, action := range []struct {
		use, short, done string
		do               func(*embedded.Cluster, context.Context, string) error
	}{
		{"stop NODE", "Take a node's power away: the others learn of it by its silence", "is stopped", (*embedded.Cluster).StopNode},
		{"start NODE", "Bring a stopped node back and wait until it is Ready", "is Ready", (*embedded.Cluster).StartNode},
	} {
		a := &cobra.Command{Use: action.use, Short: action.short, Args: cobra.ExactArgs(1)}
		name := nameFlag(a)
		a.RunE = func(c *cobra.Command, args []string) error {
			up, err := embedded.Attach(*name)
			if err != nil {
				return usageError{err}
			}
			if err := up.CheckNode(args[0]); err != nil {
				return usageError{err}
			}
			if err := action.do(up, c.Context(), args[0]); err != nil {
				return err
			}
			fmt.Fprintf(c.OutOrStdout(), "node       %s of %s %s\n", args[0], *name, action.done)
			return nil
		}
		c.AddCommand(a)
	}
	return c
}

func clusterComponents() *cobra.Command {
	return &cobra.Command{Use: "components", Short: "Build the components, if need be, and print the folder they are in", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		built, err := components.Ensure(c.Context(), c.ErrOrStderr(), components.Embedded)
		if err != nil {
			return err
		}
		fmt.Fprintln(c.OutOrStdout(), built.Path(""))
		return nil
	}}
}
