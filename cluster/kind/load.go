package kind

import (
	"context"
	"fmt"
	"io"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"

	"github.com/cutover-dev/cutover/cluster/engine"
	"github.com/cutover-dev/cutover/cluster/image"
)

// LoadImage implements cluster.Cluster. An image is loaded once.
func (c *Cluster) LoadImage(ctx context.Context, reference string, img v1.Image) error {
	c.loading.Lock()
	defer c.loading.Unlock()
	if err := c.look(ctx); err != nil {
		return err
	}
	if c.loaded[reference] {
		return nil
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, n := range c.nodes {
		group.Go(func() error { return n.load(ctx, c.snapshotter, reference, img) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	c.loaded[reference] = true
	return nil
}

// look finds out, once, how the nodes keep images, and which they came with. All of
// them are alike.
func (c *Cluster) look(ctx context.Context) error {
	if c.snapshotter != "" {
		return nil
	}
	first := c.nodes[0]
	dumped, err := first.run(ctx, "containerd", "config", "dump")
	if err != nil {
		return fmt.Errorf("ask containerd how it keeps images: %w", err)
	}
	c.loaded = map[string]bool{}
	if BuiltHere(c.spec.Image) {
		listed, err := first.run(ctx, "cat", "/kind/images")
		if err != nil {
			return err
		}
		for _, reference := range strings.Fields(listed) {
			c.loaded[reference] = true
		}
	}
	c.snapshotter, err = parseSnapshotter(dumped)
	return err
}

// parseSnapshotter finds the one that pods' images are unpacked with: nodes on some
// file systems cannot have overlayfs. It is named in several places, alike or not at
// all.
func parseSnapshotter(dumped string) (string, error) {
	for line := range strings.Lines(dumped) {
		key, value, found := strings.Cut(line, "=")
		value = strings.Trim(strings.TrimSpace(value), `"'`)
		if found && strings.TrimSpace(key) == "snapshotter" && value != "" {
			return value, nil
		}
	}
	return "", fmt.Errorf("the configuration of containerd names no snapshotter")
}

func (n node) load(ctx context.Context, snapshotter, reference string, img v1.Image) error {
	read, write := io.Pipe()
	defer read.Close()
	go func() { write.CloseWithError(image.WriteArchive(write, reference, img)) }()
	_, err := engine.Feed(ctx, read, "exec", "--interactive", n.id, "ctr", "--namespace", "k8s.io",
		"images", "import", "--all-platforms", "--digests", "--snapshotter", snapshotter, "-")
	if err != nil {
		return fmt.Errorf("load image %s into node %s: %w", reference, n.name, err)
	}
	return nil
}

// run runs a command on the node and returns what it printed.
func (n node) run(ctx context.Context, command ...string) (string, error) {
	return engine.Run(ctx, append([]string{"exec", n.id}, command...)...)
}
