package components

import (
	"bufio"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// KubernetesVersion is the release that the kube component is built from.
const KubernetesVersion = "v1.36.3"

// GatewayAPI is the archive of the Gateway API's definitions, of the version that the
// gateway is built with; TraefikAPI is that of the definitions of the gateway's own kinds,
// among what else is documented of them.
const (
	GatewayAPI = "gateway-api-crds.tgz"
	TraefikAPI = "traefik-crds.tgz"
)

// Modules are kept with .txt endings: go:embed refuses the files of another module.
//
//go:embed */*.txt
var modules embed.FS

// component is one Go module and the programs built from it.
type component struct {
	name     string
	packages []string // import paths; "." is the module itself
	tags     string
	ldflags  string
	cgo      bool
	links    []string // other names of the program, which acts by the name it is started under
	archives []archive
}

// Set names the components that a sort of cluster is made of.
type Set []string

// Embedded is what an embedded cluster runs.
var Embedded = Set{"kube", "containerd", "runc", "runc-rootless", "cni", "pause", "coredns", "traefik"}

// KindNode is what the nodes of a kind cluster run whose image is built here, with
// the images that they have from the start.
var KindNode = Set{"kube", "containerd", "runc", "cni", "pause", "kind-network", "coredns", "traefik"}

// Gateway is what runs install in every cluster.
var Gateway = Set{"traefik"}

// ChaosMesh is Chaos Mesh, and what its daemon calls.
var ChaosMesh = Set{"chaos-controller-manager", "chaos-daemon", "chaos-tools"}

// Kind is all of a kind cluster for which nothing is pulled.
var Kind = slices.Concat(KindNode, ChaosMesh)

// all are the components that there are.
var all = []component{
	{name: "kube", packages: []string{"."},
		ldflags: "-X k8s.io/component-base/version.gitVersion=" + KubernetesVersion +
			" -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=36",
		links: []string{"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "kubectl", "kubeadm"}},
	{name: "containerd", tags: "no_btrfs,no_devmapper,no_zfs", packages: []string{
		"github.com/containerd/containerd/v2/cmd/containerd",
		"github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2",
		"github.com/containerd/containerd/v2/cmd/ctr"}},
	// containerd's default profile needs a runc with seccomp, which needs cgo.
	{name: "runc", tags: "seccomp", cgo: true, packages: []string{"github.com/opencontainers/runc"},
		ldflags: "-X main.version=1.5.2"},
	{name: "runc-rootless", packages: []string{"."}},
	{name: "cni", packages: []string{
		"github.com/containernetworking/plugins/plugins/main/ptp",
		"github.com/containernetworking/plugins/plugins/main/loopback",
		"github.com/containernetworking/plugins/plugins/ipam/host-local",
		"github.com/containernetworking/plugins/plugins/meta/portmap"}},
	{name: "pause", packages: []string{"."}},
	{name: "kind-network", packages: []string{"."}},
	{name: "coredns", packages: []string{"."}},
	{name: "traefik", packages: []string{"github.com/traefik/traefik/v3/cmd/traefik"},
		archives: []archive{
			{GatewayAPI, "sigs.k8s.io/gateway-api", "config/crd/standard"},
			{TraefikAPI, "github.com/traefik/traefik/v3", "docs/content/reference/dynamic-configuration"}}},
	{name: "chaos-controller-manager", packages: []string{"github.com/chaos-mesh/chaos-mesh/cmd/chaos-controller-manager"},
		archives: []archive{{"chaos-mesh-chart.tgz", "github.com/chaos-mesh/chaos-mesh", "helm"}}},
	// Its faults of time and of block devices are written in C.
	{name: "chaos-daemon", cgo: true, packages: []string{"github.com/chaos-mesh/chaos-mesh/cmd/chaos-daemon"}},
	{name: "chaos-tools", packages: []string{"."}},
}

// components are those of the set, in its order.
func (s Set) components() []component {
	var chosen []component
	for _, name := range s {
		at := slices.IndexFunc(all, func(c component) bool { return c.name == name })
		if at < 0 {
			panic("components: there is no component " + name)
		}
		chosen = append(chosen, all[at])
	}
	return chosen
}

// Programs is a folder of built programs.
type Programs struct{ dir string }

// In is a folder of programs that were built before.
func In(dir string) Programs { return Programs{dir} }

// Path is where the program is.
func (p Programs) Path(program string) string { return filepath.Join(p.dir, program) }

// Ensure builds what of the set is not in the cache yet and returns the folder that
// holds all its programs. What it says of its progress goes to out. The folder named
// by CUTOVER_COMPONENTS is used as it is instead.
func Ensure(ctx context.Context, out io.Writer, set Set) (Programs, error) {
	if dir := os.Getenv("CUTOVER_COMPONENTS"); dir != "" {
		return set.prebuilt(dir)
	}
	cache, err := CacheDir()
	if err != nil {
		return Programs{}, err
	}
	version, err := goVersion(ctx)
	if err != nil {
		return Programs{}, err
	}
	chosen := set.components()
	// The usual case takes no lock: clusters that start at once do not wait for each
	// other.
	dirs, missing, err := inspect(cache, version, chosen)
	if err == nil && len(missing) > 0 {
		err = buildMissing(ctx, cache, version, chosen, out)
	}
	if err != nil {
		return Programs{}, err
	}
	return gather(cache, chosen, dirs)
}

// inspect returns the folder of every component, and what is wrong with those, by
// number, that cannot be used: fs.ErrNotExist where nothing was built.
func inspect(cache, goVersion string, components []component) (dirs []string, missing map[int]error, err error) {
	dirs = make([]string, len(components))
	wrong := make([]error, len(components))
	var group errgroup.Group
	for i, c := range components {
		group.Go(func() error {
			key, err := c.key(goVersion)
			if err != nil {
				return err
			}
			dirs[i] = c.dir(cache, key)
			wrong[i] = verifySums(dirs[i])
			return nil
		})
	}
	err = group.Wait()
	missing = map[int]error{}
	for i, is := range wrong {
		if is != nil {
			missing[i] = is
		}
	}
	return dirs, missing, err
}

// buildMissing builds what is missing once nobody else does.
func buildMissing(ctx context.Context, cache, goVersion string, components []component, out io.Writer) error {
	unlock, err := Lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	dirs, missing, err := inspect(cache, goVersion, components)
	if err != nil {
		return err
	}
	numbers := slices.Sorted(maps.Keys(missing))
	var building []component
	for _, i := range numbers {
		building = append(building, components[i])
	}
	// Before the first build: the component that needs most comes after minutes.
	if err := requireTools(ctx, building); err != nil {
		return err
	}
	for _, i := range numbers {
		label := fmt.Sprintf("component  %d/%d %s", i+1, len(components), components[i].name)
		if !errors.Is(missing[i], fs.ErrNotExist) {
			fmt.Fprintf(out, "%s: the cached build is damaged (%v); building it again\n", label, missing[i])
		}
		if err := components[i].make(ctx, dirs[i], label, out); err != nil {
			return err
		}
	}
	return nil
}

// Built reports whether nothing of the set has to be built any more: every component
// is in the cache, as it was built, or in the folder named by CUTOVER_COMPONENTS. Its
// error is about that folder.
func Built(ctx context.Context, set Set) (bool, error) {
	if dir := os.Getenv("CUTOVER_COMPONENTS"); dir != "" {
		_, err := set.prebuilt(dir)
		return err == nil, err
	}
	cache, err := CacheDir()
	if err != nil {
		return false, nil
	}
	version, err := goVersion(ctx)
	if err != nil {
		return false, nil
	}
	_, missing, err := inspect(cache, version, set.components())
	return err == nil && len(missing) == 0, err
}

func (c component) dir(cache, key string) string { return filepath.Join(cache, c.name+"-"+key) }

func (s Set) prebuilt(dir string) (Programs, error) {
	if err := trusted(dir); err != nil {
		return Programs{}, fmt.Errorf("CUTOVER_COMPONENTS: %w", err)
	}
	for _, c := range s.components() {
		for _, program := range c.programs() {
			if err := trusted(filepath.Join(dir, program)); errors.Is(err, errUntrusted) {
				return Programs{}, err
			} else if err != nil {
				return Programs{}, fmt.Errorf("CUTOVER_COMPONENTS=%s lacks %s; build all of them with `cutover cluster components` and point at the folder that it prints, or unset the variable: %w", dir, program, err)
			}
		}
	}
	return Programs{dir: dir}, nil
}

func (c component) programs() []string {
	var names []string
	for _, p := range c.packages {
		if p == "." {
			p = c.name
		}
		names = append(names, filepath.Base(p))
	}
	for _, a := range c.archives {
		names = append(names, a.name)
	}
	return append(names, c.links...)
}

// key identifies what a build would produce: the module's files, the toolchain,
// the platform, and the flags.
func (c component) key(goVersion string) (string, error) {
	sum := sha256.New()
	fmt.Fprintln(sum, goVersion, runtime.GOOS, runtime.GOARCH, c.packages, c.tags, c.ldflags, c.cgo, c.links, c.archives)
	err := c.eachFile(func(name string, data []byte) error {
		fmt.Fprintln(sum, name, len(data))
		_, err := sum.Write(data)
		return err
	})
	return hex.EncodeToString(sum.Sum(nil))[:16], err
}

func (c component) eachFile(do func(name string, data []byte) error) error {
	entries, err := fs.ReadDir(modules, c.name)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		data, err := fs.ReadFile(modules, c.name+"/"+entry.Name())
		if err != nil {
			return err
		}
		if err := do(strings.TrimSuffix(entry.Name(), ".txt"), data); err != nil {
			return err
		}
	}
	return nil
}

// make builds the component into dir. It happens aside and is renamed when it is
// whole, so an interrupt loses one component at most.
func (c component) make(ctx context.Context, dir, label string, out io.Writer) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	aside, err := os.MkdirTemp(filepath.Dir(dir), "."+c.name+"-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(aside) }() // gone by its new name if all went well
	if err := c.build(ctx, aside, label, out); err != nil {
		return err
	}
	if err := writeSums(aside); err != nil {
		return err
	}
	return os.Rename(aside, dir)
}

func (c component) build(ctx context.Context, target, label string, out io.Writer) error {
	source := filepath.Join(target, "src")
	if err := os.Mkdir(source, 0o700); err != nil {
		return err
	}
	err := c.eachFile(func(name string, data []byte) error {
		return os.WriteFile(filepath.Join(source, name), data, 0o600)
	})
	if err != nil {
		return err
	}
	cgo := "0"
	if c.cgo {
		cgo = "1"
	}
	arguments := []string{"build", "-v", "-trimpath", "-buildvcs=false", "-tags", c.tags, "-ldflags", "-s -w " + c.ldflags, "-o", target + "/"}
	build := exec.CommandContext(ctx, "go", append(arguments, c.packages...)...)
	build.Dir = source
	build.Env = append(os.Environ(), "CGO_ENABLED="+cgo, "GOFLAGS=", "GOWORK=off")
	build.Cancel = func() error { return build.Process.Signal(os.Interrupt) }
	if err := runWithProgress(build, label, out); err != nil {
		return fmt.Errorf("component %s could not be built: %w", c.name, err)
	}
	for _, a := range c.archives {
		if err := a.write(ctx, source, target); err != nil {
			return fmt.Errorf("component %s: packing %s: %w", c.name, a.name, err)
		}
	}
	for _, link := range c.links {
		if err := os.Symlink(c.name, filepath.Join(target, link)); err != nil {
			return err
		}
	}
	return os.RemoveAll(source)
}

// runWithProgress runs a verbose go build and counts the packages it names.
func runWithProgress(build *exec.Cmd, label string, out io.Writer) error {
	stderr, err := build.StderrPipe()
	if err != nil {
		return err
	}
	began := time.Now()
	fmt.Fprintf(out, "%s: building from its Go module\n", label)
	if err := build.Start(); err != nil {
		return fmt.Errorf("go could not be started: %w", err)
	}
	var tail []string
	compiled, reported := 0, time.Now()
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		if tail = append(tail, lines.Text()); len(tail) > 30 {
			tail = tail[1:]
		}
		compiled++
		if time.Since(reported) > 10*time.Second {
			fmt.Fprintf(out, "%s: %d packages, %.0f s\n", label, compiled, time.Since(began).Seconds())
			reported = time.Now()
		}
	}
	if err := build.Wait(); err != nil {
		return fmt.Errorf("%s: %w\n%s", build.String(), err, strings.Join(tail, "\n"))
	}
	fmt.Fprintf(out, "%s: built in %.0f s\n", label, time.Since(began).Seconds())
	return nil
}

// gather makes one folder of links to all programs, named by what it links.
func gather(cache string, components []component, built []string) (Programs, error) {
	sum := sha256.Sum256([]byte(strings.Join(built, "\n")))
	dir := filepath.Join(cache, "all-"+hex.EncodeToString(sum[:8]))
	if _, err := os.Stat(dir); err == nil {
		return Programs{dir: dir}, nil
	}
	aside, err := os.MkdirTemp(cache, ".all-")
	if err != nil {
		return Programs{}, err
	}
	defer func() { _ = os.RemoveAll(aside) }()
	for i, c := range components {
		for _, program := range c.programs() {
			// Hard links, so that the folder can be bound into a sandbox by itself.
			real, err := filepath.EvalSymlinks(filepath.Join(built[i], program))
			if err != nil {
				return Programs{}, err
			}
			if err := os.Link(real, filepath.Join(aside, program)); err != nil {
				return Programs{}, err
			}
		}
	}
	err = os.Rename(aside, dir)
	if _, there := os.Stat(dir); there == nil {
		err = nil // another process made the same one first
	}
	return Programs{dir: dir}, err
}

// CacheDir is the folder, its owner's alone, that built components live in.
func CacheDir() (string, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("no cache folder for the components; set HOME or XDG_CACHE_HOME: %w", err)
	}
	dir := filepath.Join(base, "cutover", "components")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	return dir, trusted(dir)
}

var errUntrusted = errors.New("others could change what is run from it")

// trusted refuses what somebody else than this user or root could have put there.
func trusted(path string) error {
	var stat unix.Stat_t
	if err := unix.Stat(path, &stat); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if own := uint32(os.Geteuid()); stat.Uid != own && stat.Uid != 0 || stat.Mode&0o022 != 0 {
		return fmt.Errorf("%s belongs to uid %d with mode %04o: %w; remove it, or chown it to uid %d and chmod go-w", path, stat.Uid, stat.Mode&0o7777, errUntrusted, own)
	}
	return nil
}

// Lock waits until nobody else changes the cache and returns the lock's release.
func Lock(ctx context.Context) (unlock func(), err error) {
	cache, err := CacheDir()
	if err != nil {
		return nil, err
	}
	path := filepath.Join(cache, "lock")
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, err
	}
	ticker := time.NewTicker(200 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { file.Close() }, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			file.Close()
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		select {
		case <-ctx.Done():
			file.Close()
			return nil, fmt.Errorf("gave up waiting for %s, which another build holds: %w", path, ctx.Err())
		case <-ticker.C:
		}
	}
}
