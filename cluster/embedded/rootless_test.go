package embedded

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

func TestRefusalNamesWhatIsMissingAndWhatToDo(t *testing.T) {
	// A machine that denies nothing, and a change to it.
	with := func(change func(*ground)) ground {
		g := ground{user: 1000, settings: map[string]string{"user.max_user_namespaces": "1000"}, denied: map[string]string{}, ranges: true}
		change(&g)
		return g
	}
	deny := func(trial, how string) func(*ground) { return func(g *ground) { g.denied[trial] = how } }
	for _, row := range []struct {
		why     string
		ground  ground
		refused []string // all of these, if any
		unmet   []string // conditions without which there is a cluster nevertheless
		fix     string   // of what is unmet
	}{
		{"everything is there", with(func(*ground) {}), nil, nil, ""},
		{"switched off: the setting is named", with(func(g *ground) {
			g.denied[trialNamespace], g.settings["user.max_user_namespaces"] = "no space left on device", "0"
		}), []string{"user namespace", "no space left on device", "sysctl -w user.max_user_namespaces=15000"}, nil, ""},
		{"Debian's own switch", with(func(g *ground) {
			g.denied[trialNamespace], g.settings["kernel.unprivileged_userns_clone"] = "operation not permitted", "0"
		}), []string{"sysctl -w kernel.unprivileged_userns_clone=1"}, nil, ""},
		{"Ubuntu lets anybody make one, in which nothing is allowed", with(func(g *ground) {
			g.denied[trialMount], g.settings["kernel.apparmor_restrict_unprivileged_userns"] = "permission denied", "1"
		}), []string{"mounts", "permission denied", "kernel.apparmor_restrict_unprivileged_userns=0", "AppArmor profile"}, nil, ""},
		{"a container's seccomp profile: no setting says so", with(deny(trialNamespace, "operation not permitted")), []string{"seccomp=unconfined"}, nil, ""},
		{"a container's masked /proc", with(deny(trialProc, "operation not permitted")), []string{"proc", "systempaths=unconfined"}, nil, ""},
		{"a home on an overlay", with(deny(trialOverlay, "invalid argument")), []string{"overlayfs", "XDG_DATA_HOME"}, nil, ""},
		{"no veth", with(deny(trialNetwork, "operation not supported")), []string{"network", "modprobe veth"}, nil, ""},
		{"two at once are both told", with(func(g *ground) { g.denied[trialProc], g.denied[trialSysfs] = "a", "b" }), []string{"- proc: ", "- sysfs: "}, nil, ""},
		{"no cgroups, version 1: a cluster without limits", with(func(g *ground) { g.withheld = []string{"cpu", "memory"} }), nil, []string{ownGroups}, "for c in cpu memory; do"},
		{"no cgroups, version 2", with(func(g *ground) { g.withheld, g.unified = []string{"cpu"}, true }), nil, []string{ownGroups}, "systemd-run --user --scope -p Delegate=yes"},
		{"no range of users", with(func(g *ground) { g.ranges = false }), nil, []string{"other users"}, "usermod --add-subuids"},
	} {
		conditions := row.ground.conditions()
		err := refusal(conditions)
		if (err != nil) != (row.refused != nil) {
			t.Errorf("%s: %v", row.why, err)
		}
		for _, part := range row.refused {
			if err == nil || !strings.Contains(err.Error(), part) {
				t.Errorf("%s: %q is not in: %v", row.why, part, err)
			}
		}
		var unmet []string
		for _, c := range conditions {
			if c.Met || c.Needed {
				continue
			}
			unmet = append(unmet, c.Name)
			if !strings.Contains(c.Fix, row.fix) {
				t.Errorf("%s: %q is not in the fix: %s", row.why, row.fix, c.Fix)
			}
		}
		if !slices.Equal(unmet, row.unmet) {
			t.Errorf("%s: unmet %q, want %q", row.why, unmet, row.unmet)
		}
	}
}

func TestSubordinatesAreOnlyOnesOwn(t *testing.T) {
	own := os.Getuid()
	file := filepath.Join(t.TempDir(), "subuid")
	content := "somebody-else:100000:65536\n" +
		"# a remark\n" +
		"broken:line\n" +
		strconv.Itoa(own) + ":200000:65536\n" +
		strconv.Itoa(own) + ":300000:0\n" + // nothing
		strconv.Itoa(own) + "1:400000:65536\n" // another number that begins alike
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	ranges, err := subordinates(file)
	if want := []idRange{{200000, 65536}}; err != nil || !slices.Equal(ranges, want) {
		t.Errorf("ranges %v, %v; want %v", ranges, err, want)
	}
	if ranges, err := subordinates(filepath.Join(t.TempDir(), "none")); err != nil || ranges != nil {
		t.Errorf("without a file: %v, %v", ranges, err)
	}
}

func TestPathsOfSocketsMustBeShort(t *testing.T) {
	deep := state("/" + strings.Repeat("d", 64) + "/clusters/c")
	if err := deep.requireShortPaths(1); err != nil {
		t.Errorf("one node: %v", err)
	}
	// A further node's socket lies deeper.
	if err := deep.requireShortPaths(2); err == nil || !strings.Contains(err.Error(), "XDG_DATA_HOME") {
		t.Errorf("two nodes: %v", err)
	}
}

func TestAsRootChangesTheUserAlone(t *testing.T) {
	img, err := mutate.Config(empty.Image, v1.Config{User: "65532:65532", Entrypoint: []string{"/app"}})
	if err != nil {
		t.Fatal(err)
	}
	img, err = asRoot(img)
	if err != nil {
		t.Fatal(err)
	}
	file, err := img.ConfigFile()
	if err != nil || file.Config.User != "" || !slices.Equal(file.Config.Entrypoint, []string{"/app"}) {
		t.Errorf("user %q, entry point %q, %v", file.Config.User, file.Config.Entrypoint, err)
	}
}
