package dependencies

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/cutover-dev/cutover/cluster/container"
	"github.com/cutover-dev/cutover/cluster/engine"
	"github.com/cutover-dev/cutover/safety"
)

// kindContainer is the action of making one.
const kindContainer = "dependency"

// labelled is what an undo must know.
type labelled struct {
	Labels map[string]string `json:"labels"`
}

// Undoers can undo what [Start] does, in whatever process. They need no cluster: a
// dependency outlives it.
func Undoers() safety.Undoers {
	return safety.Undoers{kindContainer: func(ctx context.Context, params json.RawMessage) error {
		var p labelled
		if err := json.Unmarshal(params, &p); err != nil {
			return err
		}
		return container.Remove(ctx, p.Labels)
	}}
}

// Residue names what is left of a run's dependencies.
func Residue(ctx context.Context, run string) ([]string, error) {
	return container.List(ctx, map[string]string{RunLabel: run})
}

// Sweep removes what belongs to runs with a ledger in the folder that is not there any
// more, neither living nor dead, and names those runs. Without an engine there is nothing.
func Sweep(ctx context.Context, ledgers string) ([]string, error) {
	if _, err := engine.Ask(ctx); err != nil {
		return nil, nil //nolint:nilerr // what does not run has nothing to remove
	}
	runs, err := container.Values(ctx, RunLabel, map[string]string{container.OwnerLabel: ledgers})
	if err != nil {
		return nil, err
	}
	var swept []string
	var failed []error
	for _, run := range runs {
		if _, err := os.Stat(filepath.Join(ledgers, filepath.Base(run)+".ndjson")); !errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err := container.Remove(ctx, map[string]string{RunLabel: run}); err != nil {
			failed = append(failed, fmt.Errorf("what run %s left on the container engine: %w", run, err))
			continue
		}
		swept = append(swept, run)
	}
	return swept, errors.Join(failed...)
}
