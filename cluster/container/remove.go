package container

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/cutover-dev/cutover/cluster/engine"
)

// Remove removes the containers that carry all the labels, and the volumes that do,
// and returns when the engine has none of either. What is gone already is fine.
func Remove(ctx context.Context, labels map[string]string) error {
	ticker := time.NewTicker(poll)
	defer ticker.Stop()
	for {
		left, err := find(ctx, labels)
		if err != nil || left.none() {
			return err
		}
		failed := left.remove(ctx)
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: still there: %w", strings.Join(left.names(), ", "), errors.Join(failed, context.Cause(ctx)))
		case <-ticker.C:
		}
	}
}

// List names the containers and volumes that carry all the labels.
func List(ctx context.Context, labels map[string]string) ([]string, error) {
	left, err := find(ctx, labels)
	return left.names(), err
}

// Values lists what the containers and volumes with the label have as its value, each
// once.
func Values(ctx context.Context, label string) ([]string, error) {
	var values []string
	for _, what := range []string{"container", "volume"} {
		arguments := []string{what, "ls", "--filter", "label=" + label, "--format", fmt.Sprintf("{{.Label %q}}", label)}
		if what == "container" {
			arguments = append(arguments, "--all")
		}
		printed, err := engine.Run(ctx, arguments...)
		if err != nil {
			return nil, err
		}
		values = append(values, engine.Lines(printed)...)
	}
	slices.Sort(values)
	return slices.Compact(values), nil
}

// things are what one owner has on the engine.
type things struct{ containers, volumes []string }

func find(ctx context.Context, labels map[string]string) (things, error) {
	if len(labels) == 0 {
		return things{}, errors.New("refusing to look for what has no label: that is everything")
	}
	var filter []string
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		filter = append(filter, "--filter", "label="+key+"="+labels[key])
	}
	containers, err := engine.Run(ctx, append([]string{"container", "ls", "--all", "--format", "{{.Names}}"}, filter...)...)
	if err != nil {
		return things{}, fmt.Errorf("look for containers: %w", err)
	}
	volumes, err := engine.Run(ctx, append([]string{"volume", "ls", "--quiet"}, filter...)...)
	if err != nil {
		return things{}, fmt.Errorf("look for volumes: %w", err)
	}
	return things{engine.Lines(containers), engine.Lines(volumes)}, nil
}

func (t things) none() bool { return len(t.containers)+len(t.volumes) == 0 }

func (t things) names() []string {
	var names []string
	for _, name := range t.containers {
		names = append(names, "container/"+name)
	}
	for _, name := range t.volumes {
		names = append(names, "volume/"+name)
	}
	return names
}

// remove asks once. What another process removes in this moment is an error here, and
// gone when it is looked for again.
func (t things) remove(ctx context.Context) error {
	var failed []error
	if len(t.containers) > 0 {
		_, err := engine.Run(ctx, append([]string{"container", "rm", "--force", "--volumes"}, t.containers...)...)
		failed = append(failed, err)
	}
	if len(t.volumes) > 0 {
		_, err := engine.Run(ctx, append([]string{"volume", "rm", "--force"}, t.volumes...)...)
		failed = append(failed, err)
	}
	return errors.Join(failed...)
}
