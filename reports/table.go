package reports

// table is a table as every report format can draw it.
type table struct {
	ID      string
	Caption string
	Head    []cell
	Rows    [][]cell
	Fold    bool       // long: shut until somebody asks for it
	Numbers bool       // all columns but the first hold numbers
	Lane    *tableLane // nil if its rows are no stretches of a chart's time axis
}

// tableLane is the part of a chart that a table holds the numbers of: how many of
// its rows the time axis is long, and the lane's edges.
type tableLane struct{ Bins, Top, Bottom px }

// cell is one value, with its unit already written.
type cell struct {
	Text   string
	Number bool   // aligned by its last digit
	Mark   string // a symbol before the text: pass, fail, unjudged …
	Code   bool   // written by a machine, or to be typed into one
}

func text(s string) cell   { return cell{Text: orNone(s)} }
func number(s string) cell { return cell{Text: orNone(s), Number: true} }
func code(s string) cell   { return cell{Text: orNone(s), Code: s != ""} }

func orNone(s string) string {
	if s == "" {
		return none
	}
	return s
}

// head names columns; a leading "#" marks one of numbers.
func head(names ...string) []cell {
	cells := make([]cell, len(names))
	for i, name := range names {
		if name[0] == '#' {
			cells[i] = number(name[1:])
		} else {
			cells[i] = text(name)
		}
	}
	return cells
}

// folded is the number of rows from which a table starts shut.
const folded = 15

// fold shuts the table if it is long.
func (t table) fold() table {
	t.Fold = len(t.Rows) > folded
	return t
}

// section is a heading with what belongs under it.
type section struct {
	ID     string
	Title  string
	Notes  []string
	Tables []table
	Output output // its Text is "" if nothing was printed
}
