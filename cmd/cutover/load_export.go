package main

import (
	"errors"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cutover-dev/cutover/history"
	"github.com/cutover-dev/cutover/loadgen"
)

func loadExport() *cobra.Command {
	var format, out string
	c := &cobra.Command{
		Use: "export FOLDER", Short: "Write the requests of a record for others, such as vegeta report and vegeta plot",
		Example: "  cutover load export artifacts/slow -o slow.gob\n  vegeta plot slow.gob > slow.html\n  cutover load export artifacts/slow --format vegeta-csv",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			h, err := history.Read(args[0])
			if err != nil {
				return usageError{err}
			}
			encoding := strings.TrimPrefix(format, "vegeta-")
			write := func(w io.Writer) error { return loadgen.WriteResults(w, encoding, h) }
			if out == "" {
				err = write(c.OutOrStdout())
			} else {
				err = writeFile(out, write)
			}
			if err != nil {
				return usageError{err}
			}
			return nil
		},
	}
	c.Flags().StringVar(&format, "format", "vegeta-gob", "vegeta-gob, vegeta-json or vegeta-csv; vegeta- may be left out")
	c.Flags().StringVarP(&out, "out", "o", "", "file to write; default the standard output")
	return c
}

// writeFile writes the file aside and renames it, so that it is whole, or as it was.
func writeFile(path string, write func(io.Writer) error) error {
	aside, err := os.Create(path + ".tmp")
	if err != nil {
		return err
	}
	if err = errors.Join(write(aside), aside.Close()); err == nil {
		err = os.Rename(aside.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(aside.Name()))
	}
	return nil
}
