package release

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// plain are manifests in a file, or in the files of a folder, as kubectl apply -f
// takes them.
type plain struct{}

// extensions are those of files that kubectl reads in a folder.
var extensions = []string{".json", ".yaml", ".yml"}

func (plain) check(folder checkedFolder, key, path string) error {
	there, _, err := folder.path(key, path)
	if err != nil {
		return err
	}
	if _, err := (plain{}).read(there, folder.given); err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	return nil
}

// read implements manifestForm: what is in folders of the folder is left out.
func (plain) read(path string, given placeholders) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	files := []string{path}
	if info.IsDir() {
		entries, err := os.ReadDir(path)
		if err != nil {
			return nil, err
		}
		files = nil
		for _, entry := range entries {
			if !entry.IsDir() && slices.Contains(extensions, filepath.Ext(entry.Name())) {
				files = append(files, filepath.Join(path, entry.Name()))
			}
		}
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("there are no manifests in %s: they are in files that end in .yaml, .yml or .json", path)
	}
	var all [][]byte
	var wrong []error
	for _, file := range files {
		text, err := given.read(file)
		all, wrong = append(all, text), append(wrong, err)
	}
	return bytes.Join(all, []byte("\n---\n")), errors.Join(wrong...)
}
