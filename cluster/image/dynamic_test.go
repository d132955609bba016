package image_test

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/cutover-dev/cutover/cluster/image"
)

// What the image holds must be all that the program needs: it is run in it, with
// nothing else around.
func TestDynamicProgramRunsInItsImage(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can change the root folder")
	}
	dir := t.TempDir()
	for _, row := range []struct{ why, program string }{
		{"a library of the system", dynamicProgram(t, filepath.Join(dir, "plain"))},
		// The program moves to /app, and what was beside it does not.
		{"a library beside the program", dynamicProgram(t, filepath.Join(dir, "beside"), "-Wl,-rpath,$ORIGIN/lib")},
		{"no library at all", staticProgram(t)},
	} {
		img, err := image.FromBinary(t.Context(), "demo", row.program, nil)
		must(t, err)
		again, err := image.FromBinary(t.Context(), "demo", row.program, nil)
		must(t, err)
		if img.Ref != again.Ref {
			t.Errorf("%s: %s, then %s", row.why, img.Ref, again.Ref)
		}
		root := t.TempDir()
		unpack(t, img, root)
		config := configOf(t, img).Config
		inside := exec.CommandContext(t.Context(), config.Entrypoint[0])
		inside.Env, inside.Dir = append([]string{}, config.Env...), "/"
		inside.SysProcAttr = &syscall.SysProcAttr{Chroot: root}
		if out, err := inside.CombinedOutput(); err != nil || string(out) != "hello\n" {
			t.Errorf("%s: it says %q (%v) in an image of %v", row.why, out, err, slices.Sorted(maps.Keys(filesOf(t, img))))
		}
	}
}

func TestFromBinaryRefusesWhatCannotRun(t *testing.T) {
	dir := t.TempDir()
	gone := dynamicProgram(t, filepath.Join(dir, "gone"), "-Wl,-rpath,"+filepath.Join(dir, "gone/lib"))
	must(t, os.RemoveAll(filepath.Join(dir, "gone/lib")))
	write(t, filepath.Join(dir, "script"), "#!/bin/sh\n")
	// Loaders of other systems, as far as they can be seen from here.
	musl := loader(t, dir, "musl", `echo "	$0 (0x7f0000000000)"; echo "Error loading shared library libgone.so.3: No such file or directory (needed by $2)"; exit 127`)
	dumb := loader(t, dir, "dumb", "echo 'no such option' >&2; exit 1")
	for _, row := range []struct {
		why, program string
		want         []string
	}{
		{"no such program", filepath.Join(dir, "nothere"), []string{"nothere", "no such file"}},
		{"not made for linux", filepath.Join(dir, "script"), []string{"script", "linux program"}},
		{"a library is missing", gone, []string{"lacks libdemo.so", "CGO_ENABLED=0"}},
		{"a library is missing, says musl", dynamicProgram(t, filepath.Join(dir, "a"), "-Wl,--dynamic-linker="+musl), []string{"lacks libgone.so.3"}},
		{"the loader is missing", dynamicProgram(t, filepath.Join(dir, "b"), "-Wl,--dynamic-linker=/nothere/ld-musl.so.1"), []string{"/nothere/ld-musl.so.1", "not on this machine"}},
		{"the loader cannot say", dynamicProgram(t, filepath.Join(dir, "c"), "-Wl,--dynamic-linker="+dumb), []string{"--list", "no such option"}},
	} {
		_, err := image.FromBinary(t.Context(), "demo", row.program, nil)
		for _, want := range row.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: got error %v, want one with %q", row.why, err, want)
			}
		}
	}
}

func TestLoaderOfMusl(t *testing.T) {
	dir := t.TempDir()
	library := filepath.Join(dir, "lib/libx.so.1")
	write(t, library, "x")
	musl := loader(t, dir, "ld-musl.so.1", fmt.Sprintf(`echo "	%[1]s/ld-musl.so.1 (0x7f0000000000)"; echo "	libx.so.1 => %[2]s (0x7f0000000000)"; echo "	libc.so => %[1]s/ld-musl.so.1 (0x7f0000000000)"`, dir, library))
	img, err := image.FromBinary(t.Context(), "demo", dynamicProgram(t, filepath.Join(dir, "p"), "-Wl,--dynamic-linker="+musl), nil)
	must(t, err)
	var got []string
	for name := range filesOf(t, img) {
		if !strings.HasSuffix(name, "/") {
			got = append(got, "/"+name)
		}
	}
	slices.Sort(got)
	want := []string{"/app/demo", musl, library}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("files %v, want %v", got, want)
	}
	if env, want := configOf(t, img).Config.Env, []string{"LD_LIBRARY_PATH=" + dir + ":" + dir + "/lib"}; !slices.Equal(env, want) {
		t.Errorf("environment %v, want %v", env, want)
	}
}

// loader is a loader that answers what the shell script says.
func loader(t *testing.T, dir, name, script string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	write(t, path, "#!/bin/sh\n"+script+"\n")
	must(t, os.Chmod(path, 0o755))
	return path
}

// staticProgram says hello.
func staticProgram(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "main.go"), "package main\n\nfunc main() { println(`hello`) }\n")
	write(t, filepath.Join(dir, "go.mod"), "module example.test/hello\n\ngo 1.25\n")
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-buildvcs=false", "-o", "hello", ".")
	build.Dir, build.Env = dir, append(os.Environ(), "CGO_ENABLED=0")
	said(t, build)
	return filepath.Join(dir, "hello")
}

// dynamicProgram says hello by a library of its own, in the folder lib beside it.
// The linker's flags say where it is looked for: nowhere without any, and then the
// program does without it.
func dynamicProgram(t *testing.T, dir string, flags ...string) string {
	t.Helper()
	if _, err := exec.LookPath("gcc"); err != nil {
		t.Skip("there is no C compiler here to make a dynamic program with")
	}
	write(t, filepath.Join(dir, "demo.c"), "#include <stdio.h>\nvoid hello(void) { puts(\"hello\"); }\n")
	write(t, filepath.Join(dir, "main.c"), "void hello(void);\nint main(void) { hello(); return 0; }\n")
	program := filepath.Join(dir, "hello")
	if len(flags) == 0 {
		said(t, exec.CommandContext(t.Context(), "gcc", "-o", program, filepath.Join(dir, "main.c"), filepath.Join(dir, "demo.c")))
		return program
	}
	library := filepath.Join(dir, "lib/libdemo.so")
	must(t, os.MkdirAll(filepath.Dir(library), 0o755))
	said(t, exec.CommandContext(t.Context(), "gcc", "-shared", "-fPIC", "-Wl,-soname,libdemo.so", "-o", library, filepath.Join(dir, "demo.c")))
	said(t, exec.CommandContext(t.Context(), "gcc", append([]string{"-o", program, filepath.Join(dir, "main.c"), library}, flags...)...))
	return program
}

func said(t *testing.T, command *exec.Cmd) {
	t.Helper()
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", command, err, out)
	}
}

// unpack lays the image's files down below root.
func unpack(t *testing.T, img v1.Image, root string) {
	t.Helper()
	layers, err := img.Layers()
	must(t, err)
	for _, layer := range layers {
		content, err := layer.Uncompressed()
		must(t, err)
		defer content.Close()
		for in := tar.NewReader(content); ; {
			header, err := in.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			must(t, err)
			path := filepath.Join(root, header.Name)
			if header.Typeflag == tar.TypeDir {
				must(t, os.MkdirAll(path, 0o755))
				continue
			}
			data, err := io.ReadAll(in)
			must(t, err)
			must(t, os.WriteFile(path, data, os.FileMode(header.Mode)))
		}
	}
}
