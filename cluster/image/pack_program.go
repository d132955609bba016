package image

import (
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
)

// checkProgram refuses an image whose program is not in it, or cannot run: a cluster
// would say of all of these only "no such file or directory" or "exec format error".
// Only a program named by its whole path is looked at.
func (p Packing) checkProgram() error {
	program := slices.Concat(p.Entrypoint, p.Cmd)[0]
	if !path.IsAbs(program) {
		return nil
	}
	inside, info, err := p.open(program)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("the program %s is in none of the roots: write its path as it is inside the image", program)
	case err != nil:
		return fmt.Errorf("looking at the program %s: %w", program, err)
	case !info.Mode().IsRegular() || info.Mode().Perm()&0o111 == 0:
		return fmt.Errorf("the program %s is no executable file (mode %s): chmod +x it", program, info.Mode())
	}
	defer inside.Close()
	return p.checkELF(program, inside)
}

// machines are the architectures of ELF files, by GOARCH.
var machines = map[string]elf.Machine{
	"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64, "386": elf.EM_386, "arm": elf.EM_ARM,
	"riscv64": elf.EM_RISCV, "ppc64le": elf.EM_PPC64, "s390x": elf.EM_S390,
}

func (p Packing) checkELF(program string, file io.ReaderAt) error {
	binary, err := elf.NewFile(file)
	if err != nil {
		return nil //nolint:nilerr // a script: its interpreter is its own business
	}
	if want, known := machines[p.Arch]; known && binary.Machine != want {
		return fmt.Errorf("the program %s is for %s and the image for %s: pack with the arch of the program, for nodes that have it",
			program, binary.Machine, p.Arch)
	}
	for _, part := range binary.Progs {
		if part.Type != elf.PT_INTERP {
			continue
		}
		name, err := io.ReadAll(part.Open())
		if err != nil {
			return fmt.Errorf("reading the program %s: %w", program, err)
		}
		loader := strings.TrimRight(string(name), "\x00")
		found, _, err := p.open(loader)
		if err != nil {
			return fmt.Errorf("the program %s is linked dynamically and its loader %s is in none of the roots: "+
				"link it statically, or add the libraries it needs (ldd names them): %w", program, loader, err)
		}
		found.Close()
	}
	return nil
}

// open opens a path of the image, following links as the kernel will there: one that
// begins with / starts again at the image's root.
func (p Packing) open(name string) (*os.File, fs.FileInfo, error) {
	if source, single := p.Programs[name]; single {
		file, err := os.Open(source)
		if err != nil {
			return nil, nil, err
		}
		info, err := file.Stat()
		return file, info, err
	}
	at, rest := "/", name
	for links := 0; ; {
		next, remaining, _ := strings.Cut(strings.TrimLeft(rest, "/"), "/")
		if next == "" {
			break
		}
		next = path.Join(at, next)
		root, info, err := p.lstat(next)
		if err != nil {
			return nil, nil, err
		}
		defer root.Close()
		if info.Mode().Type() != fs.ModeSymlink {
			at, rest = next, remaining
			continue
		}
		if links++; links > 40 {
			return nil, nil, fmt.Errorf("%s leads through more than 40 links", name)
		}
		target, err := root.Readlink(inRoot(next))
		if err != nil {
			return nil, nil, err
		}
		if path.IsAbs(target) {
			at = "/"
		}
		rest = target + "/" + remaining
	}
	root, info, err := p.lstat(at)
	if err != nil {
		return nil, nil, err
	}
	defer root.Close()
	file, err := root.Open(inRoot(at))
	return file, info, err
}

// lstat looks at a path in the last root that has it.
func (p Packing) lstat(name string) (*os.Root, fs.FileInfo, error) {
	for _, dir := range slices.Backward(p.Roots) {
		root, err := os.OpenRoot(dir)
		if err != nil {
			return nil, nil, err
		}
		info, err := root.Lstat(inRoot(name))
		if err == nil {
			return root, info, nil
		}
		root.Close()
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, nil, err
		}
	}
	return nil, nil, &fs.PathError{Op: "find", Path: name, Err: fs.ErrNotExist}
}

// inRoot is a path of the image as os.Root wants it.
func inRoot(name string) string { return "." + path.Clean("/"+name) }
