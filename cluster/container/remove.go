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

// OwnerLabel tells whose a container is: the folder of state by which its owner cleans
// up. Two users of one engine must not clean up after each other.
const OwnerLabel = "dev.cutover.owner"

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

// Values lists what the containers and volumes that carry all the labels have as the
// value of another one, each once.
func Values(ctx context.Context, label string, labels map[string]string) ([]string, error) {
	filter := append(filters(labels), "--filter", "label="+label, "--format", fmt.Sprintf("{{.Label %q}}", label))
	var values []string
	for _, list := range [][]string{{"container", "ls", "--all"}, {"volume", "ls"}} {
		printed, err := engine.Run(ctx, append(list, filter...)...)
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
	filter := filters(labels)
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

func filters(labels map[string]string) []string {
	var arguments []string
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		arguments = append(arguments, "--filter", "label="+key+"="+labels[key])
	}
	return arguments
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
