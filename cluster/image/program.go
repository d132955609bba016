package image

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// buildFlags make the program a function of its source: no paths, no revision, no
// debug tables.
var buildFlags = []string{"-trimpath", "-buildvcs=false", "-ldflags=-s -w"}

// exactVersion is a version that names one content for ever.
var exactVersion = regexp.MustCompile(`^v\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?(\+incompatible)?$`)

// program makes the image of what follows ko:// in a reference.
func (b builder) program(ctx context.Context, ref string) (string, v1.Image, error) {
	name, err := parseProgram(ref)
	switch {
	case err != nil:
		return "", nil, err
	case name.version == "":
		return b.local(ctx, name)
	}
	return b.published(ctx, name.path, name.version)
}

// programRef is what a reference says of a Go program.
type programRef struct {
	path    string // of a folder, or to import
	folder  bool
	version string // "" of one that is not published
}

func parseProgram(ref string) (programRef, error) {
	folder := isFolder(ref)
	pkg, version, published := strings.Cut(ref, "@")
	switch {
	case ref == "" || strings.Contains(ref, "..."):
		return programRef{}, errors.New("it has to name one Go program: " + koForms)
	case folder || !published:
		return programRef{path: ref, folder: folder}, nil
	case !exactVersion.MatchString(version):
		return programRef{}, fmt.Errorf("%q is not an exact version, so it would not be the same program tomorrow: "+
			"`go list -m MODULE@%s` says what it stands for today", version, version)
	}
	return programRef{path: pkg, version: version}, nil
}

const koForms = "ko://./folder, ko://import/path (of the module that the scenario is in) or ko://import/path@v1.2.3"

// isFolder tells ./apps/shop from example.com/apps/shop, as go itself does.
func isFolder(ref string) bool {
	return ref == "." || ref == ".." || strings.HasPrefix(ref, "./") || strings.HasPrefix(ref, "../") || path.IsAbs(ref)
}

// local builds a program from source on this machine. go's own build cache knows
// whether anything changed; the image's digest is its identity.
func (b builder) local(ctx context.Context, ref programRef) (string, v1.Image, error) {
	pkg, err := b.findLocal(ctx, ref)
	if err != nil {
		return "", nil, err
	}
	work, remove, err := b.workFolder()
	if err != nil {
		return "", nil, err
	}
	defer remove()

	name := programName(pkg.ImportPath)
	binary := filepath.Join(work, name)
	if err := b.goBuild(ctx, pkg.Dir, binary); err != nil {
		return "", nil, err
	}
	base, err := baseLayer()
	if err != nil {
		return "", nil, err
	}
	built, err := b.wrap(base, binary)
	if err != nil {
		return "", nil, err
	}
	digest, err := built.Digest()
	if err != nil {
		return "", nil, fmt.Errorf("computing the image's digest: %w", err)
	}
	img, err := b.store.once(ctx, digest.Hex, func() (v1.Image, error) { return built, nil })
	return name, img, err
}

// published builds a program of a module version, once: what it is made from
// cannot change.
func (b builder) published(ctx context.Context, pkg, version string) (string, v1.Image, error) {
	base, err := baseLayer()
	if err != nil {
		return "", nil, err
	}
	toolchain, err := runGo(ctx, b.dir, nil, "env", "GOVERSION", "GOEXPERIMENT", "GOAMD64", "GOARM64")
	if err != nil {
		return "", nil, err
	}
	work, remove, err := b.workFolder()
	if err != nil {
		return "", nil, err
	}
	defer remove()

	name := programName(pkg)
	key := keyOf(pkg, version, string(toolchain), b.arch, strings.Join(buildFlags, " "), base.digest.Hex)
	img, err := b.store.once(ctx, key, func() (v1.Image, error) {
		b.notify(fmt.Sprintf("building %s %s", pkg, version))
		dir, err := b.download(ctx, pkg, version)
		if err != nil {
			return nil, err
		}
		binary := filepath.Join(work, name)
		if err := b.goBuild(ctx, dir, binary, publishedEnv...); err != nil {
			return nil, err
		}
		return b.wrap(base, binary)
	})
	return name, img, err
}

// wrap puts the program on top of the base, to run as nobody in particular.
func (b builder) wrap(base *layer, binary string) (v1.Image, error) {
	inside := programPath(filepath.Base(binary))
	program, err := newLayer([]file{{path: inside, mode: 0o755, source: binary}})
	if err != nil {
		return nil, err
	}
	return scratch(b.arch, v1.Config{Entrypoint: []string{inside}, User: nonroot}, base, program)
}

// goPackage is what `go list -json` says of a package.
type goPackage struct{ Dir, ImportPath, Name string }

// findLocal resolves a program that is on this machine.
func (b builder) findLocal(ctx context.Context, ref programRef) (goPackage, error) {
	if ref.folder {
		return b.find(ctx, b.path(ref.path), ".")
	}
	return b.find(ctx, b.dir, ref.path)
}

// find resolves a package in the module that holds dir.
func (b builder) find(ctx context.Context, dir, pattern string) (goPackage, error) {
	if _, err := os.Stat(dir); err != nil {
		return goPackage{}, fmt.Errorf("there is no such folder (relative ones start from %s): %w", b.dir, err)
	}
	out, err := runGo(ctx, dir, b.target(), "list", "-json=Dir,ImportPath,Name", "--", pattern)
	if err != nil {
		return goPackage{}, fmt.Errorf("finding the program (%s): %w", koForms, err)
	}
	var pkg goPackage
	if err := json.Unmarshal(out, &pkg); err != nil {
		return goPackage{}, fmt.Errorf("reading the answer of go list: %w", err)
	}
	if pkg.Name != "main" {
		return goPackage{}, fmt.Errorf("%s is package %s, not a program: name the folder that has the main package", pkg.ImportPath, pkg.Name)
	}
	return pkg, nil
}

// goBuild builds the main package in dir for the nodes, statically.
func (b builder) goBuild(ctx context.Context, dir, output string, env ...string) error {
	if _, err := os.Stat(filepath.Join(dir, "kodata")); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s has a kodata folder, which is not supported yet: embed the files in the program", dir)
	}
	args := append([]string{"build", "-o", output}, buildFlags...)
	if _, err := runGo(ctx, dir, append(b.target(), env...), append(args, ".")...); err != nil {
		return fmt.Errorf("building the program: %w", err)
	}
	return nil
}

// target makes go work for the nodes rather than for this machine, and where it
// leaves nothing behind when it is killed.
func (b builder) target() []string {
	return []string{"CGO_ENABLED=0", "GOOS=linux", "GOARCH=" + b.arch, "GOTMPDIR=" + b.temp}
}

func programName(importPath string) string {
	name := path.Base(importPath)
	if majorVersion.MatchString(name) {
		name = path.Base(path.Dir(importPath))
	}
	return name
}

// majorVersion ends the import path of a program at the root of a module's v2.
var majorVersion = regexp.MustCompile(`^v\d+$`)
