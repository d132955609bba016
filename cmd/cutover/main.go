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
	"time"

	"github.com/spf13/cobra"
)

func main() {
	os.Exit(exitCode(command().ExecuteContext(interruptible())))
}

// together is how long signals count as one: shells, make and CI runners send an
// interrupt to the program and to its group, which is twice.
const together = 3 * time.Second

// interruptible ends at the first signal, so that what was begun is healed. One
// that comes later kills at once: what there was to undo is in the ledger.
func interruptible() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		<-signals
		cancel()
		fmt.Fprintln(os.Stderr, "cutover: interrupted: healing what was begun; a further signal stops at once, and `cutover clean` heals then")
		over := time.After(together)
		for {
			select {
			case <-signals:
			case <-over:
				signal.Reset()
				return
			}
		}
	}()
	return ctx
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
		Version:       versionText(),
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetVersionTemplate("{{.Version}}")
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w; see `%s --help`", err, c.CommandPath())}
	})
	root.AddCommand(runCommand(), reportCommand(), scenarioCommand(), loadCommand(), imageCommand(), clusterCommand(), cleanCommand(), doctorCommand(), versionCommand(), approveCommand(), gateCommand(), mutantProxyCommand(), corpusCommand())
	// What cutover starts itself with, on nodes and in pods.
	root.AddCommand(agentCommand(), agentExpireCommand(), agentResidueCommand(), agentNetemCommand(), agentTrainCommand(), agentPodstatCommand(), drillPodCommand(), conformancePodCommand(), insideCommand(), procedureCommand())
	return root
}
