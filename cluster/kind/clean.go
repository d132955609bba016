package kind

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Info describes a cluster for people.
type Info struct {
	Name       string
	Alive      bool
	Making     bool // it is not ready yet
	Owned      bool
	Nodes      int
	Kubeconfig string
}

// List returns the clusters of this user, dead ones too.
func List(ctx context.Context) ([]Info, error) {
	found, err := survey(ctx)
	if err != nil {
		return nil, err
	}
	var list []Info
	for _, f := range found {
		if f.temporary() {
			continue
		}
		list = append(list, Info{
			Name: f.state.name(), Alive: f.alive(), Making: f.held && !f.spec.Made,
			Owned: f.spec.Owned, Nodes: f.spec.Nodes, Kubeconfig: f.state.kubeconfig(),
		})
	}
	return list, nil
}

// Clean removes what is left of clusters whose maker or owner is gone and returns
// their names. Clusters that live are left alone, and so is all that was not made by
// this program.
func Clean(ctx context.Context) ([]string, error) {
	found, err := survey(ctx)
	if err != nil {
		return nil, err
	}
	var cleaned []string
	var failed []error
	for _, f := range found {
		if !f.dead() {
			continue
		}
		name, err := f.remove(ctx)
		if err != nil {
			failed = append(failed, fmt.Errorf("remove what is left of kind cluster %s: %w", f.state.name(), err))
		} else if name != "" {
			cleaned = append(cleaned, name)
		}
	}
	return cleaned, errors.Join(failed...)
}

// finding is what there is of one cluster: a state, containers, or both.
type finding struct {
	state      state
	spec       spec // zero where there is none that can be read
	present    bool // the state is there
	held       bool // by the process that makes the cluster or owns it
	age        time.Duration
	containers int
	running    int // of them
}

// survey looks at all that could be a cluster. Containers are listed before states:
// one whose state is not there any more has been left behind, or is being removed.
func survey(ctx context.Context) ([]finding, error) {
	root, err := stateRoot()
	if err != nil {
		return nil, err
	}
	containers, unknown := containersOf(ctx, root, "")
	all, err := states(root)
	if err != nil {
		return nil, err
	}
	if unknown != nil && len(all) > 0 {
		return nil, fmt.Errorf("what is left of kind clusters cannot be seen: %w", unknown)
	}
	byCluster := map[string][]container{}
	for _, c := range containers {
		byCluster[c.cluster] = append(byCluster[c.cluster], c)
	}
	var found []finding
	for _, s := range all {
		found = append(found, look(s).with(byCluster[s.name()]))
		delete(byCluster, s.name())
	}
	for name, lost := range byCluster {
		found = append(found, finding{state: state(filepath.Join(root, name))}.with(lost))
	}
	slices.SortFunc(found, func(a, b finding) int { return strings.Compare(a.state.name(), b.state.name()) })
	return found, nil
}

func (f finding) with(containers []container) finding {
	for _, c := range containers {
		f.containers++
		if c.running {
			f.running++
		}
	}
	return f
}

func look(s state) finding {
	f := finding{state: s, present: true, held: s.held()}
	f.spec, _ = s.read() // one without a spec was never made
	if info, err := os.Stat(string(s)); err == nil {
		f.age = time.Since(info.ModTime())
	}
	return f
}

// alive reports whether the cluster can be used.
func (f finding) alive() bool { return f.spec.Made && !f.dead() && f.running == f.spec.Nodes }

// temporary is a folder that was to become a state.
func (f finding) temporary() bool { return strings.HasPrefix(f.state.name(), newState) }

// settled is the age at which a folder that was to become a state is nobody's: it is
// one for milliseconds.
const settled = time.Minute

// dead reports whether nobody can use the cluster any more: its owner or maker is
// gone, or none of its nodes runs.
func (f finding) dead() bool {
	switch {
	case !f.present:
		return f.containers > 0
	case f.held:
		return false
	case f.temporary():
		return f.age > settled
	}
	return f.spec.Owned || !f.spec.Made || f.running == 0
}

// remove takes the state, if there is one, so that nobody else removes it, too, and
// removes everything. The name is empty if somebody else was faster.
func (f finding) remove(ctx context.Context) (string, error) {
	if !f.present {
		return f.state.name(), removeContainers(ctx, f.state.root(), f.state.name())
	}
	release, err := f.state.lock()
	if errors.Is(err, unix.EWOULDBLOCK) || errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer release()
	return f.state.name(), takeDown(ctx, f.state)
}
