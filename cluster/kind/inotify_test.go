package kind

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRequireWatchers(t *testing.T) {
	for _, row := range []struct {
		why         string
		limit       string
		used, nodes int
		want        string // of the error
	}{
		{"room for one", "128", 40, 1, ""},
		{"just room", "60", 40, 1, ""},
		{"one too many", "59", 40, 1, "40 of the 59 inotify instances"},
		{"several nodes take more", "128", 60, 4, "sysctl fs.inotify.max_user_instances"},
		{"no number", "many", 0, 1, "limit of inotify instances"},
	} {
		proc := t.TempDir()
		limit := filepath.Join(proc, "sys/fs/inotify")
		fds := filepath.Join(proc, "42", "fd")
		for _, dir := range []string{limit, fds} {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(limit, "max_user_instances"), []byte(row.limit+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		for i := range row.used {
			if err := os.Symlink("anon_inode:inotify", filepath.Join(fds, fmt.Sprint(i))); err != nil {
				t.Fatal(err)
			}
		}
		// What is no inotify instance does not count.
		if err := os.Symlink("/dev/null", filepath.Join(fds, "other")); err != nil {
			t.Fatal(err)
		}
		if err := requireWatchers(proc, row.nodes); (err == nil) != (row.want == "") || err != nil && !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: %v, want %q", row.why, err, row.want)
		}
	}
}
