package main

import (
	"context"
	"fmt"
	"os"
	"os/user"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/cutover-dev/cutover/experiment"
	"github.com/cutover-dev/cutover/gates"
)

func approveCommand() *cobra.Command {
	var reject bool
	var because string
	var wait time.Duration
	c := &cobra.Command{
		Use:   "approve [RUN]",
		Short: "Answer a run whose gate waits for a person; list those that do",
		Long: "Answer a run whose gate waits for a person. Without RUN, list the runs that do.\n" +
			"Who answered, what and why is in the run's record. Exit code 1 if RUN does not ask.",
		Example: "  cutover approve\n  cutover approve 1a2b3c4d --because 'the dashboard looks right'\n  cutover approve 1a2b3c4d --reject --because 'orders are down'",
		Args:    cobra.MaximumNArgs(1),
	}
	c.Flags().BoolVar(&reject, "reject", false, "reject in place of approving: the reading fails")
	c.Flags().StringVar(&because, "because", "", "why, for the record")
	c.Flags().DurationVar(&wait, "wait", 0, "wait this long for the run to ask")
	c.RunE = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return listApprovals(c)
		}
		request, err := awaitRequest(c.Context(), args[0], wait)
		if err != nil {
			return err
		}
		if err := experiment.Approve(request, gates.Response{Approved: !reject, Who: whoami(), Because: because}); err != nil {
			return err
		}
		said := "approved"
		if reject {
			said = "rejected"
		}
		_, err = fmt.Fprintf(c.OutOrStdout(), "%-10s %s of run %s, at %s\n", said, request.Gate, request.Run, request.Step)
		return err
	}
	return c
}

func listApprovals(c *cobra.Command) error {
	open, err := experiment.Approvals()
	if err != nil {
		return err
	}
	if len(open) == 0 {
		fmt.Fprintln(c.OutOrStdout(), "no run waits for a person")
		return nil
	}
	table := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "RUN\tSCENARIO\tSTEP\tGATE\tFOR\tASKS")
	for _, r := range open {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", r.Run, r.Scenario, r.Step, r.Gate, time.Until(r.Until).Round(time.Second), r.Ask)
	}
	return table.Flush()
}

// awaitRequest returns what the run asks, once it does.
func awaitRequest(ctx context.Context, run string, wait time.Duration) (gates.Request, error) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	look := time.NewTicker(200 * time.Millisecond)
	defer look.Stop()
	for {
		open, err := experiment.Approvals()
		if err != nil {
			return gates.Request{}, err
		}
		if i := slices.IndexFunc(open, func(r gates.Request) bool { return r.Run == run }); i >= 0 {
			return open[i], nil
		}
		select {
		case <-ctx.Done():
			fmt.Fprintln(os.Stderr, "cutover:", notAsked(run, open))
			return gates.Request{}, exit(1)
		case <-look.C:
		}
	}
}

func notAsked(run string, open []gates.Request) string {
	if len(open) == 0 {
		return fmt.Sprintf("run %s does not wait for a person, and no other does: --wait waits until it asks", run)
	}
	var others []string
	for _, r := range open {
		others = append(others, r.Run)
	}
	return fmt.Sprintf("run %s does not wait for a person; these do: %s", run, strings.Join(others, ", "))
}

// whoami is the user who answers, for the record.
func whoami() string {
	if who, err := user.Current(); err == nil {
		return who.Username
	}
	return fmt.Sprintf("user %d", os.Getuid())
}
