package components

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// withTools makes a PATH of the given programs alone, each a shell script.
func withTools(t *testing.T, scripts map[string]string) {
	t.Helper()
	dir := t.TempDir()
	for name, script := range scripts {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", dir)
	t.Setenv("CC", "")
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("CUTOVER_COMPONENTS", "")
}

func TestMissingToolsAreNamedBeforeAnythingIsBuilt(t *testing.T) {
	const (
		works = "exit 0"
		fails = "exit 1"
		goes  = `case "$1" in env) echo go1.26.0;; *) echo "go must not build anything" >&2; exit 1;; esac`
	)
	for _, row := range []struct {
		why   string
		tools map[string]string
		want  []string // of the error
		not   string
	}{
		{"nothing is there", nil, []string{"install a current Go", "CUTOVER_COMPONENTS"}, "seccomp"},
		{"a Go that cannot read the modules", map[string]string{"go": "echo go1.19.8"}, []string{"go1.19.8 is too old"}, "seccomp"},
		{"Go alone", map[string]string{"go": goes}, []string{"gcc", "pkg-config", "libseccomp", "apt-get install", "dnf install", "CUTOVER_COMPONENTS"}, "Go ("},
		{"no headers of libseccomp", map[string]string{"go": goes, "gcc": works, "pkg-config": `test "$1" = --version`}, []string{"lacks the headers of libseccomp:"}, ""},
		// gcc is there, and the C library's headers, a package of their own, are not.
		{"no headers at all", map[string]string{"go": goes, "gcc": fails, "pkg-config": works}, []string{"lacks gcc with the headers of the C library:", "libc6-dev"}, ""},
		// The control: with all of them it goes on, to a build that is none.
		{"all is there", map[string]string{"go": goes, "gcc": works, "pkg-config": works}, []string{"component kube could not be built"}, "lacks"},
	} {
		t.Run(row.why, func(t *testing.T) {
			withTools(t, row.tools)
			var out bytes.Buffer
			_, err := Ensure(t.Context(), &out, Embedded)
			if err == nil {
				t.Fatal("want an error")
			}
			for _, want := range row.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the error does not name %q:\n%v", want, err)
				}
			}
			if row.not != "" && strings.Contains(err.Error(), row.not) {
				t.Errorf("the error names %q, which is not the matter:\n%v", row.not, err)
			}
		})
	}
}

func TestBuiltByOthersNeedsNoTools(t *testing.T) {
	withTools(t, nil)
	dir := t.TempDir()
	t.Setenv("CUTOVER_COMPONENTS", dir)
	if built, err := Built(t.Context(), Embedded); built || err == nil || !strings.Contains(err.Error(), "lacks kube") {
		t.Errorf("an empty folder: built %v, error %v", built, err)
	}
	for _, c := range Embedded.components() {
		for _, program := range c.programs() {
			if err := os.WriteFile(filepath.Join(dir, program), nil, 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	if built, err := Built(t.Context(), Embedded); !built || err != nil {
		t.Errorf("all programs are there: built %v, error %v", built, err)
	}
	if found, err := Ensure(t.Context(), &bytes.Buffer{}, Embedded); err != nil || found.Path("kube") != filepath.Join(dir, "kube") {
		t.Errorf("got %v, error %v", found, err)
	}
}

// The cache is shared by a checkout's binary and an installed one, wherever they
// are started: a module around the current folder must have no say in its keys.
func TestKeysDoNotDependOnTheCurrentFolder(t *testing.T) {
	outside, err := goVersion(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	// With GOTOOLCHAIN=local, go refuses to work for a module that wants a later one.
	t.Setenv("GOTOOLCHAIN", "local")
	t.Setenv("GOFLAGS", "-mod=mod")
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module example.test/later\n\ngo 1.999.0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	inside, err := goVersion(t.Context())
	if err != nil || inside != outside {
		t.Errorf("%s, and in a module that wants another one %s (%v)", outside, inside, err)
	}
}
