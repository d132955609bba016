package components

import (
	"cmp"
	"context"
	"fmt"
	"go/version"
	"os"
	"os/exec"
	"strings"
)

// elsewhere is what a machine without tools can do.
const elsewhere = "Or build the components on another machine with `cutover cluster components`, bring the folder that it prints here, and name it in CUTOVER_COMPONENTS"

// oldestGo is the first that fetches, or asks for, the version that a module needs;
// those before stumble over how it is written.
const oldestGo = "go1.21"

// goVersion is the version of Go that components are built by. It is asked where no
// module has a say, so that the answer, and with it the cache, is the same wherever
// cutover is started.
func goVersion(ctx context.Context) (string, error) {
	env := exec.CommandContext(ctx, "go", "env", "GOVERSION")
	env.Dir, env.Env = os.TempDir(), append(os.Environ(), "GOWORK=off")
	out, err := env.Output()
	if err != nil {
		return "", fmt.Errorf("the components of a cluster are built here with Go, and `go env GOVERSION` failed: install a current Go (https://go.dev/dl) and put it in PATH, also in root's. %s: %w", elsewhere, err)
	}
	return strings.TrimSpace(string(out)), nil
}

// requireTools says what the components that have to be built lack on this machine,
// all of it at once.
func requireTools(ctx context.Context, missing []component) error {
	if len(missing) == 0 {
		return nil
	}
	found, err := goVersion(ctx)
	if err != nil {
		return err
	}
	if version.IsValid(found) && version.Compare(found, oldestGo) < 0 {
		return fmt.Errorf("the components of a cluster are built here with Go, and %s is too old: install a current one (https://go.dev/dl) and put it first in PATH. %s", found, elsewhere)
	}
	for _, c := range missing {
		if c.cgo {
			return requireC(ctx, c.name)
		}
	}
	return nil
}

// requireC looks for what components that are partly C are built with.
func requireC(ctx context.Context, component string) error {
	var lacks []string
	compiler := exec.CommandContext(ctx, cmp.Or(os.Getenv("CC"), "gcc"), "-E", "-include", "stdlib.h", "-x", "c", os.DevNull)
	if compiler.Run() != nil {
		lacks = append(lacks, "gcc with the headers of the C library")
	}
	switch {
	case exec.CommandContext(ctx, "pkg-config", "--version").Run() != nil:
		lacks = append(lacks, "pkg-config", "the headers of libseccomp")
	case exec.CommandContext(ctx, "pkg-config", "--exists", "libseccomp").Run() != nil:
		lacks = append(lacks, "the headers of libseccomp")
	}
	if len(lacks) == 0 {
		return nil
	}
	return fmt.Errorf("%s, a component of a cluster, is built here and partly C, and this machine lacks %s: install them (Debian, Ubuntu: apt-get install gcc libc6-dev pkg-config libseccomp-dev; Fedora: dnf install gcc pkgconf libseccomp-devel). %s",
		component, strings.Join(lacks, ", "), elsewhere)
}
