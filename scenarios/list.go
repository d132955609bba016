package scenarios

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Find loads the scenarios at paths: files, and directories with every *.yaml below
// them (but for hidden and testdata directories). With a label, only those that
// carry it are returned, though all are loaded.
//
// What cannot be loaded does not keep the others from being returned; the error
// joins all that is wrong. Two scenarios of one name are an error, and so is
// finding none.
func Find(paths []string, label string) ([]Scenario, error) {
	files, err := list(paths)
	problems := []error{err}
	var all []Scenario
	for _, file := range files {
		s, err := Load(file)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		all = append(all, s)
	}
	problems = append(problems, sameNames(all)...)
	found := all
	if label != "" {
		found = slices.DeleteFunc(slices.Clone(all), func(s Scenario) bool { return !s.HasLabel(label) })
	}
	if len(found) == 0 && errors.Join(problems...) == nil {
		problems = append(problems, noneFound(paths, label, all))
	}
	return found, errors.Join(problems...)
}

// list finds the files, each once, in the order of paths and then of names.
func list(paths []string) ([]string, error) {
	var files []string
	var problems []error
	for _, path := range paths {
		err := filepath.WalkDir(path, func(file string, entry fs.DirEntry, err error) error {
			if err != nil {
				return fmt.Errorf("cannot look for scenarios: %w", err)
			}
			if entry.IsDir() && file != path && (strings.HasPrefix(entry.Name(), ".") || entry.Name() == "testdata") {
				return filepath.SkipDir
			}
			isScenario := file == path || filepath.Ext(file) == ".yaml"
			if !entry.IsDir() && isScenario && !slices.Contains(files, filepath.Clean(file)) {
				files = append(files, filepath.Clean(file))
			}
			return nil
		})
		problems = append(problems, err)
	}
	return files, errors.Join(problems...)
}

func sameNames(all []Scenario) []error {
	first := map[string]string{}
	var problems []error
	for _, s := range all {
		if other, taken := first[s.Metadata.Name]; taken {
			problems = append(problems, fmt.Errorf("%s: metadata.name: %q is also the name of %s: every scenario needs its own",
				s.Path, s.Metadata.Name, other))
			continue
		}
		first[s.Metadata.Name] = s.Path
	}
	return problems
}

func noneFound(paths []string, label string, all []Scenario) error {
	if len(all) == 0 {
		return fmt.Errorf("no scenarios in %s: give a file, or a directory with *.yaml files: %w", strings.Join(paths, ", "), os.ErrNotExist)
	}
	labels := map[string]bool{}
	for _, s := range all {
		for _, l := range s.Metadata.Labels {
			labels[l] = true
		}
	}
	return fmt.Errorf("no scenario has the label %q; known here: %s", label, strings.Join(slices.Sorted(maps.Keys(labels)), ", "))
}
