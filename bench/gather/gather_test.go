package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cutover-dev/cutover/bench"
)

func write(t *testing.T, rows ...bench.Row) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "report.json")
	if err := (bench.Report{Head: bench.Head{Benchmark: "example"}, Rows: rows}).Write(path); err != nil {
		t.Fatal(err)
	}
	return path
}

// three rows: met, missed, and one that was not measured.
var rows = []bench.Row{
	bench.Judge("fast", bench.AtMost(4, "s"), bench.Samples{Ours: []float64{2}, Peer: []float64{8}}, ""),
	bench.Judge("exact", bench.Times(1000, "ms"), bench.Samples{Ours: []float64{0.5}, Peer: []float64{12345.6}}, ""),
	bench.Judge("lost", bench.AtMost(0, "requests"), bench.Samples{}, "nobody looked"),
}

func TestGather(t *testing.T) {
	one, other := write(t, rows...), write(t, bench.Judge("small", bench.AtMost(1, "MiB"), bench.Samples{Ours: []float64{9}}, "no peer"))
	to, page := filepath.Join(t.TempDir(), "made", "bench.json"), filepath.Join(t.TempDir(), "page.md")
	if err := os.WriteFile(page, []byte("before\n"+begin+"old\n"+end+"after\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := run([]string{"-out", to, "-page", page, one, other}, &out); err != nil {
		t.Fatal(err)
	}
	if want := "4 targets: 2 met, 1 missed, 1 not measured"; !strings.Contains(out.String(), want) {
		t.Errorf("it does not say %q:\n%s", want, out.String())
	}
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"before\n<!-- bench -->\n", "| exact | ≥ 1000 × less than the peer (ms) | 0.5 | 12346 | 24691 | yes |", "| small | ≤ 1 MiB | 9 | – | – | NO |", "\nnobody looked.\n", "<!-- end of bench -->\nafter\n"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the page lacks %q:\n%s", want, text)
		}
	}
	if strings.Contains(string(text), "old") {
		t.Error("the old table is still there")
	}
	// What is written is what a benchmark writes: no key is lost on the way, nor is null.
	data, err := os.ReadFile(to)
	if err != nil {
		t.Fatal(err)
	}
	var got, want []map[string]any
	original, _ := json.Marshal(rows)
	if err := json.Unmarshal(original, &want); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &got); err != nil || len(got) != 4 {
		t.Fatalf("%d rows, %v", len(got), err)
	}
	for i, w := range want {
		for key, value := range w {
			if read, there := got[i][key]; !there || read != value {
				t.Errorf("row %d: %s is %v, want %v", i, key, read, value)
			}
		}
	}
}

func TestWhatCannotBeGathered(t *testing.T) {
	dir := t.TempDir()
	empty, page := filepath.Join(dir, "empty.json"), filepath.Join(dir, "page.md")
	for path, text := range map[string]string{empty: "{}", page: "a page with " + end + " alone"} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name, args := range map[string][]string{
		"no file":                       {},
		"a file that is not there":      {filepath.Join(dir, "none.json")},
		"a file without rows":           {empty},
		"a page without a place for it": {"-page", page, write(t, rows...)},
	} {
		if err := run(append([]string{"-out", filepath.Join(dir, "out.json")}, args...), &bytes.Buffer{}); err == nil {
			t.Errorf("%s goes unnoticed", name)
		}
	}
}
