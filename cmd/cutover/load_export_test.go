package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

// killed writes what is left of a run that was killed: its events and its requests.log,
// of which the last line is not whole.
func killed(t *testing.T, requests string) string {
	t.Helper()
	folder := t.TempDir()
	for name, text := range map[string]string{
		"events.ndjson": `{"atUs":0,"type":"plan","data":{"scenario":"slow","started":"2026-05-01T10:00:00Z"}}` + "\n",
		"requests.log":  requests,
	} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

func TestLoadExport(t *testing.T) {
	const lines = `{"seq":1,"name":"GET /cart","intendedUs":2000,"sentUs":2001,"doneUs":3000,"status":200,"expected":true}
{"seq":0,"name":"POST /orders","intendedUs":1000,"sentUs":1001,"doneUs":4000,"status":500}
{"seq":2,"na`
	folder, out := killed(t, lines), filepath.Join(t.TempDir(), "results")
	for _, row := range []struct {
		comment   string
		arguments []string
		code      int
		want      string // on the terminal, or in the file if there is none
	}{
		{"to a file", []string{folder, "-o", out}, 0, ""},
		{"as CSV, to the terminal", []string{folder, "--format", "vegeta-csv"}, 0, "1777629600001000000,500,3000000,0,0,status 500 was not expected,,slow,0,POST,/orders,"},
		{"by vegeta's own name", []string{folder, "--format", "json"}, 0, `"latency":1000000`},
		{"in a format that nobody writes", []string{folder, "--format", "vegeta-xml"}, exitUsage, `unknown encoding "xml"`},
		{"a run without load", []string{killed(t, "")}, exitUsage, "holds no requests"},
		{"no record", []string{out + "s"}, exitUsage, "no such file"},
		{"a file that cannot be written", []string{folder, "-o", filepath.Join(folder, "none", "out")}, exitUsage, "no such file"},
	} {
		code, text := execute(t, append([]string{"load", "export"}, row.arguments...)...)
		if code != row.code || !strings.Contains(text, row.want) {
			t.Errorf("%s: exit code %d:\n%s\nwant %d:\n%s", row.comment, code, text, row.code, row.want)
		}
	}
	data, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	decode := vegeta.NewDecoder(bytes.NewReader(data))
	for _, want := range []vegeta.Result{{Seq: 0, Code: 500, Latency: 3e6}, {Seq: 1, Code: 200, Latency: 1e6}} {
		var got vegeta.Result
		if err := decode(&got); err != nil || got.Seq != want.Seq || got.Code != want.Code || got.Latency != want.Latency {
			t.Errorf("vegeta reads %+v, %v; want %+v", got, err, want)
		}
	}
}
