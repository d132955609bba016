// Command cutover proves that a release survives its own rollout. It is the only
// place that reads arguments and turns errors into exit codes.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	// A second signal kills at once: what a run had to undo is in its ledger, for
	// the next run or `cutover clean`.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	context.AfterFunc(ctx, stop)
	os.Exit(exitCode(command().ExecuteContext(ctx)))
}

// exit is an error that carries the code to end with. Its text was printed.
type exit int

func (e exit) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// Exit codes beside those of verdicts.
const (
	exitHarness = 3
	exitUsage   = 4
)

func exitCode(err error) int {
	var code exit
	switch {
	case err == nil:
		return 0
	case errors.As(err, &code):
		return int(code)
	}
	fmt.Fprintln(os.Stderr, "cutover:", err)
	var usage usageError
	if errors.As(err, &usage) {
		return exitUsage
	}
	return exitHarness
}

// usageError is a mistake in what the user gave us, not in what we did with it.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func command() *cobra.Command {
	root := &cobra.Command{
		Use:           "cutover",
		Short:         "Prove that a release survives its own rollout",
		Long:          "cutover stands up a cluster, releases a candidate by the procedure you really use, drives load,\nbreaks things at chosen steps of the cutover, and measures request by request whether the release\nrolled back or recovered within the MTTR you promised.",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w; see `%s --help`", err, c.CommandPath())}
	})
	root.AddCommand(runCommand(), reportCommand(), scenarioCommand(), clusterCommand(), cleanCommand(), doctorCommand(), agentCommand(), agentExpireCommand(), drillPodCommand())
	return root
}
