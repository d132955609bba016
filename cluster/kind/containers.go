package kind

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/cutover-dev/cutover/cluster/engine"
)

// container is one of a cluster's, which is a node.
type container struct {
	id, name, cluster string
	running           bool
	controlPlane      bool
}

// containersOf lists the containers of the clusters whose states are below the root,
// or of the one cluster if it is named.
func containersOf(ctx context.Context, root, name string) ([]container, error) {
	arguments := []string{"ps", "--all", "--no-trunc", "--filter", "label=" + stateLabel + "=" + root}
	if name != "" {
		arguments = append(arguments, "--filter", "label="+clusterLabel+"="+name)
	}
	format := strings.Join([]string{"{{.ID}}", "{{.Names}}", `{{.Label "` + clusterLabel + `"}}`, "{{.State}}", `{{.Label "io.x-k8s.kind.role"}}`}, "\t")
	printed, err := engine.Run(ctx, append(arguments, "--format", format)...)
	if err != nil {
		return nil, err
	}
	return parseContainers(printed)
}

func parseContainers(printed string) ([]container, error) {
	var list []container
	for _, line := range engine.Lines(printed) {
		fields := strings.Split(line, "\t")
		if len(fields) != 5 {
			return nil, fmt.Errorf("`docker ps` printed %q where five fields were asked for", line)
		}
		list = append(list, container{
			id: fields[0], name: fields[1], cluster: fields[2],
			running: fields[3] == "running", controlPlane: fields[4] == "control-plane",
		})
	}
	// kind names them so that this is their order in its configuration, too.
	slices.SortFunc(list, func(a, b container) int { return strings.Compare(a.name, b.name) })
	return list, nil
}

// removeContainers removes all of a cluster's containers and their volumes, and
// returns when the engine has none of them any more: one that was being made, or that
// somebody else is removing, is looked for again.
func removeContainers(ctx context.Context, root, name string) error {
	err := wait.PollUntilContextCancel(ctx, pollEvery, true, func(ctx context.Context) (bool, error) {
		list, err := containersOf(ctx, root, name)
		if err != nil || len(list) == 0 {
			return err == nil, err
		}
		return false, removeAll(ctx, list)
	})
	if err != nil {
		return fmt.Errorf("remove the containers of cluster %s: %w", name, err)
	}
	return nil
}

func removeAll(ctx context.Context, list []container) error {
	var ids []string
	for _, c := range list {
		ids = append(ids, c.id)
	}
	mounted, err := engine.Run(ctx, append([]string{"inspect", "--format", `{{range .Mounts}}{{if eq .Type "volume"}}{{println .Name}}{{end}}{{end}}`}, ids...)...)
	if err != nil && !gone(err) {
		return err
	}
	if _, err := engine.Run(ctx, append([]string{"rm", "--force", "--volumes"}, ids...)...); err != nil && !gone(err) {
		return err
	}
	return confirmGone(ctx, strings.Fields(mounted))
}

// confirmGone makes sure that the volumes went with their containers.
func confirmGone(ctx context.Context, volumes []string) error {
	var left []error
	for _, volume := range volumes {
		_, err := engine.Run(ctx, "volume", "rm", "--force", volume)
		if err != nil && !gone(err) {
			left = append(left, fmt.Errorf("volume %s is still there: %w", volume, err))
		}
	}
	return errors.Join(left...)
}

// gone says that somebody else removed it, or is at it.
func gone(err error) bool {
	return strings.Contains(err.Error(), "No such") || strings.Contains(err.Error(), "already in progress")
}

// processOf is the first process of a container, as this machine numbers it. The
// number of a process on another machine may be anybody's here; only the container's
// own has mounts that carry its name.
func processOf(ctx context.Context, id string) (int, error) {
	printed, err := engine.Run(ctx, "inspect", "--format", "{{.State.Pid}}", id)
	if err != nil {
		return 0, err
	}
	pid, err := strconv.Atoi(printed)
	if err != nil {
		return 0, err
	}
	if pid == 0 {
		return 0, errors.New("the container does not run")
	}
	mounts, err := os.ReadFile(fmt.Sprintf("/proc/%d/mountinfo", pid))
	if err != nil || !strings.Contains(string(mounts), id) {
		return 0, errors.New("its processes are not of this machine: cutover must run where the container engine does, not in a container or beside a virtual machine")
	}
	return pid, nil
}
