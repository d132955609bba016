package nodeimage

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/cutover-dev/cutover/cluster/embedded/components"
	"github.com/cutover-dev/cutover/cluster/engine"
	"github.com/cutover-dev/cutover/cluster/image"
	"github.com/cutover-dev/cutover/cluster/imagestore"
)

// Repository holds all images of nodes that were built here.
const Repository = "cutover.local/kind-node"

// Current is the one that was built last for this release of Kubernetes. Beside this
// name each has one that tells its content.
const Current = Repository + ":" + components.KubernetesVersion

// Sources are folders that Debian packages were unpacked into, by hack/debian-root:
// those of kind-config/node/*.packages.
type Sources struct {
	Node  string
	Proxy string
}

// Build makes the node image and gives it to the container engine, which may have it
// already. It returns the name that tells the image's content.
func Build(ctx context.Context, from Sources, out io.Writer) (reference string, err error) {
	if _, err := engine.Ask(ctx); err != nil {
		return "", err
	}
	programs, err := components.Ensure(ctx, out, components.KindNode)
	if err != nil {
		return "", err
	}
	key, err := from.key(programs)
	if err != nil {
		return "", err
	}
	reference = Current + "-" + key
	has, err := engine.HasImage(ctx, reference)
	if err != nil {
		return "", err
	}
	if has {
		fmt.Fprintf(out, "node image  %s is there, and nothing that it is made of has changed\n", reference)
	} else if err := build(ctx, from, programs, reference, out); err != nil {
		return "", fmt.Errorf("build the node image: %w", err)
	}
	if _, err = engine.Run(ctx, "tag", reference, Current); err != nil {
		return "", err
	}
	return reference, removeOthers(ctx, reference)
}

// removeOthers takes away the images that this one replaces: each is most of a
// gigabyte. One that a cluster still runs stays until the next time.
func removeOthers(ctx context.Context, reference string) error {
	printed, err := engine.Run(ctx, "image", "ls", "--format", "{{.Repository}}:{{.Tag}}", Repository)
	if err != nil {
		return err
	}
	for _, other := range engine.Lines(printed) {
		if other != reference && other != Current {
			_, _ = engine.Run(ctx, "image", "rm", other) // see above
		}
	}
	return nil
}

// build puts the image together in a folder of the cache: it is some hundred
// megabytes, which the system's folder for such things may keep in memory.
func build(ctx context.Context, from Sources, programs components.Programs, reference string, out io.Writer) error {
	cache, err := components.CacheDir()
	if err != nil {
		return err
	}
	work, err := os.MkdirTemp(cache, ".node-image-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(work) }() // in our own cache
	ours, store := filepath.Join(work, "ours"), filepath.Join(work, "store")
	if err := layOut(ours, programs); err != nil {
		return err
	}
	images, err := nodeImages(ctx, filepath.Join(work, "kube"), from.Proxy, programs)
	if err != nil {
		return err
	}
	if err := write(filepath.Join(ours, "kind/images"), list(images), 0o644); err != nil {
		return err
	}
	fmt.Fprintln(out, "node image  importing what a control plane runs")
	// The layers are there unpacked; nobody asks for them again.
	if err := imagestore.Fill(ctx, programs, filepath.Join(store, "var/lib/containerd"), images, imagestore.DropLayers); err != nil {
		return err
	}
	packed, err := image.Pack(image.Packing{
		Roots: []string{from.Node, ours, store}, Owner: &image.Owner{},
		Entrypoint: []string{"/usr/local/bin/entrypoint"}, StopSignal: "SIGRTMIN+3",
		Env: []string{"container=docker", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "node image  giving %s to the container engine\n", reference)
	return engine.LoadImage(ctx, reference, packed.Image)
}
