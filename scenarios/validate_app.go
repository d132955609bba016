package scenarios

import (
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/cutover-dev/cutover/history"
	"github.com/cutover-dev/cutover/release"
)

func (v *validator) app() {
	a := v.s.App
	v.image("app.image", a.Image)
	v.want(serviceName.MatchString(a.Service), "app.service", "%q names no Service: %s, the first one a letter", a.Service, dnsRule)
	for _, port := range slices.Sorted(maps.Keys(a.Ports)) {
		v.want(a.Ports[port] >= 1 && a.Ports[port] <= 65535, join("app.ports", port), "%d is no port: write 1 to 65535", a.Ports[port])
	}
	_, ok := a.Ports["http"]
	v.want(ok, "app.ports", "no port named http: it is the one that carries the load")
	v.want(a.Replicas > 0, "app.replicas", "%d: write 1 or more", a.Replicas)
	v.want(a.Version.Header == "" || a.Version.JSON == "", "app.version",
		"header (line %d) and json (line %d) are both given: an answer tells its version in one way; keep one",
		v.line("app.version.header"), v.line("app.version.json"))
	v.want(a.Version.Header == "" || httpToken.MatchString(a.Version.Header), "app.version.header", "%q is no header name", a.Version.Header)
	v.environment("app.env", a.Env)
	v.readiness(a.Readiness)
	v.writable(a.Writable)
	v.wholeSeconds("app.drain", a.Drain, 0)
	v.wholeSeconds("app.grace", a.Grace, time.Second)
	if v.sound("app.drain", "app.grace") {
		v.want(a.Drain < a.Grace, "app.drain", "%s of waiting leaves nothing of grace, %s, to finish requests in: shorten it", a.Drain, a.Grace)
	}
	v.variant("app.baseline", a.Baseline)
	v.variant("app.candidate", a.Candidate)
}

func (v *validator) variant(key string, variant release.Variant) {
	if v.given(key + ".image") {
		v.image(key+".image", variant.Image)
	}
	v.environment(key+".env", variant.Env)
	v.want(variant.Replicas > 0 || !v.given(key+".replicas"), key+".replicas", "%d: write 1 or more", variant.Replicas)
}

func (v *validator) environment(key string, env map[string]string) {
	for _, variable := range slices.Sorted(maps.Keys(env)) {
		v.want(variable != "" && !strings.ContainsAny(variable, "= \t"), join(key, variable), "%q is no name of a variable", variable)
	}
}

func (v *validator) writable(folders []string) {
	for i, folder := range folders {
		key := elem("app.writable", i)
		v.want(path.IsAbs(folder) && path.Clean(folder) == folder && folder != "/", key,
			"%q is no folder of a container: write an absolute path such as /tmp", folder)
		v.want(slices.Index(folders, folder) == i, key, "%q is given twice", folder)
	}
}

func (v *validator) readiness(r release.Readiness) {
	v.want(r.Path == "" || strings.HasPrefix(r.Path, "/"), "app.readiness.path", "%q must begin with /", r.Path)
	v.wholeSeconds("app.readiness.period", r.Period, time.Second)
	v.wholeSeconds("app.readiness.timeout", r.Timeout, time.Second)
	v.want(r.Failures > 0, "app.readiness.failures", "%d: write 1 or more", r.Failures)
}

// wholeSeconds checks what Kubernetes counts in seconds.
func (v *validator) wholeSeconds(key string, d history.Duration, least time.Duration) {
	v.want(d.D()%time.Second == 0 && d.D() >= least, key, "%s: Kubernetes counts whole seconds here, from %s up", d, least)
}

// program is a Go program by its import path: of the scenario's own module, or of
// a published one at an exact version.
var program = regexp.MustCompile(`^[-\w.~]+(/[-\w.~]+)*(@v\d+\.\d+\.\d+[-+.\w]*)?$`)

// image checks as much of an image as can be without building or pulling it.
func (v *validator) image(key, image string) {
	scheme, rest, _ := strings.Cut(image, ":")
	switch scheme {
	case "ko":
		v.goProgram(key, "ko://", strings.TrimPrefix(rest, "//"))
	case "oci-archive", "docker-archive":
		v.want(rest != "", key, "%q names no file: write %s:FILE", image, scheme)
		v.s.Archives = append(v.s.Archives, Archive{key, v.line(key), v.resolve(rest)})
	default:
		_, err := name.ParseReference(image)
		v.want(err == nil, key,
			"%q is no image: write ko://import/path[@version], ko://./dir, oci-archive:FILE, docker-archive:FILE or a registry's reference", image)
	}
}

// goProgram checks as much of a Go program as can be without building it.
func (v *validator) goProgram(key, scheme, path string) {
	if strings.HasPrefix(path, ".") || strings.HasPrefix(path, "/") {
		v.folder(key, scheme, path)
		return
	}
	v.want(program.MatchString(path), key,
		"%q is no Go program: write %s./dir, %simport/path of this module, or %simport/path@v1.2.3", scheme+path, scheme, scheme, scheme)
	_, inModule := moduleAround(v.s.Root())
	v.want(strings.Contains(path, "@") || inModule, key,
		"there is no Go module around %s that %s could be in: add a version, %s@v1.2.3", v.s.Path, path, scheme+path)
}

// folder checks that a Go program can be built in a directory.
func (v *validator) folder(key, scheme, path string) {
	dir := v.resolve(path)
	if !hasMain(dir) {
		start := "the Go module around the scenario's file"
		if _, inModule := moduleAround(v.s.Root()); !inModule {
			start = "the scenario's own directory, as no Go module is around it"
		}
		v.add(key, "no Go program in %s: a directory with package main is expected there (relative paths start at %s)", dir, start)
		return
	}
	_, inModule := moduleAround(dir)
	v.want(inModule, key, "no go.mod in %s or above it, so the program there cannot be built: run `go mod init` there, or name a published program, %simport/path@v1.2.3", dir, scheme)
}

// resolve is where a relative path of the app lies.
func (v *validator) resolve(file string) string {
	if filepath.IsAbs(file) {
		return file
	}
	return filepath.Join(v.s.Root(), file)
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// hasMain reports whether dir holds Go files of package main. It reads package
// clauses only: building is for the run.
func hasMain(dir string) bool {
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return false
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.PackageClauseOnly)
		if err == nil && parsed.Name.Name == "main" {
			return true
		}
	}
	return false
}
