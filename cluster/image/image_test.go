package image_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"maps"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/cutover-dev/cutover/cluster/image"
)

// podinfo is a real service of several hundred packages, at a version whose module
// the Go proxy has.
const podinfo = "ko://github.com/stefanprodan/podinfo/cmd/podinfo@v1.8.1-0.20250910200901-e86405a8674e"

func TestBuildLocalProgram(t *testing.T) {
	module := writeModule(t)
	opts := image.Options{Dir: module, CacheDir: t.TempDir()}
	byFolder := build(t, "ko://./cmd/hello", opts)
	byPath := build(t, "ko://example.test/demo/cmd/hello", opts)
	elsewhere := build(t, "ko://./cmd/hello", image.Options{Dir: writeModule(t), CacheDir: t.TempDir()})

	if err := validate.Image(byFolder, validate.Fast); err != nil {
		t.Errorf("the image is not valid: %v", err)
	}
	if !strings.HasPrefix(byFolder.Ref, "cutover.local/hello:") {
		t.Errorf("the image is called %s", byFolder.Ref)
	}
	for what, other := range map[string]image.Image{"by import path": byPath, "in another folder": elsewhere} {
		if other.Ref != byFolder.Ref {
			t.Errorf("the same source is another image %s: %s, want %s", what, other.Ref, byFolder.Ref)
		}
	}
	config := configOf(t, byFolder)
	if want := []string{"/app/hello"}; !slices.Equal(config.Config.Entrypoint, want) {
		t.Errorf("entrypoint %v, want %v", config.Config.Entrypoint, want)
	}
	if config.Config.User != "65532:65532" || config.OS != "linux" || config.Architecture != runtime.GOARCH {
		t.Errorf("user %s on %s/%s", config.Config.User, config.OS, config.Architecture)
	}
	files := filesOf(t, byFolder)
	for path, mode := range map[string]int64{"app/hello": 0o755, "tmp/": 0o1777, "etc/passwd": 0o644} {
		if got, ok := files[path]; !ok || got != mode {
			t.Errorf("%s: mode %o (there: %v), want %o", path, got, ok, mode)
		}
	}
}

func TestChangedSourceIsAnotherImage(t *testing.T) {
	module := writeModule(t)
	opts := image.Options{Dir: module, CacheDir: t.TempDir()}
	before := build(t, "ko://./cmd/hello", opts)
	write(t, filepath.Join(module, "cmd/hello/main.go"), "package main\n\nfunc main() { println(`changed`) }\n")
	if after := build(t, "ko://./cmd/hello", opts); after.Ref == before.Ref {
		t.Errorf("both are %s", after.Ref)
	}
}

func TestBuildForAnotherArchitecture(t *testing.T) {
	img := build(t, "ko://./cmd/hello", image.Options{Dir: writeModule(t), CacheDir: t.TempDir(), Arch: "riscv64"})
	if got := configOf(t, img).Architecture; got != "riscv64" {
		t.Errorf("the image is for %s", got)
	}
}

func TestErrorsTeach(t *testing.T) {
	module := writeModule(t)
	write(t, filepath.Join(module, "broken/main.go"), "package main\n\nfunc main() { undefinedThing() }\n")
	write(t, filepath.Join(module, "withdata/main.go"), "package main\n\nfunc main() {}\n")
	write(t, filepath.Join(module, "withdata/kodata/x"), "x")
	write(t, filepath.Join(module, "not-an-archive.tar"), "x")
	for _, test := range []struct{ why, ref, want string }{
		{"no such folder", "ko://./cmd/nothere", "no such folder"},
		{"no such package in the module", "ko://example.test/demo/nothere", "ko://import/path@v1.2.3"},
		{"a library", "ko://./lib", "is package lib, not a program"},
		{"compiler output is shown", "ko://./broken", "undefined: undefinedThing"},
		{"a moving version", "ko://example.test/demo/cmd/hello@latest", "not an exact version"},
		{"no module provides it", "ko://example.test/nowhere@v1.0.0", "no module provides package example.test/nowhere at v1.0.0"},
		{"many programs", "ko://./...", "one Go program"},
		{"kodata would be lost", "ko://./withdata", "kodata folder, which is not supported yet"},
		{"no such archive", "oci-archive:nothere.tar", "no such file"},
		{"not an OCI archive", "oci-archive:not-an-archive.tar", "unpacking"},
		{"not a docker archive", "docker-archive:not-an-archive.tar", "docker save"},
		{"not a reference", "Not An Image", "ko://import/path@v1.2.3"},
		{"nobody listens there", "127.0.0.1:1/app:v1", "cannot be reached from here"},
	} {
		t.Run(test.why, func(t *testing.T) {
			t.Setenv("GOPROXY", "off")
			_, err := image.Build(t.Context(), test.ref, image.Options{Dir: module, CacheDir: t.TempDir()})
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got error %v, want one with %q", err, test.want)
			}
		})
	}
	if _, err := image.Build(t.Context(), "ko://./cmd/hello", image.Options{}); err == nil {
		t.Error("no cache folder: want an error")
	}
}

func TestExecutableRunsHere(t *testing.T) {
	opts := image.Options{Dir: writeModule(t), CacheDir: t.TempDir(), TempDir: t.TempDir()}
	for _, ref := range []string{"./cmd/hello", "example.test/demo/cmd/hello"} {
		output := filepath.Join(t.TempDir(), "hello")
		if err := image.Executable(t.Context(), ref, output, opts); err != nil {
			t.Fatal(err)
		}
		if said, err := exec.CommandContext(t.Context(), output).CombinedOutput(); err != nil || string(said) != "hello\n" {
			t.Errorf("%s: %v\n%s", ref, err, said)
		}
	}
	if err := image.Executable(t.Context(), "./none", filepath.Join(t.TempDir(), "none"), opts); err == nil || !strings.Contains(err.Error(), "program ./none: there is no such folder") {
		t.Errorf("a program that is not there: %v", err)
	}
}

func TestBuildStopsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := image.Build(ctx, "ko://./cmd/hello", image.Options{Dir: writeModule(t), CacheDir: t.TempDir()})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v", err)
	}
}

func TestPublishedProgramIsBuiltOnce(t *testing.T) {
	if testing.Short() {
		t.Skip("downloads and builds podinfo")
	}
	builds := 0
	opts := image.Options{Dir: t.TempDir(), CacheDir: t.TempDir(), Notify: func(string) { builds++ }}
	first := build(t, podinfo, opts)
	if want := []string{"/app/podinfo"}; !slices.Equal(configOf(t, first).Config.Entrypoint, want) {
		t.Errorf("entrypoint %v, want %v", configOf(t, first).Config.Entrypoint, want)
	}
	t.Setenv("GOPROXY", "off")
	if again := build(t, podinfo, opts); again.Ref != first.Ref || builds != 1 {
		t.Errorf("%d builds; %s, then %s", builds, first.Ref, again.Ref)
	}

	damage(t, opts.CacheDir)
	if again := build(t, podinfo, opts); again.Ref != first.Ref || builds != 2 {
		t.Errorf("after damage: %d builds; %s, then %s", builds, first.Ref, again.Ref)
	}
}

func TestArchives(t *testing.T) {
	dir := t.TempDir()
	original := fromBinary(t, "demo")
	write(t, filepath.Join(dir, "docker.tar"), string(archive(t, original)))
	writeOCIArchive(t, filepath.Join(dir, "oci.tar"), original)
	for _, ref := range []string{"docker-archive:docker.tar", "oci-archive:oci.tar"} {
		img := build(t, ref, image.Options{Dir: dir, CacheDir: t.TempDir()})
		if got := configOf(t, img).Config.Entrypoint; !slices.Equal(got, []string{"/app/demo", "serve"}) {
			t.Errorf("%s: entrypoint %v", ref, got)
		}
		_, err := image.Build(t.Context(), ref, image.Options{Dir: dir, CacheDir: t.TempDir(), Arch: "riscv64"})
		if err == nil || !strings.Contains(err.Error(), "nodes are linux/riscv64") {
			t.Errorf("%s for another platform: got error %v", ref, err)
		}
	}
}

// Whoever mistakes one sort of archive for another is told which it is.
func TestMistakenArchives(t *testing.T) {
	dir := t.TempDir()
	original := fromBinary(t, "demo")
	write(t, filepath.Join(dir, "docker.tar"), string(archive(t, original)))
	writeOCIArchive(t, filepath.Join(dir, "oci.tar"), original)
	var files bytes.Buffer
	out := tar.NewWriter(&files)
	must(t, out.WriteHeader(&tar.Header{Name: "./etc/passwd", Typeflag: tar.TypeReg, Mode: 0o644}))
	must(t, out.Close())
	write(t, filepath.Join(dir, "rootfs.tar"), files.String())
	write(t, filepath.Join(dir, "oci.tar.gz"), "\x1f\x8b and so on")
	write(t, filepath.Join(dir, "notes.txt"), "no tar")
	for ref, want := range map[string]string{
		"oci-archive:docker.tar":    "write docker-archive:FILE",
		"docker-archive:oci.tar":    "write oci-archive:FILE",
		"oci-archive:rootfs.tar":    "cutover image pack",
		"docker-archive:rootfs.tar": "cutover image pack",
		"oci-archive:oci.tar.gz":    "compressed as a whole",
		"docker-archive:oci.tar.gz": "compressed as a whole",
		"oci-archive:notes.txt":     "it is no tar",
	} {
		_, err := image.Build(t.Context(), ref, image.Options{Dir: dir, CacheDir: t.TempDir()})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", ref, err, want)
		}
	}
}

func TestArchiveCannotWriteElsewhere(t *testing.T) {
	dir := t.TempDir()
	var evil bytes.Buffer
	out := tar.NewWriter(&evil)
	must(t, out.WriteHeader(&tar.Header{Name: "../escaped", Typeflag: tar.TypeReg, Mode: 0o644}))
	must(t, out.Close())
	write(t, filepath.Join(dir, "evil.tar"), evil.String())
	_, err := image.Build(t.Context(), "oci-archive:evil.tar", image.Options{Dir: dir, CacheDir: filepath.Join(dir, "cache")})
	if err == nil || !strings.Contains(err.Error(), "escapes") {
		t.Errorf("got error %v", err)
	}
}

func TestPullFromRegistry(t *testing.T) {
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://")
	ref, err := name.ParseReference(host + "/team/demo:v1")
	must(t, err)
	original := fromBinary(t, "demo")
	must(t, remote.Write(ref, original))

	pulls := 0
	opts := image.Options{CacheDir: t.TempDir(), Notify: func(string) { pulls++ }}
	first, again := build(t, ref.String(), opts), build(t, ref.String(), opts)
	if first.Ref != original.Ref || again.Ref != original.Ref || pulls != 1 {
		t.Errorf("%d pulls; %s, then %s, want %s", pulls, first.Ref, again.Ref, original.Ref)
	}
	_, err = image.Build(t.Context(), host+"/team/demo:v2", opts)
	if err == nil || !strings.Contains(err.Error(), "answered, but not with the image") {
		t.Errorf("a tag that is not there: got error %v", err)
	}
}

func TestFromBinary(t *testing.T) {
	img, again := fromBinary(t, "demo"), fromBinary(t, "demo")
	if img.Ref != again.Ref {
		t.Errorf("%s, then %s", img.Ref, again.Ref)
	}
	if user := configOf(t, img).Config.User; user != "" {
		t.Errorf("runs as %q, want root", user)
	}
	files := filesOf(t, img)
	want := []string{"app/", "app/demo", "etc/", "etc/demo/", "etc/demo/a.conf", "etc/demo/b.conf"}
	if got := slices.Sorted(maps.Keys(files)); !slices.Equal(got, want) {
		t.Errorf("files %v, want %v", got, want)
	}
	if env := configOf(t, img).Config.Env; len(env) > 0 {
		t.Errorf("a static program is told of %v", env)
	}
}

func TestWriteArchiveCanBeReadBack(t *testing.T) {
	img := fromBinary(t, "demo")
	data := archive(t, img)
	tag, err := name.NewTag(img.Ref)
	must(t, err)
	back, err := tarball.Image(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil }, &tag)
	must(t, err)
	if got, want := filesOf(t, back), filesOf(t, img); !maps.Equal(got, want) {
		t.Errorf("files %v, want %v", got, want)
	}
	if err := image.WriteArchive(io.Discard, "Not A Name", img); err == nil {
		t.Error("a bad name: want an error")
	}
}

func writeModule(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "go.mod"), "module example.test/demo\n\ngo 1.25\n")
	write(t, filepath.Join(dir, "lib/lib.go"), "package lib\n")
	write(t, filepath.Join(dir, "cmd/hello/main.go"), "package main\n\nfunc main() { println(`hello`) }\n")
	return dir
}

func fromBinary(t *testing.T, name string) image.Image {
	t.Helper()
	files := map[string][]byte{"/etc/demo/b.conf": []byte("b"), "/etc/demo/a.conf": []byte("a")}
	img, err := image.FromBinary(t.Context(), name, staticProgram(t), files, "serve")
	must(t, err)
	return img
}

func build(t *testing.T, ref string, opts image.Options) image.Image {
	t.Helper()
	img, err := image.Build(t.Context(), ref, opts)
	must(t, err)
	return img
}

func archive(t *testing.T, img image.Image) []byte {
	t.Helper()
	var out bytes.Buffer
	must(t, image.WriteArchive(&out, img.Ref, img))
	return out.Bytes()
}

// writeOCIArchive nests the image in an index, as multi-platform builds do.
func writeOCIArchive(t *testing.T, file string, img v1.Image) {
	t.Helper()
	inner := mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: img})
	dir := t.TempDir()
	_, err := layout.Write(dir, mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: inner}))
	must(t, err)
	var out bytes.Buffer
	in := tar.NewWriter(&out)
	must(t, in.AddFS(os.DirFS(dir)))
	must(t, in.Close())
	write(t, file, out.String())
}

// damage cuts off every layer in the cache, as a loss of power may.
func damage(t *testing.T, cache string) {
	t.Helper()
	blobs, err := filepath.Glob(filepath.Join(cache, "*/blobs/sha256/*"))
	must(t, err)
	for _, blob := range blobs {
		info, err := os.Stat(blob)
		must(t, err)
		if info.Size() > 1<<20 {
			must(t, os.Truncate(blob, 1<<20))
		}
	}
}

func configOf(t *testing.T, img v1.Image) *v1.ConfigFile {
	t.Helper()
	config, err := img.ConfigFile()
	must(t, err)
	return config
}

// filesOf maps each path in the image to its mode.
func filesOf(t *testing.T, img v1.Image) map[string]int64 {
	t.Helper()
	layers, err := img.Layers()
	must(t, err)
	files := map[string]int64{}
	for i := range layers {
		for name, header := range entriesOf(t, img, i) {
			files[name] = header.Mode
		}
	}
	return files
}

// entriesOf are the headers of one layer, by name.
func entriesOf(t *testing.T, img v1.Image, i int) map[string]tar.Header {
	t.Helper()
	layers, err := img.Layers()
	must(t, err)
	content, err := layers[i].Uncompressed()
	must(t, err)
	defer content.Close()
	entries := map[string]tar.Header{}
	for in := tar.NewReader(content); ; {
		header, err := in.Next()
		if errors.Is(err, io.EOF) {
			return entries
		}
		must(t, err)
		if header.ModTime.Unix() != 0 {
			t.Errorf("%s has a time: %s", header.Name, header.ModTime)
		}
		entries[header.Name] = *header
	}
}

func write(t *testing.T, file, content string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(file), 0o755))
	must(t, os.WriteFile(file, []byte(content), 0o644))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
