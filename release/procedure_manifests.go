package release

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	kubectlapply "k8s.io/kubectl/pkg/cmd/apply"
	"k8s.io/kubectl/pkg/cmd/rollout"
	cmdutil "k8s.io/kubectl/pkg/cmd/util"

	"github.com/cutover-dev/cutover/history"
)

// Manifests is a procedure that does what kubectl apply and kubectl rollout status do.
type Manifests struct {
	Baseline  string           `yaml:"baseline" json:"baseline"`                   // as seen from the scenario's root; applied before the load begins
	Candidate string           `yaml:"candidate" json:"candidate"`                 // what the procedure applies
	Undo      bool             `yaml:"undo,omitempty" json:"undo,omitempty"`       // apply the baseline again if the candidate is not rolled out in time
	Timeout   history.Duration `yaml:"timeout,omitempty" json:"timeout,omitempty"` // kubectl rollout status --timeout, of each workload; default 1m
}

// WithDefaults fills what was left out.
func (m Manifests) WithDefaults() Manifests {
	m.Timeout = cmp.Or(m.Timeout, history.Duration(time.Minute))
	return m
}

// manifests are those of a section, in the form that they have there.
type manifests struct {
	*Manifests
	form manifestForm
}

// manifestForm is a way to write manifests.
type manifestForm interface {
	check(folder checkedFolder, key, path string) error
	// read makes one stream of them.
	read(path string, given placeholders) ([]byte, error)
}

var _ deployer = manifests{}

func (m manifests) patience() time.Duration { return m.Timeout.D() }

func (m manifests) check(folder checkedFolder) (wrong []error) {
	for _, v := range []history.Version{history.Baseline, history.Candidate} {
		if path := m.path(v); path != "" {
			wrong = append(wrong, m.form.check(folder, string(v), path))
		}
	}
	return slices.DeleteFunc(wrong, func(err error) bool { return err == nil })
}

func (m manifests) path(v history.Version) string {
	if v == history.Candidate {
		return m.Candidate
	}
	return m.Baseline
}

// deploy implements deployer. What is in the cluster and not in the manifests stays
// there, as kubectl has it.
func (m manifests) deploy(_ context.Context, v history.Version, given placeholders) error {
	err := m.apply(v, given)
	if err != nil && m.Undo && v == history.Candidate {
		say(os.Stderr, "Error: %v", err)
		say(os.Stdout, "applying the %s again", history.Baseline)
		return errors.Join(fmt.Errorf("the %s was taken back: %w", v, err), m.apply(history.Baseline, given))
	}
	return err
}

// apply does it by the code of kubectl itself, and prints what that prints.
func (m manifests) apply(v history.Version, given placeholders) error {
	text, err := m.form.read(m.path(v), given)
	if err != nil {
		return err
	}
	workloads, err := workloadsIn(text)
	if err != nil {
		return fmt.Errorf("the manifests of the %s: %w", v, err)
	}
	file := filepath.Join(os.TempDir(), string(v)+".yaml") // kubectl takes files
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return err
	}
	streams := genericiooptions.IOStreams{In: bytes.NewReader(nil), Out: os.Stdout, ErrOut: os.Stderr}
	kubectl := cmdutil.NewFactory(genericclioptions.NewConfigFlags(true).WithDiscoveryBurst(300).WithDiscoveryQPS(50))
	command := &cobra.Command{}
	flags := kubectlapply.NewApplyFlags(streams)
	flags.AddFlags(command)
	*flags.DeleteFlags.FileNameFlags.Filenames = []string{file}
	applying, err := flags.ToOptions(kubectl, command, "kubectl", nil)
	if err == nil {
		err = applying.Validate()
	}
	if err == nil {
		err = applying.Run()
	}
	if err != nil {
		return fmt.Errorf("kubectl apply: %w", err)
	}
	for _, namespace := range slices.Sorted(maps.Keys(workloads)) {
		status := rollout.NewRolloutStatusOptions(streams)
		status.Timeout = m.Timeout.D()
		if err := status.Complete(kubectl, workloads[namespace]); err != nil {
			return err
		}
		status.Namespace = cmp.Or(namespace, status.Namespace)
		if err := status.Run(); err != nil {
			return fmt.Errorf("kubectl rollout status %s: %w", strings.Join(workloads[namespace], " "), err)
		}
	}
	return nil
}

// workloadsIn are those of which kubectl can tell how far they are rolled out, as it is
// told them, by their namespace; "" is that of KUBECONFIG.
func workloadsIn(manifests []byte) (map[string][]string, error) {
	found := map[string][]string{}
	note := func(o unstructured.Unstructured) {
		switch kind := o.GetKind(); {
		case o.GroupVersionKind().Group != "apps":
		case kind == KindDeployment, kind == KindStatefulSet, kind == "DaemonSet":
			found[o.GetNamespace()] = append(found[o.GetNamespace()], strings.ToLower(kind)+"/"+o.GetName())
		}
	}
	for in := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(manifests), 4<<10); ; {
		var o unstructured.Unstructured
		err := in.Decode(&o.Object)
		switch {
		case errors.Is(err, io.EOF):
			return found, nil
		case err != nil:
			return nil, err
		case !o.IsList():
			note(o)
			continue
		}
		list, err := o.ToList()
		if err != nil {
			return nil, err
		}
		for _, item := range list.Items {
			note(item)
		}
	}
}
