package image

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// publishedEnv makes a published program the same for everybody: without this
// machine's workspace and flags, and with its own go.mod as it was published.
var publishedEnv = []string{"GOWORK=off", "GOFLAGS=-mod=readonly"}

// download finds the module that provides the package and returns the package's
// folder in the module cache. It is built there, inside the module's own go.mod,
// because only there its replace lines count: `go install pkg@version` refuses
// modules that have some.
//
// What is in the cache already is tried first and without the network, so that a
// machine that is cut off goes on working.
func (b builder) download(ctx context.Context, pkg, version string) (string, error) {
	if dir, err := b.provider(ctx, pkg, version, "GOPROXY=off"); err == nil {
		return dir, nil
	}
	dir, err := b.provider(ctx, pkg, version)
	if err != nil {
		return "", fmt.Errorf("no module provides package %s at %s:\n%w\ncheck the path and the version, "+
			"and that the Go module proxy can be reached (cutover doctor)", pkg, version, err)
	}
	return dir, nil
}

// provider asks for every module that could hold the package, the longest path
// first, as go itself does.
func (b builder) provider(ctx context.Context, pkg, version string, env ...string) (string, error) {
	var failures []error
	for module := pkg; module != "."; module = path.Dir(module) {
		root, err := downloadModule(ctx, module, version, env)
		if err != nil {
			failures = append(failures, err)
			continue
		}
		dir, err := packageIn(root, strings.TrimPrefix(pkg, module))
		if err == nil {
			return dir, nil
		}
		failures = append(failures, fmt.Errorf("module %s: %w", module, err))
	}
	return "", errors.Join(failures...)
}

func packageIn(root, rest string) (string, error) {
	dir := filepath.Join(root, rest)
	if _, err := os.Stat(dir); err != nil {
		return "", fmt.Errorf("it has no folder %s", strings.TrimPrefix(rest, "/"))
	}
	if _, err := os.Stat(filepath.Join(root, "go.mod")); err != nil {
		return "", errors.New("it has no go.mod to build in: check it out, run `go mod init` and use ko://./folder")
	}
	return dir, nil
}

// downloadModule returns the module's folder in the module cache.
func downloadModule(ctx context.Context, module, version string, env []string) (string, error) {
	// Away from any go.mod, which would have a say in it.
	out, err := runGo(ctx, os.TempDir(), append([]string{"GOWORK=off"}, env...),
		"mod", "download", "-json", module+"@"+version)
	var answer struct{ Dir, Error string }
	if decodeErr := json.Unmarshal(out, &answer); decodeErr == nil && answer.Error != "" {
		return "", errors.New(answer.Error)
	}
	if err != nil {
		return "", err
	}
	if answer.Dir == "" {
		return "", fmt.Errorf("go mod download named no folder for %s@%s", module, version)
	}
	return answer.Dir, nil
}
