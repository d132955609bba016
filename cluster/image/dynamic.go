package image

import (
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"regexp"
	"slices"
	"strings"
)

// startFiles lists what the kernel and the loader need to start the linux program
// beside the program itself: nothing if it is static; else the loader and each
// shared library, under the path where the loader finds it on this machine. What a
// program opens only later, by a name of its own, is not among them.
func startFiles(ctx context.Context, program string) ([]file, error) {
	loader, err := loaderOf(program)
	if loader == "" || err != nil {
		return nil, err
	}
	// Only the loader knows all the places that it looks in, and in what order.
	list := exec.CommandContext(ctx, loader, "--list", program)
	list.Env = []string{} // what LD_LIBRARY_PATH adds here, the image would lack
	answer, err := list.CombinedOutput()
	libraries, missing := parseList(string(answer))
	switch {
	case len(missing) > 0:
		return nil, fmt.Errorf("%s is dynamically linked and lacks %s: install what provides it, or build the program with CGO_ENABLED=0", program, strings.Join(missing, ", "))
	case errors.Is(err, os.ErrNotExist):
		return nil, fmt.Errorf("%s is dynamically linked, and its loader %s is not on this machine: build the program with CGO_ENABLED=0", program, loader)
	case err != nil:
		return nil, fmt.Errorf("%s is dynamically linked, and its loader does not say with what (%s): build the program with CGO_ENABLED=0: %w\n%s", program, list, err, answer)
	}
	paths := slices.Compact(slices.Sorted(slices.Values(append(libraries, loader))))
	files := make([]file, 0, len(paths))
	for _, p := range paths {
		files = append(files, file{path: p, mode: 0o755, source: p})
	}
	return files, nil
}

// loaderOf returns the program's interpreter, which is its dynamic loader; "" if it
// is static.
func loaderOf(program string) (string, error) {
	parsed, err := elf.Open(program)
	if err != nil {
		return "", fmt.Errorf("%s cannot be read as a linux program: %w", program, err)
	}
	defer parsed.Close()
	for _, part := range parsed.Progs {
		if part.Type != elf.PT_INTERP {
			continue
		}
		loader := make([]byte, part.Filesz)
		if _, err := part.ReadAt(loader, 0); err != nil {
			return "", fmt.Errorf("reading which loader %s wants: %w", program, err)
		}
		return strings.TrimRight(string(loader), "\x00"), nil
	}
	return "", nil
}

var (
	// glibc and musl: "libc.so.6 => /lib/libc.so.6 (0x7f…)", or the path alone.
	foundLibrary = regexp.MustCompile(`^(?:\S+ => )?(/.*) \(0x[0-9a-f]+\)$`)
	// glibc, then musl.
	missingLibrary = regexp.MustCompile(`^(?:(\S+) => not found|.*[Ll]oading shared librar(?:y|ies):? ([^\s:]+): .*)$`)
)

// parseList reads the answer of a loader that was asked to --list.
func parseList(answer string) (found, missing []string) {
	for line := range strings.Lines(answer) {
		line = strings.TrimSpace(line)
		if m := foundLibrary.FindStringSubmatch(line); m != nil {
			found = append(found, path.Clean(m[1]))
		} else if m := missingLibrary.FindStringSubmatch(line); m != nil {
			missing = append(missing, m[1]+m[2])
		}
	}
	return found, missing
}

// searchPath names the folders of the files for a loader that has no cache to find
// them by, and for libraries that were found beside the program, which moves.
func searchPath(files []file) string {
	folders := make([]string, 0, len(files))
	for _, f := range files {
		folders = append(folders, path.Dir(f.path))
	}
	return strings.Join(slices.Compact(slices.Sorted(slices.Values(folders))), ":")
}
