package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/cutover-dev/cutover/cluster/provider"
	"github.com/cutover-dev/cutover/scenarios"
	"github.com/cutover-dev/cutover/verdict"
)

// corpusRow is what became of one scenario of a corpus.
type corpusRow struct {
	Subject string `json:"subject"`
	Flaw    string `json:"flaw"` // "" in one that has none
	// Found: the run failed, in the check and at the step that the flaw must show in.
	// Without a flaw there is nothing to find: true is a false alarm.
	Found       bool            `json:"found"`
	Check       string          `json:"check"` // the first that failed; "" if none did
	Step        string          `json:"step"`  // where it went wrong; "" if it did not
	BadRequests int64           `json:"badRequests"`
	Verdict     verdict.Verdict `json:"verdict"`
	Scenario    string          `json:"scenario"`
}

func corpusCommand() *cobra.Command {
	var f runFlags
	var output string
	c := &cobra.Command{
		Use:   "corpus [SCENARIO.yaml | FOLDER]...",
		Short: "Run ways to release with known flaws, and say which flaws were found",
		Long: "Run the scenarios that have a subject (default: those in scenarios/procedures): ways to release, some with a known\n" +
			"flaw and some without. A flaw is found if the run fails in the check and at the step that it must show in.\n\n" +
			"Exit codes: 0 every flaw found and nothing else, 1 not so, 2 invalid or skipped, 3 the harness broke, 4 usage.",
	}
	c.Flags().StringVar(&f.provider, "cluster", provider.Auto, "sort of the cluster: auto, embedded or kind")
	c.Flags().StringVar(&f.name, "name", "", "run on this cluster, started by `cutover cluster up`, instead of one of its own")
	c.Flags().StringVar(&f.out, "out", "artifacts/corpus", "folder of the records")
	c.Flags().StringVar(&f.label, "label", "", "run only scenarios with this label")
	c.Flags().StringVar(&output, "output", "table", "what is printed: table or json")
	c.RunE = func(c *cobra.Command, args []string) error {
		if output != "table" && output != "json" {
			return usageError{fmt.Errorf("--output %s: write table or json", output)}
		}
		f.nodes = 1
		return corpus(c.Context(), c.OutOrStdout(), c.ErrOrStderr(), args, output == "json", f)
	}
	return c
}

// corpus tells of its progress on one writer and prints the rows on the other.
func corpus(ctx context.Context, out, progress io.Writer, paths []string, asJSON bool, f runFlags) error {
	if len(paths) == 0 {
		paths = []string{"scenarios/procedures"}
	}
	found, err := scenarios.Find(paths, f.label)
	if err != nil {
		return usageError{err}
	}
	subjects := slices.DeleteFunc(found, func(s scenarios.Scenario) bool { return s.Metadata.Subject == "" })
	if len(subjects) == 0 {
		return usageError{errors.New("none of these scenarios has a metadata.subject, which makes it one of a corpus")}
	}
	if err := os.MkdirAll(f.out, 0o755); err != nil {
		return err
	}
	runs, err := onCluster(ctx, progress, subjects, f)
	if err != nil {
		return err
	}
	rows := make([]corpusRow, len(runs))
	for i, run := range runs {
		rows[i] = rowOf(subjects[i], run)
	}
	if err := printCorpus(out, rows, asJSON); err != nil {
		return err
	}
	if code := verdict.SuiteExitCode(runs...); code != 0 {
		return exit(code)
	}
	return nil
}

func rowOf(scenario scenarios.Scenario, run verdict.Run) corpusRow {
	row := corpusRow{
		Subject: scenario.Metadata.Subject, Flaw: scenario.Metadata.Flaw, Step: run.Step,
		BadRequests: run.Requests.Bad, Verdict: run.Verdict, Scenario: run.Scenario,
		Found: run.Verdict == verdict.Fail,
	}
	if run.Control != nil {
		row.Found = run.Control.Met
	}
	for _, check := range slices.Backward(run.Checks) {
		if check.Status == verdict.CheckFail {
			row.Check = check.Name
		}
	}
	return row
}

func printCorpus(out io.Writer, rows []corpusRow, asJSON bool) error {
	if asJSON {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(rows)
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "SUBJECT\tFLAW\tFOUND\tCHECK\tSTEP\tBAD REQUESTS\tVERDICT\tSCENARIO")
	for _, row := range rows {
		fmt.Fprintf(table, "%s\t%s\t%t\t%s\t%s\t%d\t%s\t%s\n", row.Subject, orNone(row.Flaw), row.Found, orNone(row.Check), orNone(row.Step), row.BadRequests, row.Verdict, row.Scenario)
	}
	return table.Flush()
}

func orNone(text string) string {
	if text == "" {
		return "–"
	}
	return text
}
