package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/cutover-dev/cutover/scenarios"
)

const firstFile = "scenario.yaml"

func scenarioInit() *cobra.Command {
	return &cobra.Command{
		Use: "init [FILE]", Short: "Write a first scenario, with comments, to " + firstFile + " or another file",
		Long: "Write a first scenario, with comments. It runs as it is, from any folder: the service that it releases\nis built from a published Go module. A file that exists is left alone.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			path := firstFile
			if len(args) > 0 {
				path = args[0]
			}
			if err := writeNew(path, scenarios.First()); err != nil {
				return err
			}
			_, err := fmt.Fprintf(c.OutOrStdout(), "%s: written; as root, `cutover run %s` runs it\n", path, path)
			return err
		},
	}
}

// writeNew writes a file that must not exist yet.
func writeNew(path string, data []byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return usageError{fmt.Errorf("%s exists and is left as it is: name another file, `cutover scenario init FILE`", path)}
	}
	if err != nil {
		return usageError{fmt.Errorf("write a first scenario: %w", err)}
	}
	_, err = file.Write(data)
	return errors.Join(err, file.Close())
}
