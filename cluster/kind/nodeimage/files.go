package nodeimage

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/cutover-dev/cutover/cluster/embedded/components"
	kindconfig "github.com/cutover-dev/cutover/kind-config"
)

// Where programs are on a node.
const (
	programsDir = "usr/local/bin"
	pluginsDir  = "opt/cni/bin"
)

// placed lists the programs of a node by where they are.
var placed = map[string][]string{
	programsDir: {"kube", "containerd", "containerd-shim-runc-v2", "ctr", "runc"},
	pluginsDir:  {"ptp", "loopback", "host-local", "portmap"},
}

// roles are what kube is on a node, by the name it is started under.
var roles = []string{"kubelet", "kubeadm", "kubectl"}

// recipe are our own files, with the paths that they have on a node.
func recipe() (fs.FS, error) { return fs.Sub(kindconfig.Node, "node/rootfs") }

// layOut writes a folder with our files and programs at the places they have on a
// node.
func layOut(root string, programs components.Programs) error {
	files, err := recipe()
	if err != nil {
		return err
	}
	err = fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		return write(filepath.Join(root, name), expand(data), modeOf(name))
	})
	if err != nil {
		return err
	}
	for dir, names := range placed {
		for _, name := range names {
			if err := copyProgram(programs.Path(name), filepath.Join(root, dir, name)); err != nil {
				return err
			}
		}
	}
	for _, role := range roles {
		if err := os.Symlink("kube", filepath.Join(root, programsDir, role)); err != nil {
			return err
		}
	}
	// Debian leaves it to a script.
	if err := os.MkdirAll(filepath.Join(root, "usr/bin"), 0o755); err != nil {
		return err
	}
	if err := os.Symlink("bash", filepath.Join(root, "usr/bin/sh")); err != nil {
		return err
	}
	return write(filepath.Join(root, "kind/version"), []byte(components.KubernetesVersion+"\n"), 0o644)
}

// modeOf restores what embedding loses.
func modeOf(name string) fs.FileMode {
	if path.Dir(name) == programsDir {
		return 0o755
	}
	return 0o644
}

// expand fills in the names that the images of a node have.
func expand(data []byte) []byte {
	return []byte(strings.NewReplacer("$PAUSE", pauseImage, "$NETWORK", networkImage).Replace(string(data)))
}

func write(path string, data []byte, mode fs.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, data, mode)
}

func copyProgram(from, to string) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(target, source)
	return errors.Join(err, target.Close())
}
