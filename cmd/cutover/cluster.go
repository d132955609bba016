package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/cutover-dev/cutover/cluster/embedded"
	"github.com/cutover-dev/cutover/cluster/embedded/components"
	"github.com/cutover-dev/cutover/cluster/kind"
	"github.com/cutover-dev/cutover/cluster/provider"
	"github.com/cutover-dev/cutover/experiment"
)

func clusterCommand() *cobra.Command {
	c := &cobra.Command{Use: "cluster", Short: "Start, stop and look into clusters"}
	c.AddCommand(clusterUp(), clusterDown(), clusterList(), clusterKubeconfig(), clusterLogs(), clusterNode(), clusterComponents(), clusterCheck())
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

func providerFlag(c *cobra.Command) *string {
	return c.Flags().String("cluster", provider.Auto, "sort of the cluster: auto, embedded or kind")
}

// choose is the provider that is wanted. It says which it took of itself, and why.
func choose(ctx context.Context, out io.Writer, wanted string) (provider.Provider, error) {
	p, why, err := provider.Choose(ctx, wanted)
	if err != nil {
		return nil, usageError{err}
	}
	if why != "" {
		fmt.Fprintf(out, "%-10s auto takes %s: %s\n", "cluster", p.Name(), why)
	}
	return p, nil
}

// attach connects to a cluster that runs, of the wanted sort or of any.
func attach(ctx context.Context, wanted, name string) (provider.Cluster, error) {
	p, err := provider.Find(ctx, wanted, name)
	if err != nil {
		return nil, usageError{err}
	}
	up, err := p.Attach(ctx, name)
	if err != nil {
		return nil, usageError{err}
	}
	return up, nil
}

func clusterUp() *cobra.Command {
	c := &cobra.Command{Use: "up", Short: "Start a detached cluster that runs can share", Args: cobra.NoArgs}
	name, wanted := nameFlag(c), providerFlag(c)
	nodes := c.Flags().Int("nodes", 1, "number of nodes")
	config, withRegistry := kindFlags(c)
	phases := c.Flags().Bool("phases", false, "say on standard error when each phase of the start is over")
	c.RunE = func(c *cobra.Command, _ []string) error {
		began := time.Now()
		reached := func(phase string) {
			if *phases {
				fmt.Fprintf(c.ErrOrStderr(), "phase      %5.2f s  %s\n", time.Since(began).Seconds(), phase)
			}
		}
		p, err := choose(c.Context(), c.OutOrStdout(), *wanted)
		if err != nil {
			return err
		}
		options := provider.Options{Name: *name, Nodes: *nodes, Registry: *withRegistry, Out: c.ErrOrStderr(), Reached: reached}
		if err := complete(&options, p, *config); err != nil {
			return err
		}
		if _, err := clean(c.Context(), c.OutOrStdout()); err != nil {
			return err
		}
		reached("leftovers removed")
		up, err := p.Up(c.Context(), options)
		if err != nil {
			return err
		}
		if err := sayReady(c.Context(), c.OutOrStdout(), up, *nodes, time.Since(began)); err != nil {
			return err
		}
		fmt.Fprintf(c.OutOrStdout(), "kubeconfig %s\n", up.Kubeconfig())
		return nil
	}
	return c
}

// kindFlags are about clusters of kind alone.
func kindFlags(c *cobra.Command) (config *string, withRegistry *bool) {
	return c.Flags().String("kind-config", "", "configuration of a kind cluster, instead of the one with so many --nodes"),
		c.Flags().Bool("registry", false, "start a registry beside a kind cluster, for images that are pushed to it")
}

// complete checks what is wanted of a cluster, and reads its configuration.
func complete(o *provider.Options, p provider.Provider, config string) (err error) {
	if config == "" {
		if err := p.CheckNodes(o.Nodes); err != nil {
			return usageError{err}
		}
	} else if o.Config, err = os.ReadFile(config); err != nil {
		return usageError{fmt.Errorf("--kind-config: %w", err)}
	}
	if p.Name() != kind.Provider && (o.Registry || o.Config != nil) {
		return usageError{fmt.Errorf("--registry and --kind-config are for clusters of sort kind, and this one is %s: leave them out, or say --cluster kind", p.Name())}
	}
	return nil
}

// sayReady says which cluster it is and how long it took.
func sayReady(ctx context.Context, out io.Writer, up provider.Cluster, nodes int, took time.Duration) error {
	facts, err := up.Facts(ctx)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%-10s %s %s, Kubernetes %s, %s, ready in %.1f s\n", "cluster", up.Provider(), up.Name(), facts.Kubernetes, countNodes(nodes), took.Seconds())
	return err
}

func countNodes(count int) string {
	if count == 1 {
		return "1 node"
	}
	return fmt.Sprintf("%d nodes", count)
}

func clusterDown() *cobra.Command {
	c := &cobra.Command{Use: "down", Short: "Take a cluster down and confirm that nothing is left of it", Args: cobra.NoArgs}
	name, wanted := nameFlag(c), providerFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		p, err := provider.Find(c.Context(), *wanted, *name)
		if err != nil {
			return usageError{err}
		}
		if err := p.Down(c.Context(), *name); err != nil {
			return err
		}
		fmt.Fprintf(c.OutOrStdout(), "cluster    %s is down\n", *name)
		return nil
	}
	return c
}

func clusterList() *cobra.Command {
	return &cobra.Command{Use: "list", Short: "List the clusters of this machine", Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		table := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
		fmt.Fprintln(table, "NAME\tSORT\tSTATE\tNODES\tOWNER\tKUBECONFIG")
		var failed []error
		for _, p := range provider.All() {
			list, err := p.List(c.Context())
			failed = append(failed, err)
			for _, info := range list {
				fmt.Fprintln(table, row(info))
			}
		}
		return errors.Join(append(failed, table.Flush())...)
	}}
}

// row is a cluster's line in the list.
func row(info provider.Info) string {
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
	return fmt.Sprintf("%s\t%s\t%s\t%d\t%s\t%s", info.Name, info.Provider, state, info.Nodes, owner, info.Kubeconfig)
}

func clusterKubeconfig() *cobra.Command {
	c := &cobra.Command{Use: "kubeconfig", Short: "Print the kubeconfig of a cluster", Args: cobra.NoArgs}
	name := nameFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		up, err := attach(c.Context(), provider.Auto, *name)
		if err != nil {
			return err
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
		up, err := attach(c.Context(), provider.Auto, *name)
		if err != nil {
			return err
		}
		files, remove, err := logFiles(c.Context(), up)
		if err != nil {
			return err
		}
		defer remove()
		if len(wanted) == 0 {
			wanted = slices.Sorted(maps.Keys(files))
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

// logsInFiles is a cluster whose components write their logs to files of this machine.
type logsInFiles interface{ LogFiles() map[string]string }

// logFiles says in which file the log of each component is. remove is due when they
// have been read.
func logFiles(ctx context.Context, up provider.Cluster) (files map[string]string, remove func(), err error) {
	if here, are := up.(logsInFiles); are {
		return here.LogFiles(), func() {}, nil
	}
	exporter, can := up.(experiment.LogExporter)
	if !can {
		return nil, nil, fmt.Errorf("clusters of sort %s have no logs to be read from here", up.Provider())
	}
	dir, err := os.MkdirTemp("", "cutover-logs-")
	if err != nil {
		return nil, nil, err
	}
	remove = func() { _ = os.RemoveAll(dir) } // in the system's own folder for such things
	if err := exporter.ExportLogs(ctx, dir); err != nil {
		remove()
		return nil, nil, err
	}
	files = map[string]string{}
	err = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() {
			files[relative(dir, path)] = path
		}
		return err
	})
	return files, remove, err
}

func printLog(out io.Writer, files map[string]string, component string) error {
	path, known := files[component]
	if !known {
		return usageError{fmt.Errorf("no component named %q; known: %v", component, slices.Sorted(maps.Keys(files)))}
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

// losesNodes is a cluster that can lose a node and have it back.
type losesNodes interface {
	CheckNode(name string) error
	StopNode(ctx context.Context, name string) error
	StartNode(ctx context.Context, name string) error
}

func clusterNode() *cobra.Command {
	c := &cobra.Command{Use: "node", Short: "Lose a node of a cluster, and bring it back"}
	for _, action := range []struct {
		use, short, done string
		do               func(losesNodes, context.Context, string) error
	}{
		{"stop NODE", "Take a node's power away: the others learn of it by its silence", "is stopped", losesNodes.StopNode},
		{"start NODE", "Bring a stopped node back and wait until it is Ready", "is Ready", losesNodes.StartNode},
	} {
		a := &cobra.Command{Use: action.use, Short: action.short, Args: cobra.ExactArgs(1)}
		name := nameFlag(a)
		a.RunE = func(c *cobra.Command, args []string) error {
			up, err := attach(c.Context(), provider.Auto, *name)
			if err != nil {
				return err
			}
			nodes, can := up.(losesNodes)
			if !can {
				return usageError{fmt.Errorf("to lose a node of a cluster of sort %s is not supported yet; supported: embedded", up.Provider())}
			}
			if err := nodes.CheckNode(args[0]); err != nil {
				return usageError{err}
			}
			if err := action.do(nodes, c.Context(), args[0]); err != nil {
				return err
			}
			fmt.Fprintf(c.OutOrStdout(), "node       %s of %s %s\n", args[0], *name, action.done)
			return nil
		}
		c.AddCommand(a)
	}
	return c
}

func clusterCheck() *cobra.Command {
	c := &cobra.Command{Use: "check", Short: "Say whether clusters of a sort can be had here, and of what", Args: cobra.NoArgs}
	wanted := providerFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		p, _, err := provider.Choose(c.Context(), *wanted)
		if err != nil {
			return usageError{err}
		}
		of, err := p.Usable(c.Context())
		if err != nil {
			return usageError{err}
		}
		fmt.Fprintln(c.OutOrStdout(), of)
		return nil
	}
	return c
}

func clusterComponents() *cobra.Command {
	c := &cobra.Command{Use: "components", Short: "Build the components, if need be, and print the folder they are in", Args: cobra.NoArgs}
	wanted := c.Flags().String("cluster", embedded.Provider, "sort of the clusters that they are for: embedded or kind")
	c.RunE = func(c *cobra.Command, _ []string) error {
		p, err := provider.Named(*wanted)
		if err != nil {
			return usageError{err}
		}
		built, err := components.Ensure(c.Context(), c.ErrOrStderr(), p.Components())
		if err != nil {
			return err
		}
		fmt.Fprintln(c.OutOrStdout(), built.Path(""))
		return nil
	}
	return c
}
