package nodeimage

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/cutover-dev/cutover/cluster/embedded/components"
)

// generation changes when this package makes another image of the same things.
const generation = 2

// key changes with all that the image is made of: our files, the programs, and the
// Debian packages' files.
func (from Sources) key(programs components.Programs) (string, error) {
	sum := sha256.New()
	fmt.Fprintln(sum, generation, components.KubernetesVersion, controlPlane, roles)
	files, err := recipe()
	if err != nil {
		return "", err
	}
	err = fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := fs.ReadFile(files, name)
		fmt.Fprintln(sum, name, len(data), string(data))
		return err
	})
	if err != nil {
		return "", err
	}
	for _, name := range used() {
		if err := addFile(sum, programs.Path(name), name); err != nil {
			return "", err
		}
	}
	for _, root := range []string{from.Node, from.Proxy} {
		fmt.Fprintln(sum, "packages")
		if err := addTree(sum, root); err != nil {
			return "", fmt.Errorf("%s, which hack/debian-root makes: %w", root, err)
		}
	}
	return hex.EncodeToString(sum.Sum(nil))[:12], nil
}

// used are the programs that the image is made of.
func used() []string {
	return slices.Concat(placed[programsDir], placed[pluginsDir], slices.Sorted(maps.Keys(imaged)))
}

func addFile(sum hash.Hash, path, name string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	fmt.Fprintln(sum, name)
	_, err = io.Copy(sum, file)
	return err
}

// addTree adds each file and link of a folder, with its content.
func addTree(sum hash.Hash, root string) error {
	return filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		switch entry.Type() {
		case 0:
			return addFile(sum, path, name)
		case fs.ModeSymlink:
			target, err := os.Readlink(path)
			fmt.Fprintln(sum, name, target)
			return err
		}
		return nil
	})
}
