package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/cutover-dev/cutover/bench"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "bench-gather:", err)
		os.Exit(1)
	}
}

// report is what a benchmark left.
type report struct {
	Head bench.Head `json:"head"`
	Rows []row      `json:"rows"`
}

// row is a bench.Row as it is read: what was wanted is text.
type row struct {
	Target  string   `json:"target"`
	Want    string   `json:"want"`
	Ours    *float64 `json:"ours"`
	Peer    *float64 `json:"peer"`
	Ratio   *float64 `json:"ratio"`
	Met     *bool    `json:"met"`
	Because string   `json:"because,omitempty"`
}

func run(args []string, out io.Writer) error {
	flags := flag.NewFlagSet("bench-gather", flag.ContinueOnError)
	to := flags.String("out", "artifacts/bench.json", "where the rows go")
	page := flags.String("page", "", "page whose table is written anew, between the comments bench and end of bench")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() == 0 {
		return errors.New("name the files that benchmarks wrote")
	}
	var reports []report
	rows := []row{}
	for _, path := range flags.Args() {
		r, err := read(path)
		if err != nil {
			return err
		}
		reports, rows = append(reports, r), append(rows, r.Rows...)
	}
	data, err := json.MarshalIndent(rows, "", "  ")
	if err != nil {
		return err
	}
	if err := errors.Join(os.MkdirAll(filepath.Dir(*to), 0o755), os.WriteFile(*to, append(data, '\n'), 0o644)); err != nil {
		return err
	}
	if *page != "" {
		if err := rewrite(*page, markdown(reports)); err != nil {
			return err
		}
	}
	return table(out, rows)
}

func read(path string) (report, error) {
	var r report
	data, err := os.ReadFile(path)
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(data, &r); err != nil {
		return r, fmt.Errorf("%s: %w", path, err)
	}
	if len(r.Rows) == 0 {
		return r, fmt.Errorf("%s has no rows: was it written by a benchmark", path)
	}
	return r, nil
}

// table prints all rows, and how many targets were met.
func table(out io.Writer, rows []row) error {
	columns := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(columns, "WANT\tOURS\tPEER\tRATIO\tMET\tTARGET")
	counts := map[string]int{}
	for _, r := range rows {
		counts[met(r.Met)]++
		fmt.Fprintf(columns, "%s\t%s\t%s\t%s\t%s\t%s\n", r.Want, figure(r.Ours), figure(r.Peer), figure(r.Ratio), met(r.Met), r.Target)
	}
	if err := columns.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "\n%d targets: %d met, %d missed, %d not measured\n", len(rows), counts["yes"], counts["NO"], counts["–"])
	return err
}

// markdown is the part of a page: a table for each benchmark, under where and of what.
func markdown(reports []report) string {
	var b strings.Builder
	for _, r := range reports {
		m := r.Head.Machine
		fmt.Fprintf(&b, "\n### %s\n\n%s, cutover %s; %s, %d cores, Linux %s, load %s before it.\n\n", r.Head.Benchmark, r.Head.Date.Format("2006-01-02"), r.Head.Versions["cutover"], m.Processor, m.Cores, m.Kernel, m.Load)
		b.WriteString("| target | wanted | ours | peer | peer / ours | met |\n|---|---|---:|---:|---:|---|\n")
		for _, r := range r.Rows {
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", r.Target, r.Want, figure(r.Ours), figure(r.Peer), figure(r.Ratio), met(r.Met))
		}
		told := map[string]bool{"": true}
		for _, r := range r.Rows {
			if !told[r.Because] {
				fmt.Fprintf(&b, "\n%s.\n", strings.TrimSuffix(r.Because, "."))
			}
			told[r.Because] = true
		}
	}
	return b.String() + "\n"
}

const (
	begin = "<!-- bench -->\n"
	end   = "<!-- end of bench -->\n"
)

// rewrite replaces what stands between the two comments of a page.
func rewrite(path, text string) error {
	page, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	before, rest, begins := bytes.Cut(page, []byte(begin))
	_, after, ends := bytes.Cut(rest, []byte(end))
	if !begins || !ends {
		return fmt.Errorf("%s lacks the line %q, or %q after it, between which the table goes", path, strings.TrimSpace(begin), strings.TrimSpace(end))
	}
	return os.WriteFile(path, []byte(string(before)+begin+text+end+string(after)), 0o644)
}

// figure has three digits that count.
func figure(value *float64) string {
	if value == nil {
		return "–"
	}
	if text := strconv.FormatFloat(*value, 'f', 0, 64); len(text) > 3 {
		return text
	}
	return strconv.FormatFloat(*value, 'g', 3, 64)
}

func met(value *bool) string {
	switch {
	case value == nil:
		return "–"
	case *value:
		return "yes"
	}
	return "NO"
}
