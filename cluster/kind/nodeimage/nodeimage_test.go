package nodeimage

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cutover-dev/cutover/cluster/embedded/components"
)

func TestByLastName(t *testing.T) {
	got := byLastName("registry.k8s.io/kube-proxy:v1.36.3\nregistry.k8s.io/coredns/coredns:v1.14.2\nlocalhost:5000/etcd:3.6.8-0\n")
	want := map[string]string{
		"kube-proxy": "registry.k8s.io/kube-proxy:v1.36.3",
		"coredns":    "registry.k8s.io/coredns/coredns:v1.14.2",
		// The port of a registry is no tag.
		"etcd": "localhost:5000/etcd:3.6.8-0",
	}
	if !maps.Equal(got, want) {
		t.Errorf("got %v", got)
	}
}

// TestLayOut puts our files where a node looks for them, with the names that its
// images have, and as programs where they are programs.
func TestLayOut(t *testing.T) {
	root := filepath.Join(t.TempDir(), "root")
	if err := layOut(root, programsOf(t, "as built")); err != nil {
		t.Fatal(err)
	}
	for path, mode := range map[string]fs.FileMode{
		"usr/local/bin/entrypoint": 0o755, "usr/local/bin/crictl": 0o755, "usr/local/bin/kube": 0o755, "opt/cni/bin/ptp": 0o755,
		"etc/systemd/system/kubelet.service": 0o644, "kind/version": 0o644,
	} {
		if info, err := os.Stat(filepath.Join(root, path)); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v", path, info, err)
		}
	}
	for link, want := range map[string]string{"usr/local/bin/kubelet": "kube", "usr/local/bin/kubeadm": "kube", "usr/local/bin/kubectl": "kube", "usr/bin/sh": "bash"} {
		if target, err := os.Readlink(filepath.Join(root, link)); err != nil || target != want {
			t.Errorf("%s leads to %q, %v", link, target, err)
		}
	}
	for path, want := range map[string]string{
		"etc/containerd/config.toml":      pauseImage,
		"kind/manifests/default-cni.yaml": networkImage,
		"kind/version":                    components.KubernetesVersion,
	} {
		data, err := os.ReadFile(filepath.Join(root, path))
		if err != nil || !strings.Contains(string(data), want) || strings.Contains(string(data), "$PAUSE") || strings.Contains(string(data), "$NETWORK") {
			t.Errorf("%s does not say %s: %v", path, want, err)
		}
	}
}

// TestKindReadsTheManifests holds the words by which kind knows what to do.
func TestKindReadsTheManifests(t *testing.T) {
	files, err := recipe()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"kind/manifests/default-cni.yaml": "would you kindly template this file",
		"usr/local/bin/entrypoint":        "detected cgroup v1",
		"etc/systemd/system/node.target":  "Description=Multi-User System",
	} {
		if data, err := fs.ReadFile(files, name); err != nil || !strings.Contains(string(data), want) {
			t.Errorf("%s does not say %q: %v", name, want, err)
		}
	}
}

// TestKeyChangesWithWhatTheImageIsMadeOf changes one thing after the other.
func TestKeyChangesWithWhatTheImageIsMadeOf(t *testing.T) {
	tree := func(content string) string {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "file"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	key := func(from Sources, programs components.Programs) string {
		t.Helper()
		key, err := from.key(programs)
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	programs := programsOf(t, "as built")
	first := key(Sources{tree("node"), tree("proxy")}, programs)
	if again := key(Sources{tree("node"), tree("proxy")}, programsOf(t, "as built")); again != first {
		t.Errorf("the same things have keys %s and %s", first, again)
	}
	for why, other := range map[string]string{
		"another package":        key(Sources{tree("node, newer"), tree("proxy")}, programs),
		"another proxy":          key(Sources{tree("node"), tree("proxy, newer")}, programs),
		"another program":        key(Sources{tree("node"), tree("proxy")}, programsOf(t, "built anew")),
		"the two folders change": key(Sources{tree("proxy"), tree("node")}, programs),
	} {
		if other == first {
			t.Errorf("%s: the key stays", why)
		}
	}
	if _, err := (Sources{Node: "nowhere", Proxy: "nowhere"}).key(programs); err == nil || !strings.Contains(err.Error(), "hack/debian-root") {
		t.Errorf("without packages: %v", err)
	}
}

// programsOf makes a program of each name, all with the same content.
func programsOf(t *testing.T, content string) components.Programs {
	t.Helper()
	programs := components.In(t.TempDir())
	for _, name := range used() {
		if err := os.WriteFile(programs.Path(name), []byte(content), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return programs
}
