package main

import (
	"errors"
	"os"

	"github.com/spf13/cobra"

	"github.com/cutover-dev/cutover/loadgen"
)

func loadCommand() *cobra.Command {
	c := &cobra.Command{Use: "load", Short: "Prepare recordings of requests, for load.replay, and hand on what was recorded"}
	c.AddCommand(loadConvert(), loadExport())
	return c
}

func loadConvert() *cobra.Command {
	var filter loadgen.RecordingFilter
	c := &cobra.Command{
		Use: "convert FILE", Short: "Print the requests of a HAR or an access log, one a line, for load.replay",
		Example: "  cutover load convert shop.har --host shop.example > requests.ndjson\n  cutover load convert access.log --methods GET,HEAD",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			file, err := os.Open(args[0])
			if err != nil {
				return usageError{err}
			}
			recording, err := loadgen.ReadRecording(args[0], file, filter)
			if err := errors.Join(err, file.Close()); err != nil {
				return usageError{err}
			}
			return recording.Write(c.OutOrStdout())
		},
	}
	c.Flags().StringVar(&filter.Host, "host", "", "only requests to this host")
	c.Flags().StringSliceVar(&filter.Methods, "methods", nil, "only requests with these")
	c.Flags().BoolVar(&filter.Secrets, "secrets", false, "keep Authorization and Cookie")
	return c
}
