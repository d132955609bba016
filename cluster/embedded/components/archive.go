package components

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// archive is a folder of a module that is packed beside the programs: what belongs to
// them and is no program, such as a Helm chart.
type archive struct{ name, module, folder string }

// write packs the folder of the module as the component in source requires it.
func (a archive) write(ctx context.Context, source, target string) error {
	list := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", a.module)
	list.Dir = source
	list.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off")
	var said bytes.Buffer
	list.Stderr = &said
	dir, err := list.Output()
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", list, err, &said)
	}
	file, err := os.Create(filepath.Join(target, a.name))
	if err != nil {
		return err
	}
	compressed := gzip.NewWriter(file)
	packed := tar.NewWriter(compressed)
	err = packed.AddFS(os.DirFS(filepath.Join(strings.TrimSpace(string(dir)), a.folder)))
	return errors.Join(err, packed.Close(), compressed.Close(), file.Close())
}
