package experiment

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// proc makes a folder that is /proc of a machine.
func proc(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestWhatTheKernelCounts(t *testing.T) {
	const stat = "cpu  66683 231161 105149 30405 891 0 3868 985 0 0\ncpu0 1 2 3 4 5 6 7 8 9 10\n"
	some := func(total string) string {
		return "some avg10=48.44 avg60=80.50 avg300=84.25 total=" + total + "\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=7\n"
	}
	before := readHost(proc(t, map[string]string{"pressure/cpu": some("1000000"), "pressure/memory": some("5"), "stat": stat}))
	for _, row := range []struct {
		comment      string
		files        map[string]string
		cpu, stolen  float64 // -1: not told
		memory, disk float64
	}{
		{"half of the time", map[string]string{"pressure/cpu": some("1500000"), "pressure/memory": some("5"), "stat": stat}, 0.5, 0, 0, -1},
		{"more than there was, by rounding", map[string]string{"pressure/cpu": some("2000009"), "stat": stat}, 1, 0, -1, -1},
		{"a kernel without pressure", map[string]string{"stat": stat}, -1, 0, -1, -1},
		{"a line that is none", map[string]string{"pressure/cpu": "some\n", "stat": "cpu 1 2\n"}, -1, -1, -1, -1},
		{"no /proc", nil, -1, -1, -1, -1},
	} {
		got := readHost(proc(t, row.files)).since(before, time.Second)
		for name, pair := range map[string]struct {
			got  *float64
			want float64
		}{"cpu": {got.CPUWait, row.cpu}, "memory": {got.MemoryWait, row.memory}, "io": {got.IOWait, row.disk}, "stolen": {got.Stolen, row.stolen}} {
			if (pair.got == nil) != (pair.want < 0) || pair.got != nil && *pair.got != pair.want {
				t.Errorf("%s: %s: %v, want %g", row.comment, name, pair.got, pair.want)
			}
		}
	}
	if stolen := totalStolen([]byte(stat)); stolen == nil || *stolen != 9850*time.Millisecond {
		t.Errorf("stolen %v", stolen)
	}
}
