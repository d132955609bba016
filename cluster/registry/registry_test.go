package registry

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/cutover-dev/cutover/cluster/container"
	"github.com/cutover-dev/cutover/cluster/engine"
	"github.com/cutover-dev/cutover/cluster/image"
)

// newOptions are those of a registry of this test's own. It skips where no engine
// answers.
func newOptions(t *testing.T) Options {
	t.Helper()
	if testing.Short() {
		t.Skip("builds a registry and starts it")
	}
	if _, err := engine.Ask(t.Context()); err != nil {
		t.Skip(err)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	network := fmt.Sprintf("cutover-test-registry-%d", os.Getpid())
	if _, err := engine.Run(t.Context(), "network", "create", network); err != nil {
		t.Fatal(err)
	}
	o := Options{Cluster: fmt.Sprintf("test-%d", os.Getpid()), Owner: t.TempDir(), Network: network,
		Image: image.Options{CacheDir: filepath.Join(cache, "cutover", "images"), TempDir: t.TempDir(), Notify: func(line string) { t.Log(line) }}}
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		if err := Remove(ctx, o.Owner, o.Cluster); err != nil {
			t.Error(err)
		}
		if _, err := engine.Run(ctx, "network", "rm", network); err != nil {
			t.Error(err)
		}
	})
	return o
}

func TestWhatIsPushedHereIsPulledInTheNetwork(t *testing.T) {
	o := newOptions(t)
	r, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	pushed, err := random.Image(1000, 2)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(reference(t, r.Host+"/app:v1"), pushed, remote.WithContext(t.Context())); err != nil {
		t.Fatal(err)
	}
	pulled, err := remote.Image(reference(t, r.Address+"/app:v1"), remote.WithContext(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	want, err := pushed.Digest()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := pulled.Digest(); err != nil || got != want {
		t.Errorf("pulled %v, pushed %v: %v", got, want, err)
	}
	// A second one is refused, and says so; the first goes on.
	if _, err := Start(t.Context(), Options{Cluster: o.Cluster, Owner: t.TempDir(), Network: o.Network, Image: o.Image}); err == nil {
		t.Error("two registries for one cluster")
	}
	if _, err := remote.Image(reference(t, r.Host+"/app:v1"), remote.WithContext(t.Context())); err != nil {
		t.Errorf("the first one: %v", err)
	}
}

func reference(t *testing.T, text string) name.Reference {
	t.Helper()
	parsed, err := name.ParseReference(text, name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func TestCleanRemovesThoseWithoutACluster(t *testing.T) {
	o := newOptions(t)
	if _, err := Start(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		why, owner string
		living     []string
		want       []string
	}{
		{"its cluster lives", o.Owner, []string{"other", o.Cluster}, nil},
		{"it is somebody else's", t.TempDir(), nil, nil},
		{"its cluster is gone", o.Owner, []string{"other"}, []string{o.Cluster}},
		{"it is gone already", o.Owner, nil, nil},
	} {
		if removed, err := Clean(t.Context(), row.owner, row.living); err != nil || !slices.Equal(removed, row.want) {
			t.Errorf("%s: removed %v: %v", row.why, removed, err)
		}
	}
	if left, err := container.List(t.Context(), labels(o.Owner, o.Cluster)); err != nil || len(left) > 0 {
		t.Errorf("left: %v: %v", left, err)
	}
}

func TestAnnouncement(t *testing.T) {
	cluster := fake.NewClientset()
	for _, host := range []string{"localhost:5001", "localhost:5002"} { // another one takes its place
		if err := (Registry{Host: host}).announce(t.Context(), cluster); err != nil {
			t.Fatal(err)
		}
		var object *corev1.ConfigMap
		object, err := cluster.CoreV1().ConfigMaps("kube-public").Get(t.Context(), "local-registry-hosting", metav1.GetOptions{})
		if want := fmt.Sprintf("host: %q\nhelp: %q\n", host, "https://kind.sigs.k8s.io/docs/user/local-registry/"); err != nil || object.Data["localRegistryHosting.v1"] != want {
			t.Errorf("announced %+v: %v", object, err)
		}
	}
}
