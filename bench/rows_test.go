package bench

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the golden files")

func TestJudge(t *testing.T) {
	yes, no := new(true), new(false)
	for _, row := range []struct {
		why        string
		want       Want
		ours, peer []float64
		missing    string

		median, ratio *float64
		met           *bool
		because       string
	}{
		{"the median of five, not the mean", AtMost(4, "s"), []float64{3, 1, 100, 2, 5}, nil, "no peer here", new(3.0), nil, yes, "no peer here"},
		{"the limit itself is met", AtMost(4, "s"), []float64{4}, nil, "", new(4.0), nil, yes, ""},
		{"just above it is not", AtMost(4, "s"), []float64{4.001}, nil, "", new(4.001), nil, no, ""},
		{"at least: the limit itself is met", AtLeast(4, "Mbit/s"), []float64{4}, nil, "", new(4.0), nil, yes, ""},
		{"at least: just below it is not", AtLeast(4, "Mbit/s"), []float64{3.999}, nil, "", new(3.999), nil, no, ""},
		{"an even number: between the two in the middle", AtMost(4, "s"), []float64{1, 2, 4, 9}, nil, "", new(3.0), nil, yes, ""},
		{"nothing measured is neither met nor missed", AtMost(4, "s"), nil, nil, "it broke", nil, nil, nil, "it broke"},
		{"a factor needs the peer", Times(3, "s"), []float64{5}, nil, "no node image", new(5.0), nil, nil, "no node image"},
		{"a factor is of the peer over ours", Times(3, "s"), []float64{5}, []float64{16}, "dropped", new(5.0), new(3.2), yes, ""},
		{"a factor that is too small", Times(3, "s"), []float64{5}, []float64{14}, "", new(5.0), new(2.8), no, ""},
		{"the peer alone says nothing of ours", AtMost(4, "s"), nil, []float64{14}, "it broke", nil, nil, nil, "it broke"},
		{"more than the peer: three times", TimesMore(3, "requests/s"), []float64{9}, []float64{3}, "", new(9.0), new(1.0 / 3), yes, ""},
		{"more than the peer: not quite", TimesMore(3, "requests/s"), []float64{8.5}, []float64{3}, "", new(8.5), new(3 / 8.5), no, ""},
		{"more than the peer takes a peer", TimesMore(3, "requests/s"), []float64{9}, nil, "not installed", new(9.0), nil, nil, "not installed"},
		{"nothing is not more than the peer", TimesMore(3, "requests/s"), []float64{0}, []float64{3}, "", new(0.0), nil, no, ""},
		{"nothing is not more than nothing", TimesMore(3, "requests/s"), []float64{0}, []float64{0}, "", new(0.0), nil, no, ""},
		{"nothing cannot be divided by", Times(3, "s"), []float64{0}, []float64{14}, "", new(0.0), nil, nil, ""},
	} {
		got := Judge("target", row.want, Samples{Ours: row.ours, Peer: row.peer}, row.missing)
		if !equal(got.Ours, row.median) || !equal(got.Ratio, row.ratio) || !equal(got.Met, row.met) || got.Because != row.because {
			t.Errorf("%s: ours %v, ratio %v, met %v, because %q", row.why, show(got.Ours), show(got.Ratio), show(got.Met), got.Because)
		}
	}
}

func equal[T comparable](a, b *T) bool { return a == b || a != nil && b != nil && *a == *b }

func show[T any](value *T) any {
	if value == nil {
		return nil
	}
	return *value
}

// TestMedianLeavesSamplesInOrder: they are told in order of measurement.
func TestMedianLeavesSamplesInOrder(t *testing.T) {
	samples := []float64{3, 1, 2}
	if got := *median(samples); got != 2 || samples[0] != 3 {
		t.Errorf("median %v, samples now %v", got, samples)
	}
}

func TestDurations(t *testing.T) {
	phases := Durations([]Phase{
		{Name: "a", Samples: []float64{1, 1.5, 9}},
		{Name: "b", After: []string{"a"}, Samples: []float64{2}},
		{Name: "unseen", After: []string{"b"}},
		{Name: "both", After: []string{"a", "b", "unseen"}, Samples: []float64{2.25}},
	})
	for i, want := range []*float64{new(1.5), new(0.5), nil, new(0.25)} {
		if !equal(phases[i].Took, want) {
			t.Errorf("%s took %v, want %v", phases[i].Name, show(phases[i].Took), show(want))
		}
	}
}

// report has a row of each sort: met, missed, without a peer, not measured.
func report() Report {
	return Report{
		Head: Head{Benchmark: "bench-example", Date: time.Date(2026, 11, 21, 4, 0, 0, 0, time.UTC), N: 3,
			Machine:  Machine{Processor: "Example 1", Cores: 2, MemoryGiB: 24, Kernel: "6.18", Load: "0.10"},
			Versions: map[string]string{"cutover": "v1"}},
		Rows: []Row{
			Judge("start", AtMost(4, "s"), Samples{Ours: []float64{3, 1, 2}, Peer: []float64{8, 9, 10}}, ""),
			Judge("end", AtMost(1, "s"), Samples{Ours: []float64{1.5}}, "the peer does not end"),
			Judge("factor", Times(5, "s"), Samples{Ours: []float64{2}, Peer: []float64{9}}, ""),
			Judge("memory", AtMost(1, "GiB"), Samples{Ours: []float64{}}, "it broke"),
		},
		Phases: Durations([]Phase{{Name: "first", Samples: []float64{0.5}}, {Name: "second", After: []string{"first"}, Samples: []float64{2}}, {Name: "third", After: []string{"second"}}}),
	}
}

func TestTable(t *testing.T) {
	var out bytes.Buffer
	if err := report().Table(&out); err != nil {
		t.Fatal(err)
	}
	golden(t, "table.txt", out.Bytes())
}

func TestWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "made", "report.json")
	if err := report().Write(path); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "report.json", data)
	var read struct {
		Rows []map[string]any
	}
	if err := json.Unmarshal(data, &read); err != nil {
		t.Fatal(err)
	}
	// Null and missing are not the same to those who read it.
	for _, column := range []string{"target", "want", "ours", "peer", "ratio", "met"} {
		if _, there := read.Rows[3][column]; !there {
			t.Errorf("a row that was not measured lacks %q", column)
		}
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs; with -update it would be:\n%s", path, got)
	}
}
