package kind

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"sigs.k8s.io/kind/pkg/apis/config/v1alpha4"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/cluster/engine"
	"github.com/cutover-dev/cutover/cluster/kind/nodeimage"
	kindconfig "github.com/cutover-dev/cutover/kind-config"
)

func TestRewrite(t *testing.T) {
	full, less := engine.Grant{Full: true}, engine.Grant{Without: []string{"SYS_RESOURCE"}}
	labels := []string{"--label", "a=b"}
	for _, row := range []struct {
		grant engine.Grant
		from  []string
		has   []string
		lacks []string
	}{
		// A node is labelled, and as privileged as kind wants it.
		{full, []string{"run", "--name", "n", "--privileged", "image"}, []string{"--label a=b", "--name n --privileged image"}, nil},
		// Where the engine cannot do that, it is asked for what it can.
		{less, []string{"run", "--name", "n", "--privileged", "image"}, []string{"--label a=b", "--cap-add=ALL --cap-drop=SYS_RESOURCE", "image"}, []string{"--privileged"}},
		// A container that did not ask for anything gets no more than it asked for.
		{less, []string{"run", "--name", "n", "image"}, []string{"--label a=b"}, []string{"--cap-add", "--privileged"}},
		// A command in a node has what the node has.
		{less, []string{"exec", "--privileged", "-i", "n", "cat"}, []string{"exec -i n cat"}, []string{"--privileged", "--label"}},
		{full, []string{"exec", "--privileged", "-i", "n", "cat"}, []string{"exec --privileged -i n cat"}, []string{"--label"}},
		// The words of a command that runs in a node are not ours.
		{less, []string{"exec", "--privileged", "n", "sh", "-c", "--privileged"}, []string{"exec n sh -c --privileged"}, nil},
		// All else goes through as it is.
		{less, []string{"ps", "-a", "--filter", "label=x"}, []string{"ps -a --filter label=x"}, []string{"a=b"}},
		{less, nil, []string{""}, nil},
	} {
		got := strings.Join(rewrite(row.from, row.grant, labels), " ")
		for _, part := range row.has {
			if !strings.Contains(got, part) {
				t.Errorf("%v becomes %q, which lacks %q", row.from, got, part)
			}
		}
		for _, part := range row.lacks {
			if strings.Contains(got, part) {
				t.Errorf("%v becomes %q, with %q", row.from, got, part)
			}
		}
	}
}

func TestRender(t *testing.T) {
	for _, row := range []struct {
		why    string
		config []byte
		image  nodeImage
		cgroup int
		nodes  int
		has    []string
		lacks  []string
	}{
		{"our image on cgroups of version 1", kindconfig.Single, nodeImage{"ours:1", true}, 1, 1, []string{"name: cutover-x", "image: ours:1", "failCgroupV1: false", "unsafe-no-fsync", "leader-elect", "kubeProxyMode: nftables"}, nil},
		{"a published image on a machine of today", kindconfig.Multi, nodeImage{"kindest/node:v1", false}, 2, 4, []string{"image: kindest/node:v1", "topology.kubernetes.io/zone: zone-b"}, []string{"failCgroupV1", "fsync", "leader-elect", "kubeProxyMode", "disableDefaultCNI"}},
		{"a user's own", []byte("kind: Cluster\napiVersion: kind.x-k8s.io/v1alpha4\nnetworking: {kubeProxyMode: iptables}\n"), nodeImage{"ours:1", true}, 2, 1, []string{"kubeProxyMode: iptables"}, []string{"nftables"}},
	} {
		text, described, err := render(row.config, "cutover-x", row.image, engine.Facts{Cgroup: row.cgroup})
		if err != nil || len(described.Nodes) != row.nodes || described.Nodes[0].Role != v1alpha4.ControlPlaneRole {
			t.Errorf("%s: %v, %v", row.why, described.Nodes, err)
		}
		for _, part := range row.has {
			if !strings.Contains(string(text), part) {
				t.Errorf("%s: lacks %q\n%s", row.why, part, text)
			}
		}
		for _, part := range row.lacks {
			if strings.Contains(string(text), part) {
				t.Errorf("%s: has %q\n%s", row.why, part, text)
			}
		}
	}
	if _, _, err := render([]byte("kind: Cluster\nnods: []\n"), "x", nodeImage{}, engine.Facts{}); err == nil || !strings.Contains(err.Error(), "nods") {
		t.Errorf("an unknown key: %v", err)
	}
}

// TestWorkersAreOverTwoZones holds what the configuration with several nodes promises.
func TestWorkersAreOverTwoZones(t *testing.T) {
	_, described, err := render(kindconfig.Multi, "x", nodeImage{}, engine.Facts{})
	if err != nil {
		t.Fatal(err)
	}
	zones := map[string]int{}
	for _, node := range described.Nodes[1:] {
		zones[node.Labels["topology.kubernetes.io/zone"]]++
	}
	if len(described.Nodes) != MultiNodes || len(zones) != 2 || zones["zone-a"]+zones["zone-b"] != 3 {
		t.Errorf("%d nodes, workers by zone %v", len(described.Nodes), zones)
	}
}

func TestCheckNodes(t *testing.T) {
	for nodes, ok := range map[int]bool{0: false, 1: true, 2: false, 3: false, 4: true, 5: false} {
		if err := CheckNodes(nodes); (err == nil) != ok {
			t.Errorf("%d nodes: %v", nodes, err)
		}
		if _, err := configFor(nodes); (err == nil) != ok {
			t.Errorf("configuration for %d nodes: %v", nodes, err)
		}
	}
}

func TestBuiltHere(t *testing.T) {
	for reference, want := range map[string]bool{
		nodeimage.Current:                   true,
		nodeimage.Current + "-0123456789ab": true,
		"kindest/node:v1.37.0":              false,
		"cutover.local/kind-nodes:v1":       false,
		"":                                  false,
	} {
		if got := BuiltHere(reference); got != want {
			t.Errorf("%q: %v", reference, got)
		}
	}
}

// TestDead decides for everything that may be found whether it is removed.
func TestDead(t *testing.T) {
	made, unmade, owned := spec{Made: true}, spec{}, spec{Made: true, Owned: true}
	at, fresh := state("/states/x"), state("/states/"+newState+"1")
	for _, row := range []struct {
		why   string
		found finding
		want  bool
	}{
		{"it is being made", finding{state: at, present: true, held: true, spec: unmade}, false},
		{"its maker was killed", finding{state: at, present: true, spec: unmade, containers: 1, running: 1}, true},
		{"its maker was killed before there was a container", finding{state: at, present: true, spec: unmade}, true},
		{"its owner runs", finding{state: at, present: true, held: true, spec: owned, containers: 1, running: 1}, false},
		{"its owner was killed", finding{state: at, present: true, spec: owned, containers: 1, running: 1}, true},
		{"it is detached", finding{state: at, present: true, spec: made, containers: 1, running: 1}, false},
		{"it is detached, and a node of several was killed", finding{state: at, present: true, spec: made, containers: 4, running: 3}, false},
		{"it is detached, and its node was killed", finding{state: at, present: true, spec: made, containers: 1}, true},
		{"it is detached, and somebody removed its containers", finding{state: at, present: true, spec: made}, true},
		{"somebody removed its state", finding{state: at, containers: 1}, true},
		{"there is nothing", finding{state: at}, false},
		{"it is to become a state", finding{state: fresh, present: true, age: time.Second}, false},
		{"it was to become a state", finding{state: fresh, present: true, age: time.Hour}, true},
		{"it is to become a state, slowly", finding{state: fresh, present: true, held: true, age: time.Hour}, false},
	} {
		if got := row.found.dead(); got != row.want {
			t.Errorf("%s: dead is %v", row.why, got)
		}
	}
}

func TestParseContainers(t *testing.T) {
	got, err := parseContainers("2\tc-worker\tx\trunning\tworker\n1\tc-control-plane\tx\texited\tcontrol-plane")
	if err != nil || len(got) != 2 || got[0].id != "1" || !got[0].controlPlane || got[0].running || !got[1].running || got[1].cluster != "x" {
		t.Errorf("got %+v, %v", got, err)
	}
	if got, err := parseContainers(""); err != nil || len(got) != 0 {
		t.Errorf("nothing: %v, %v", got, err)
	}
	if _, err := parseContainers("what is this"); err == nil {
		t.Error("something else passes for a container")
	}
}

func TestParseSnapshotter(t *testing.T) {
	for dumped, want := range map[string]string{
		"[plugins.'io.containerd.cri.v1.images']\n  snapshotter = 'overlayfs'\n":                              "overlayfs",
		"  snapshotter = ''\n[plugins.\"io.containerd.grpc.v1.cri\"]\n    snapshotter = \"fuse-overlayfs\"\n": "fuse-overlayfs",
		"version = 3\n": "",
	} {
		if got, err := parseSnapshotter(dumped); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", dumped, got, err)
		}
	}
}

func TestStateComesLocked(t *testing.T) {
	s := state(filepath.Join(t.TempDir(), "kind", "x"))
	release, err := s.create(spec{Name: "x"})
	if err != nil {
		t.Fatal(err)
	}
	if !s.held() {
		t.Error("a new state is nobody's")
	}
	if _, err := s.lock(); !errors.Is(err, unix.EWOULDBLOCK) {
		t.Errorf("a second one takes the state: %v", err)
	}
	if _, err := s.create(spec{Name: "x"}); err == nil || !strings.Contains(err.Error(), "exists already") {
		t.Errorf("a second cluster of the name: %v", err)
	}
	if all, err := states(s.root()); err != nil || !slices.Equal(all, []state{s}) {
		t.Errorf("states: %v, %v", all, err)
	}
	release()
	if s.held() {
		t.Error("a state that was let go of is still held")
	}
	if err := s.remove(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(s.root()); !os.IsNotExist(err) {
		t.Errorf("the last state left the folder above: %v", err)
	}
}

func TestCheckName(t *testing.T) {
	for name, ok := range map[string]bool{"a": true, "run-0123abcd": true, strings.Repeat("x", 40): true, strings.Repeat("x", 41): false, "A": false, "-a": false, "../x": false, newState + "1": false} {
		if err := cluster.CheckName(name); (err == nil) != ok {
			t.Errorf("%q: %v", name, err)
		}
	}
	// The longest name of a node is a host name, too.
	if name := state(strings.Repeat("x", 40)).kindName() + "-control-plane"; len(name) > 63 {
		t.Errorf("%s has %d characters", name, len(name))
	}
}

func TestQuoteSurvivesTheShell(t *testing.T) {
	if got, want := quote("/a b/it's"), `'/a b/it'\''s'`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestAwaitSaysWhatWasMissing(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	reason := errors.New("the last reason")
	if err := await(ctx, "it is not there", func(context.Context) error { return reason }); !errors.Is(err, reason) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if err := await(t.Context(), "it is there", func(context.Context) error { return nil }); err != nil {
		t.Error(err)
	}
}

// TestAskRegistryTakesSeconds asks where nobody answers.
func TestAskRegistryTakesSeconds(t *testing.T) {
	silent, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close() // it accepts, and says nothing
	began := time.Now()
	if err := askRegistry(t.Context(), silent.Addr().String()+"/kindest/node:v1"); err == nil || time.Since(began) > 2*reachable {
		t.Errorf("asked for %v: %v", time.Since(began), err)
	}
	if err := askRegistry(t.Context(), "not a name"); err == nil {
		t.Error("what names no image is there")
	}
}

func TestRequireHere(t *testing.T) {
	own, err := kernel()
	if err != nil {
		t.Fatal(err)
	}
	if err := requireHere(engine.Facts{Kernel: own}); err != nil {
		t.Errorf("this machine's engine: %v", err)
	}
	if err := requireHere(engine.Facts{Kernel: own + "-linuxkit"}); err == nil || !strings.Contains(err.Error(), "another machine") {
		t.Errorf("another machine's engine: %v", err)
	}
}
