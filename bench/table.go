package bench

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// Table prints the report for people: the rows, a line for each target that was
// missed or could not be measured, and the phases.
func (r Report) Table(out io.Writer) error {
	var text strings.Builder
	fmt.Fprintf(&text, "%s: medians of %d on %s, %d cores, %.0f GiB, Linux %s, load %s\n\n", r.Head.Benchmark, r.Head.N,
		or(r.Head.Machine.Processor, "an unknown processor"), r.Head.Machine.Cores, r.Head.Machine.MemoryGiB, r.Head.Machine.Kernel, r.Head.Machine.Load)
	table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "WANT\tOURS\tPEER\tRATIO\tMET\tTARGET")
	for _, row := range r.Rows {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", row.Want, figure(row.Ours), figure(row.Peer), figure(row.Ratio), met(row.Met), row.Target)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(&text)
	for _, line := range r.notes() {
		fmt.Fprintln(&text, line)
	}
	if len(r.Phases) > 0 {
		if err := printPhases(&text, r.Phases); err != nil {
			return err
		}
	}
	_, err := io.WriteString(out, text.String())
	return err
}

// notes are the misses, and each reason for a gap once.
func (r Report) notes() []string {
	var notes []string
	told := map[string]bool{}
	for _, row := range r.Rows {
		switch {
		case row.Met != nil && !*row.Met && row.Want.factor && row.Want.least:
			notes = append(notes, fmt.Sprintf("missed: %s: %s, is %s beside %s", row.Target, row.Want, figure(row.Ours), figure(row.Peer)))
		case row.Met != nil && !*row.Met && row.Want.factor:
			notes = append(notes, fmt.Sprintf("missed: %s: %s, is %s", row.Target, row.Want, figure(row.Ratio)))
		case row.Met != nil && !*row.Met:
			notes = append(notes, fmt.Sprintf("missed: %s: %s, is %s", row.Target, row.Want, figure(row.Ours)))
		case row.Met == nil:
			notes = append(notes, fmt.Sprintf("not measured: %s: %s", row.Target, row.Because))
			told[row.Because] = true
		}
	}
	for _, row := range r.Rows {
		if row.Because != "" && !told[row.Because] {
			notes = append(notes, "note: "+row.Because)
			told[row.Because] = true
		}
	}
	return notes
}

func printPhases(out io.Writer, phases []Phase) error {
	fmt.Fprintln(out, "\nWhere the time of a start goes, in seconds since the process was started:")
	fmt.Fprintln(out)
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "OVER AT\tTOOK\tPHASE\tAFTER")
	for _, phase := range phases {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", figure(phase.At), figure(phase.Took), phase.Name, strings.Join(phase.After, ", "))
	}
	return table.Flush()
}

func figure(value *float64) string {
	if value == nil {
		return "-"
	}
	return fmt.Sprintf("%.2f", *value)
}

func met(value *bool) string {
	switch {
	case value == nil:
		return "-"
	case *value:
		return "yes"
	default:
		return "no"
	}
}

func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}
