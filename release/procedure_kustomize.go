package release

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"

	"sigs.k8s.io/kustomize/api/konfig"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// kustomization are manifests that are built, as kubectl apply -k does.
type kustomization struct{}

func (kustomization) check(folder checkedFolder, key, path string) error {
	path, _, err := folder.path(key, path)
	if err != nil {
		return err
	}
	for _, name := range konfig.RecognizedKustomizationFileNames() {
		if _, err := os.Stat(filepath.Join(path, name)); err == nil {
			return nil
		}
	}
	return fmt.Errorf("%s: there is no %s in %s", key, konfig.DefaultKustomizationFileName(), path)
}

// read implements manifestForm.
func (kustomization) read(path string, given placeholders) ([]byte, error) {
	options := krusty.MakeDefaultOptions()
	options.Reorder = krusty.ReorderOptionLegacy // kubectl's
	files := &filled{FileSystem: filesys.MakeFsOnDisk(), given: given}
	built, err := krusty.MakeKustomizer(options).Run(files, path)
	if err := cmp.Or(files.wrong, err); err != nil {
		return nil, err
	}
	return built.AsYaml()
}

// filled are the machine's files, with their placeholders filled as they are read.
type filled struct {
	filesys.FileSystem
	given placeholders
	wrong error // the first mistake in them, which the build would take for a file that is not there
}

// ReadFile implements filesys.FileSystem.
func (f *filled) ReadFile(path string) ([]byte, error) {
	text, err := f.FileSystem.ReadFile(path)
	if err != nil {
		return nil, err
	}
	full, err := f.given.fill(string(text))
	if err != nil && f.wrong == nil {
		f.wrong = fmt.Errorf("%s: %w", path, err)
	}
	return []byte(full), err
}
