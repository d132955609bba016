package embedded

import (
	"context"
	"maps"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/cutover-dev/cutover/cluster/embedded/components"
)

// realCluster skips where no cluster can be, and returns what one is made by: the
// program, which `make test` builds and names by CUTOVER_BINARY.
func realCluster(t *testing.T) (ctx context.Context, binary string) {
	t.Helper()
	binary = os.Getenv("CUTOVER_BINARY")
	switch {
	case testing.Short():
		t.Skip("it starts real clusters")
	case os.Geteuid() != 0:
		t.Skip("an embedded cluster needs root")
	case binary == "":
		t.Skip("CUTOVER_BINARY does not name the program; `make test` does")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
	t.Cleanup(cancel)
	if _, err := components.Ensure(ctx, os.Stderr, components.Embedded); err != nil {
		t.Fatal(err)
	}
	return ctx, binary
}

// Two side by side take some ten seconds.
func TestTwoClustersSideBySide(t *testing.T) {
	ctx, binary := realCluster(t)
	var both sync.WaitGroup
	for range 2 {
		both.Go(func() { upAndDown(ctx, t, binary) })
	}
	both.Wait()
}

func upAndDown(ctx context.Context, t *testing.T, binary string) {
	c, err := Up(ctx, Options{Owned: true, Out: os.Stderr, Executable: binary})
	if err != nil {
		t.Error(err)
		return
	}
	defer func() {
		if err := c.Close(ctx); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(string(c.state)); !os.IsNotExist(err) {
			t.Errorf("the state of %s is still there: %v", c.Name(), err)
		}
		for _, dir := range c.spec.Cgroups {
			if _, err := os.Stat(dir); !os.IsNotExist(err) {
				t.Errorf("cgroup %s is still there: %v", dir, err)
			}
		}
		if _, err := c.Dial(ctx, node(0).ip()+":6443"); err == nil {
			t.Error("a cluster that is down can be dialled")
		}
	}()
	client, err := kubernetes.NewForConfig(c.REST())
	if err != nil {
		t.Error(err)
		return
	}
	version, err := client.Discovery().ServerVersion()
	if err != nil || version.GitVersion != components.KubernetesVersion {
		t.Errorf("version %v, %v; want %s", version, err, components.KubernetesVersion)
	}
	// Addresses are the same in all clusters: what is dialled must be this one's.
	conn, err := c.Dial(ctx, node(0).ip()+":6443")
	if err != nil {
		t.Errorf("dial the node from inside: %v", err)
	} else if err := conn.Close(); err != nil {
		t.Error(err)
	}
	// The program can look at each node's network from within.
	if printed, err := c.OnNodes(ctx, "agent-residue"); err != nil || !maps.Equal(printed, map[string]string{"node-0": ""}) {
		t.Errorf("on the nodes: %q, %v", printed, err)
	}
	// Nobody is let in without credentials.
	anonymous := c.REST()
	anonymous.CertData, anonymous.KeyData = nil, nil
	stranger, err := kubernetes.NewForConfig(anonymous)
	if err != nil {
		t.Error(err)
		return
	}
	if _, err := stranger.CoreV1().Nodes().List(ctx, metav1.ListOptions{}); err == nil || !strings.Contains(err.Error(), "Unauthorized") {
		t.Errorf("a stranger is let in: %v", err)
	}
}
