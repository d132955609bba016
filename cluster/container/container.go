package container

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"

	dockercontainer "github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/network"
	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/log"

	"github.com/cutover-dev/cutover/cluster/engine"
	"github.com/cutover-dev/cutover/cluster/image"
)

// Request is a container to run.
type Request struct {
	Name    string            // of its own on the engine
	Image   image.Image       // need not be on the engine
	Network string            // of the engine, which it joins
	Labels  map[string]string // by which it is found again; see [Remove]
	Env     map[string]string
	Command []string          // in place of the image's entrypoint
	Args    []string          // in place of the image's cmd
	Files   map[string]string // their content, by absolute path
	User    string            // in place of the image's
	Volumes []string          // folders to keep on a disk of its own, beside those of the image
	Ports   []Port
	Ready   Ready
}

// Port is one that takes connections once the container is ready. It is published on
// the loopback address of the engine's machine, and nowhere else.
type Port struct {
	Number int
	Host   int // the number there; a free one if 0
}

func (p Port) name() string { return strconv.Itoa(p.Number) + "/tcp" }

// Container is one that was made.
type Container struct {
	Name    string
	Address string // in its network
	made    testcontainers.Container
}

// Start makes the container and returns when it is ready. With an error it returns
// the container if there is one, for its log; removing it is the caller's, by the
// labels, also when nothing is returned.
func Start(ctx context.Context, r Request) (*Container, error) {
	configure()
	if err := provideImage(ctx, r.Image); err != nil {
		return nil, err
	}
	request, err := r.translate()
	if err != nil {
		return nil, err
	}
	made, err := testcontainers.GenericContainer(ctx, testcontainers.GenericContainerRequest{ContainerRequest: request, Started: true, Logger: log.NewNoopLogger()})
	if made == nil {
		return nil, fmt.Errorf("container %s cannot be made: %w", r.Name, err)
	}
	c := &Container{Name: r.Name, made: made}
	if err == nil {
		err = r.Ready.await(ctx, made, r.Ports)
	}
	if err == nil {
		err = c.learnAddress(ctx, r.Network)
	}
	if err != nil {
		return c, fmt.Errorf("container %s: %w%s", r.Name, err, c.lastWords(ctx))
	}
	return c, nil
}

// configure makes the library do what cutover means, whatever the environment says.
// Ports are published on the loopback address; kind's API servers are, too, so whoever
// reaches those reaches these. The library would guess another address wherever
// it believes to be in a container itself.
var configure = sync.OnceFunc(func() {
	for name, value := range map[string]string{"TESTCONTAINERS_RYUK_DISABLED": "true", "TESTCONTAINERS_HOST_OVERRIDE": loopback.String()} {
		_ = os.Setenv(name, value) // fails for names that are none
	}
	log.SetDefault(log.NewNoopLogger())
})

var loopback = netip.AddrFrom4([4]byte{127, 0, 0, 1})

func provideImage(ctx context.Context, img image.Image) error {
	has, err := engine.HasImage(ctx, img.Ref)
	if err != nil || has {
		return err
	}
	return engine.LoadImage(ctx, img.Ref, img.Image)
}

// translate puts the request in the library's words.
func (r Request) translate() (testcontainers.ContainerRequest, error) {
	volumes, err := r.volumes()
	if err != nil {
		return testcontainers.ContainerRequest{}, err
	}
	request := testcontainers.ContainerRequest{
		Name: r.Name, Image: r.Image.Ref, Labels: maps.Clone(r.Labels), Networks: []string{r.Network},
		Env: r.Env, Entrypoint: r.Command, Cmd: r.Args,
		ConfigModifier: func(c *dockercontainer.Config) {
			c.User = cmp.Or(r.User, c.User)
		},
	}
	published := network.PortMap{}
	for _, p := range r.Ports {
		request.ExposedPorts = append(request.ExposedPorts, p.name())
		published[network.MustParsePort(p.name())] = []network.PortBinding{{HostIP: loopback, HostPort: strconv.Itoa(p.Host)}}
	}
	request.HostConfigModifier = func(c *dockercontainer.HostConfig) {
		c.PortBindings, c.Mounts = published, volumes
	}
	for _, path := range slices.Sorted(maps.Keys(r.Files)) {
		request.Files = append(request.Files, testcontainers.ContainerFile{Reader: strings.NewReader(r.Files[path]), ContainerFilePath: path, FileMode: 0o644})
	}
	return request, nil
}

// volumes are those that the image wants, and the request's own. The engine would
// make them, too, but without labels, and nobody could tell later whose they were.
func (r Request) volumes() ([]mount.Mount, error) {
	config, err := r.Image.ConfigFile()
	if err != nil {
		return nil, fmt.Errorf("read the configuration of image %s: %w", r.Image.Ref, err)
	}
	paths := slices.Concat(slices.Collect(maps.Keys(config.Config.Volumes)), r.Volumes)
	slices.Sort(paths)
	var mounts []mount.Mount
	for _, path := range slices.Compact(paths) {
		// Without a name it goes with its container.
		mounts = append(mounts, mount.Mount{Type: mount.TypeVolume, Target: path, VolumeOptions: &mount.VolumeOptions{Labels: r.Labels}})
	}
	return mounts, nil
}

// learnAddress also finds out that the network was not there: the library then takes
// another one and says nothing.
func (c *Container) learnAddress(ctx context.Context, name string) error {
	if err := running(ctx, c.made); err != nil {
		return err
	}
	seen, err := c.made.Inspect(ctx)
	if err != nil {
		return err
	}
	endpoint, joined := seen.NetworkSettings.Networks[name]
	if !joined || !endpoint.IPAddress.IsValid() {
		return fmt.Errorf("it has no address in network %s: is there such a network (`docker network ls`)?", name)
	}
	c.Address = endpoint.IPAddress.String()
	return nil
}

// Published is where a port of it is reached from this machine.
func (c *Container) Published(ctx context.Context, p Port) (string, error) {
	port, err := c.made.MappedPort(ctx, p.name())
	if err != nil {
		return "", fmt.Errorf("container %s: %w", c.Name, err)
	}
	return net.JoinHostPort(loopback.String(), port.Port()), nil
}

// maxLog bounds what is read of a log.
const maxLog = 1 << 20

// Log is the beginning of what it printed, up to 1 MiB.
func (c *Container) Log(ctx context.Context) ([]byte, error) {
	stream, err := c.made.Logs(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the log of container %s: %w", c.Name, err)
	}
	defer stream.Close()
	return io.ReadAll(io.LimitReader(stream, maxLog))
}

// lastWords are the last lines of its log, for an error; the context of what failed
// may be over.
func (c *Container) lastWords(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	log, err := c.Log(ctx)
	text := strings.TrimSpace(string(log))
	if err != nil || text == "" {
		return "\nit printed nothing"
	}
	lines := strings.Split(text, "\n")
	return "\nit printed last:\n  " + strings.Join(lines[max(0, len(lines)-10):], "\n  ")
}
