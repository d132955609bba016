package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestLoadConvert(t *testing.T) {
	log := filepath.Join(t.TempDir(), "access.log")
	lines := `10.0.0.1 - - [01/May/2026:10:00:00 +0000] "GET /cart HTTP/1.1" 200 12
10.0.0.1 - - [01/May/2026:10:00:02 +0000] "POST /orders HTTP/1.1" 201 12
10.0.0.1 - - [01/May/2026:10:00:03 +0000] "GET /gone HTTP/1.1" 404 12
`
	if err := os.WriteFile(log, []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		comment   string
		arguments []string
		code      int
		want      string
	}{
		{"a write without its body", []string{log}, exitUsage, "access.log:2: a POST has a body, which an access log does not hold"},
		{"reads", []string{log, "--methods", "GET"}, 0, `{"at":"0s","method":"GET","path":"/cart"}
{"at":"3s","method":"GET","path":"/gone","status":404}
`},
		{"no file", []string{log + "s"}, exitUsage, "no such file"},
	} {
		code, text := execute(t, append([]string{"load", "convert"}, row.arguments...)...)
		if code != row.code || !strings.Contains(text, row.want) {
			t.Errorf("%s: exit code %d:\n%s\nwant %d:\n%s", row.comment, code, text, row.code, row.want)
		}
	}
}
