package main

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"os"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"github.com/cutover-dev/cutover/experiment"
	"github.com/cutover-dev/cutover/faults/agent"
	"github.com/cutover-dev/cutover/faults/podstat"
	"github.com/cutover-dev/cutover/faults/train"
	"github.com/cutover-dev/cutover/suites/conformance"
)

// agentCommand is the node agent. It runs in the cluster, as a pod on every node.
func agentCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "agent",
		Short: "Serve Chaos Mesh's objects on one node (runs in the cluster, as a pod)",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			config, err := rest.InClusterConfig()
			if err != nil {
				return fmt.Errorf("the agent runs in a cluster, as a pod: %w", err)
			}
			log := slog.New(slog.NewTextHandler(c.ErrOrStderr(), nil))
			return agent.Run(c.Context(), agent.Options{
				NodeName: os.Getenv(agent.NodeNameVariable), Group: os.Getenv(agent.GroupVariable), RESTConfig: config, Log: log,
			})
		},
	}
}

// agentExpireCommand ends a netem in time when the agent that set it is dead.
func agentExpireCommand() *cobra.Command {
	return &cobra.Command{Use: agent.ExpireCommand, Hidden: true, RunE: func(c *cobra.Command, args []string) error {
		return agent.Expire(c.Context(), args)
	}}
}

// agentResidueCommand is run in a node's network, to see what faults left there.
func agentResidueCommand() *cobra.Command {
	return &cobra.Command{Use: agent.ResidueCommand + " [UID...]", Hidden: true, RunE: func(c *cobra.Command, args []string) error {
		living := make([]types.UID, len(args))
		for i, uid := range args {
			living[i] = types.UID(uid)
		}
		left, err := agent.Residue(living)
		for _, item := range left {
			fmt.Fprintln(c.OutOrStdout(), item)
		}
		return err
	}}
}

// agentNetemCommand is run on a node, to know before a run what its kernel can do.
func agentNetemCommand() *cobra.Command {
	return &cobra.Command{Use: agent.NetemCommand, Hidden: true, Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error {
		if err := agent.TryNetem(); err != nil {
			fmt.Fprintln(c.OutOrStdout(), err)
		}
		return nil
	}}
}

// agentTrainCommand is run in a node's network, to measure what faults of the network
// do to its pods.
func agentTrainCommand() *cobra.Command {
	return &cobra.Command{Use: train.Command + " PLAN", Hidden: true, Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
		plan, err := train.ParsePlan(args[0])
		if err != nil {
			return err
		}
		results, err := train.Run(c.Context(), plan)
		if err != nil {
			return err
		}
		return json.NewEncoder(c.OutOrStdout()).Encode(results)
	}}
}

// agentPodstatCommand is run on a node, to measure what its pods use.
func agentPodstatCommand() *cobra.Command {
	return &cobra.Command{Use: podstat.Command + " UID...", Hidden: true, RunE: func(c *cobra.Command, uids []string) error {
		stats, err := podstat.Read(uids)
		if err != nil {
			return err
		}
		return json.NewEncoder(c.OutOrStdout()).Encode(stats)
	}}
}

// drillPodCommand is the pod that a run rehearses its undo on: it accepts
// connections and does nothing with them.
func drillPodCommand() *cobra.Command {
	return &cobra.Command{Use: experiment.DrillCommand + " PORT", Hidden: true, Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
		listener, err := new(net.ListenConfig).Listen(c.Context(), "tcp", net.JoinHostPort("", args[0]))
		if err != nil {
			return fmt.Errorf("listen on port %s: %w", args[0], err)
		}
		go func() {
			<-c.Context().Done()
			listener.Close()
		}()
		for {
			conn, err := listener.Accept()
			if err != nil {
				return c.Context().Err()
			}
			conn.Close()
		}
	}}
}

// conformancePodCommand is the pods that the conformance of faults is measured at.
func conformancePodCommand() *cobra.Command {
	return &cobra.Command{Use: conformance.Command + " PORT", Hidden: true, Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
		listener, err := new(net.ListenConfig).Listen(c.Context(), "tcp", net.JoinHostPort("", args[0]))
		if err != nil {
			return fmt.Errorf("listen on port %s: %w", args[0], err)
		}
		return conformance.Serve(c.Context(), listener)
	}}
}
