package conformance

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Schema of the report.
const Schema = "cutover.conformance/v1alpha1"

// Report is what all trials on one cluster came to.
type Report struct {
	Schema     string    `json:"schema"`
	Cluster    string    `json:"cluster"` // its provider
	Kubernetes string    `json:"kubernetes"`
	Kernel     string    `json:"kernel"`
	Load       string    `json:"load"` // of the machine, at the end
	Drivers    []string  `json:"drivers"`
	Rows       []Row     `json:"rows"`
	Controls   []Control `json:"controls"`
}

// Control is a trial that must fail.
type Control struct {
	Name   string `json:"name"`
	Driver string `json:"driver"`
	Caught bool   `json:"caught"` // it failed, and for the right reason
	Row    Row    `json:"row"`
}

// JSON writes the report for programs.
func (r Report) JSON(out io.Writer) error {
	r.Schema = Schema
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(r)
}

// Markdown writes the tables of the report: a line for each case, with what was
// measured before, during and after it, and why what could not be done was not.
func (r Report) Markdown(out io.Writer) error {
	var text strings.Builder
	fmt.Fprintf(&text, "Kubernetes %s, Linux %s. Before → during → after the fault; %s.\n\n", strings.TrimPrefix(r.Kubernetes, "v"), r.Kernel, r.sums())
	fmt.Fprintf(&text, "| fault | case | measured | %s |\n|---|---|---|%s\n", strings.Join(r.Drivers, " | "), strings.Repeat("---|", len(r.Drivers)))
	var reasons []string
	for _, c := range Cases() {
		fmt.Fprintf(&text, "| `%s` | %s | %s |", c.Fault, c.Variant, c.Shows)
		for _, driver := range r.Drivers {
			fmt.Fprintf(&text, " %s |", r.cell(c, driver, &reasons))
		}
		text.WriteByte('\n')
	}
	if len(reasons) > 0 {
		text.WriteString("\nNot done, or not as asked for:\n\n")
	}
	for n, reason := range reasons {
		fmt.Fprintf(&text, "%d. %s\n", n+1, reason)
	}
	if len(r.Controls) > 0 {
		text.WriteString("\nControls, which must fail and did:\n\n")
	}
	for _, control := range r.Controls {
		caught := "failed"
		if !control.Caught {
			caught = "**was not caught**"
		}
		fmt.Fprintf(&text, "- %s (%s): %s: %s\n", control.Name, control.Driver, caught, first(control.Row.Because))
	}
	_, err := io.WriteString(out, text.String())
	return err
}

func (r Report) sums() string {
	count := map[Result]int{}
	for _, row := range r.Rows {
		count[row.Result]++
	}
	return fmt.Sprintf("%d as asked for, %d not, %d that the driver or the kernel cannot do", count[OK], count[Failed], count[Cannot])
}

// cell is a case with one driver. Reasons are numbered, each once.
func (r Report) cell(c Case, driver string, reasons *[]string) string {
	at := slices.IndexFunc(r.Rows, func(row Row) bool { return row.Fault == c.Fault && row.Variant == c.Variant && row.Driver == driver })
	if at < 0 {
		return "not tried"
	}
	row := r.Rows[at]
	if row.Result == OK {
		return row.story()
	}
	reason := first(row.Because)
	n := slices.Index(*reasons, reason)
	if n < 0 {
		n = len(*reasons)
		*reasons = append(*reasons, reason)
	}
	if row.Result == Cannot {
		return fmt.Sprintf("– (%d)", n+1)
	}
	return fmt.Sprintf("**failed** (%d)", n+1)
}

// story is what the row shows of the pods under the fault, in each phase.
func (row Row) story() string {
	var phases []string
	for _, phase := range []Phase{Before, During, After} {
		var seen []string
		for _, role := range []Role{Target, Newborn} {
			for _, f := range row.Figures {
				if f.Phase == phase && f.Role == role && f.Quantity == row.Shows {
					seen = append(seen, f.String())
				}
			}
		}
		if len(seen) == 0 {
			seen = []string{"–"}
		}
		phases = append(phases, strings.Join(seen, ", "))
	}
	return strings.Join(phases, " → ")
}

func first(reasons []string) string {
	if len(reasons) == 0 {
		return ""
	}
	return strings.ReplaceAll(reasons[0], "\n", " ")
}

// ToleranceTable writes how far figures may be off, and why.
func ToleranceTable(out io.Writer) error {
	var text strings.Builder
	text.WriteString("| of | below | above | why so far |\n|---|---|---|---|\n")
	for _, t := range Tolerances() {
		below, above := fmt.Sprintf("%g", t.Below), fmt.Sprintf("%g", t.Above)
		if t.Parts {
			below, above = fmt.Sprintf("%.0f %%", 100*t.Below), fmt.Sprintf("%.0f %%", 100*t.Above)
		}
		fmt.Fprintf(&text, "| %s | %s | %s | %s |\n", t.Of, below, above, t.Why)
	}
	_, err := io.WriteString(out, text.String())
	return err
}

// Splice puts a table between the markers of its name in a page, and leaves the rest
// of the page as it is.
func Splice(page, name, table string) (string, error) {
	begin, end := "<!-- begin "+name+" -->\n", "<!-- end "+name+" -->"
	head, rest, found := strings.Cut(page, begin)
	_, tail, closed := strings.Cut(rest, end)
	if !found || !closed {
		return "", fmt.Errorf("the page has no lines %q and %q: add them where the table is to be", strings.TrimSpace(begin), end)
	}
	return head + begin + "\n" + strings.TrimSpace(table) + "\n\n" + end + tail, nil
}
