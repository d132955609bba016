package image_test

import (
	"archive/tar"
	"bytes"
	"debug/elf"
	"encoding/binary"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/cutover-dev/cutover/cluster/image"
)

// rootFolder is a small system: a script to run, and what a tar can get wrong.
func rootFolder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "usr/bin/serve"), "#!/bin/sh\n")
	must(t, os.Chmod(filepath.Join(dir, "usr/bin/serve"), 0o755))
	write(t, filepath.Join(dir, "usr/bin/su"), "x")
	must(t, os.Chmod(filepath.Join(dir, "usr/bin/su"), 0o755|os.ModeSetuid))
	must(t, os.Mkdir(filepath.Join(dir, "tmp"), 0o755))
	must(t, os.Chmod(filepath.Join(dir, "tmp"), 0o777|os.ModeSticky))
	write(t, filepath.Join(dir, "data/a"), "one file, two names")
	must(t, os.Link(filepath.Join(dir, "data/a"), filepath.Join(dir, "data/b")))
	must(t, os.Symlink("usr/bin", filepath.Join(dir, "bin")))
	must(t, os.Symlink("/etc/shadow", filepath.Join(dir, "data/outside")))
	return dir
}

func serve(roots ...string) image.Packing {
	return image.Packing{Roots: roots, Entrypoint: []string{"/bin/serve"}}
}

func pack(t *testing.T, p image.Packing) image.Packed {
	t.Helper()
	packed, err := image.Pack(p)
	must(t, err)
	return packed
}

func TestPackKeepsWhatAFolderHolds(t *testing.T) {
	dir := rootFolder(t)
	must(t, syscall.Mkfifo(filepath.Join(dir, "data/pipe"), 0o644))
	packed := pack(t, image.Packing{
		Roots: []string{dir}, Entrypoint: []string{"/bin/serve"}, Cmd: []string{"-v"}, Env: []string{"A=b"},
		User: "65532:65532", Workdir: "/data", Ports: []string{"8080", "53/udp"}, StopSignal: "SIGQUIT",
	})
	must(t, validate.Image(packed, validate.Fast))

	entries := entriesOf(t, packed, 0)
	for _, want := range []struct {
		name, link string
		kind       byte
		mode       int64
	}{
		{"usr/bin/serve", "", tar.TypeReg, 0o755},
		{"usr/bin/su", "", tar.TypeReg, 0o4755},
		{"tmp/", "", tar.TypeDir, 0o1777},
		{"bin", "usr/bin", tar.TypeSymlink, 0o777},
		{"data/a", "", tar.TypeReg, 0o644},
		{"data/b", "data/a", tar.TypeLink, 0o644},
		// stored as it stands, and not read
		{"data/outside", "/etc/shadow", tar.TypeSymlink, 0o777},
	} {
		got, ok := entries[want.name]
		if !ok || got.Typeflag != want.kind || got.Linkname != want.link || got.Mode != want.mode {
			t.Errorf("%s: got %+v (there: %v), want %+v", want.name, got, ok, want)
		}
		if got.Uid != os.Getuid() || got.Gid != os.Getgid() {
			t.Errorf("%s belongs to %d:%d", want.name, got.Uid, got.Gid)
		}
	}
	if _, there := entries["data/pipe"]; there || !slices.Equal(packed.LeftOut, []string{"/data/pipe"}) {
		t.Errorf("a pipe: in the layer %v, left out %v", there, packed.LeftOut)
	}

	config := configOf(t, packed)
	if config.Architecture != runtime.GOARCH || config.OS != "linux" {
		t.Errorf("it is for %s/%s", config.OS, config.Architecture)
	}
	c := config.Config
	if !slices.Equal(c.Entrypoint, []string{"/bin/serve"}) || !slices.Equal(c.Cmd, []string{"-v"}) || !slices.Equal(c.Env, []string{"A=b"}) ||
		c.User != "65532:65532" || c.WorkingDir != "/data" || c.StopSignal != "SIGQUIT" {
		t.Errorf("the configuration is %+v", c)
	}
	if _, tcp := c.ExposedPorts["8080/tcp"]; !tcp || len(c.ExposedPorts) != 2 {
		t.Errorf("ports are %v", c.ExposedPorts)
	}
}

// Times, and the order in which files were made, are nothing of the image's.
func TestPackIsDeterministic(t *testing.T) {
	one, other := rootFolder(t), rootFolder(t)
	must(t, os.Chtimes(filepath.Join(other, "data/a"), time.Now(), time.Now().Add(-time.Hour)))
	must(t, os.Chmod(other, 0o700)) // of a folder made by mktemp
	first, second := ociArchive(t, serve(one)), ociArchive(t, serve(other))
	if !bytes.Equal(first, second) {
		t.Error("the same content made two archives")
	}
	// Controls: content and mode are the image's.
	write(t, filepath.Join(other, "data/a"), "two names, one file")
	if bytes.Equal(first, ociArchive(t, serve(other))) {
		t.Error("other content made the same archive")
	}
	must(t, os.Chmod(filepath.Join(one, "data/a"), 0o600))
	if bytes.Equal(first, ociArchive(t, serve(one))) {
		t.Error("another mode made the same archive")
	}
}

func TestPackedArchiveCanBeBuilt(t *testing.T) {
	lower, upper := rootFolder(t), t.TempDir()
	write(t, filepath.Join(upper, "etc/app.conf"), "v2")
	p := serve(lower, upper)
	p.Owner = &image.Owner{UID: 7, GID: 8}
	file := filepath.Join(t.TempDir(), "app.oci.tar")
	must(t, os.WriteFile(file, ociArchive(t, p), 0o600))
	img := build(t, "oci-archive:"+file, image.Options{CacheDir: t.TempDir()})
	if !strings.HasPrefix(img.Ref, "cutover.local/app:") {
		t.Errorf("it is called %s", img.Ref)
	}
	if got := entriesOf(t, img, 1)["etc/app.conf"]; got.Uid != 7 || got.Gid != 8 {
		t.Errorf("etc/app.conf in the second layer: %+v", got)
	}
}

// A layer that is no longer what its digest says must not be written as if it were.
func TestPackNoticesAChange(t *testing.T) {
	dir := rootFolder(t)
	packed := pack(t, serve(dir))
	write(t, filepath.Join(dir, "data/a"), "ONE FILE, TWO NAMES")
	err := image.WriteOCIArchive(io.Discard, packed)
	if err == nil || !strings.Contains(err.Error(), "changed while it was written") {
		t.Errorf("got %v", err)
	}
}

func TestPackErrorsTeach(t *testing.T) {
	dir := rootFolder(t)
	write(t, filepath.Join(dir, "bin-notes"), "x")
	must(t, os.Symlink("/loop", filepath.Join(dir, "loop")))
	write(t, filepath.Join(dir, "foreign"), elfFile(elf.EM_AARCH64, ""))
	write(t, filepath.Join(dir, "dynamic"), elfFile(elf.EM_X86_64, "/lib64/ld-nowhere.so"))
	for _, name := range []string{"foreign", "dynamic"} {
		must(t, os.Chmod(filepath.Join(dir, name), 0o755))
	}
	program := func(p string) image.Packing {
		return image.Packing{Roots: []string{dir}, Entrypoint: []string{p}, Arch: "amd64"}
	}
	with := func(change func(*image.Packing)) image.Packing {
		p := serve(dir)
		change(&p)
		return p
	}
	for _, row := range []struct {
		why  string
		p    image.Packing
		want string
	}{
		{"nothing to pack", image.Packing{Cmd: []string{"x"}}, "no root"},
		{"nothing to run", image.Packing{Roots: []string{dir}}, "nothing to run"},
		{"no such folder", image.Packing{Roots: []string{filepath.Join(dir, "nothere")}, Cmd: []string{"x"}}, "no such file"},
		{"a file", image.Packing{Roots: []string{filepath.Join(dir, "data/a")}, Cmd: []string{"x"}}, "not a directory"},
		{"an empty folder", image.Packing{Roots: []string{t.TempDir()}, Cmd: []string{"x"}}, "it is empty"},
		{"no such program", program("/usr/bin/nothere"), "in none of the roots"},
		{"a path of this machine", program(filepath.Join(dir, "usr/bin/serve")), "in none of the roots"},
		{"links that lead nowhere", program("/loop"), "more than 40 links"},
		{"not executable", program("/bin-notes"), "chmod +x"},
		{"another machine's", program("/foreign"), "is for EM_AARCH64 and the image for amd64"},
		{"without its loader", program("/dynamic"), "loader /lib64/ld-nowhere.so is in none of the roots"},
		{"a user by name", with(func(p *image.Packing) { p.User = "www-data" }), "write numbers"},
		{"a relative folder", with(func(p *image.Packing) { p.Workdir = "data" }), "absolute"},
		{"a variable without a value", with(func(p *image.Packing) { p.Env = []string{"A"} }), "NAME=value"},
		{"no port", with(func(p *image.Packing) { p.Ports = []string{"http"} }), "such as 8080"},
		{"no signal", with(func(p *image.Packing) { p.StopSignal = "quit" }), "such as SIGQUIT"},
	} {
		t.Run(row.why, func(t *testing.T) {
			_, err := image.Pack(row.p)
			if err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("got %v, want one with %q", err, row.want)
			}
		})
	}
	// Controls: what is looked for in the shell's path is not looked at, and a link
	// that begins with / stays inside.
	must(t, os.Symlink("/usr/bin/serve", filepath.Join(dir, "start")))
	for _, p := range []string{"serve", "/start", "/usr/../bin/./serve"} {
		if _, err := image.Pack(program(p)); err != nil {
			t.Errorf("%s: %v", p, err)
		}
	}
}

// elfFile is the start of a program: its header, and where it names a loader.
func elfFile(machine elf.Machine, loader string) string {
	const headerSize, progSize = 64, 56
	header := elf.Header64{
		Ident: [elf.EI_NIDENT]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)},
		Type:  uint16(elf.ET_EXEC), Machine: uint16(machine), Version: uint32(elf.EV_CURRENT), Ehsize: headerSize,
	}
	var out bytes.Buffer
	if loader == "" {
		_ = binary.Write(&out, binary.LittleEndian, header) // to memory
		return out.String()
	}
	header.Phoff, header.Phentsize, header.Phnum = headerSize, progSize, 1
	size := uint64(len(loader) + 1)
	_ = binary.Write(&out, binary.LittleEndian, header)
	_ = binary.Write(&out, binary.LittleEndian, elf.Prog64{Type: uint32(elf.PT_INTERP), Off: headerSize + progSize, Filesz: size, Memsz: size})
	return out.String() + loader + "\x00"
}

func ociArchive(t *testing.T, p image.Packing) []byte {
	t.Helper()
	var out bytes.Buffer
	must(t, image.WriteOCIArchive(&out, pack(t, p)))
	return out.Bytes()
}
