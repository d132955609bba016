package kind

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"golang.org/x/sys/unix"
	"sigs.k8s.io/kind/pkg/apis/config/defaults"

	"github.com/cutover-dev/cutover/cluster/engine"
	"github.com/cutover-dev/cutover/cluster/kind/nodeimage"
)

// nodeImage is what the containers of a cluster run.
type nodeImage struct {
	reference string
	ours      bool // built here
}

// reachable is how long a registry may take to say that it has an image.
const reachable = 5 * time.Second

// chooseImage finds the image of the nodes and makes sure that it is on this machine
// or can be pulled: kind would try for half a minute.
func chooseImage(ctx context.Context) (nodeImage, error) {
	named := os.Getenv("KIND_NODE_IMAGE")
	if named == "" {
		has, err := engine.HasImage(ctx, nodeimage.Current)
		if err != nil || has {
			return nodeImage{nodeimage.Current, true}, err
		}
	}
	published := cmp.Or(named, defaults.Image)
	has, err := engine.HasImage(ctx, published)
	if err != nil || has {
		return nodeImage{reference: published, ours: BuiltHere(published)}, err
	}
	if err := askRegistry(ctx, published); err != nil {
		return nodeImage{}, fmt.Errorf("the image of kind's nodes, %s, is not on this machine and its registry cannot be asked for it; build one with `make node-image`, which needs no registry, or see to it that the registry can be reached (if only the engine reaches it, by a mirror or a proxy: `docker pull %s`): %w", published, published, err)
	}
	return nodeImage{reference: published}, nil
}

// BuiltHere tells a node image that was built here, and with it a cluster for which
// nothing is pulled, by the name that such images have.
func BuiltHere(reference string) bool {
	parsed, err := name.ParseReference(reference)
	if err != nil {
		return false
	}
	own, err := name.ParseReference(nodeimage.Current)
	return err == nil && parsed.Context() == own.Context()
}

// askRegistry asks for the image without pulling it.
func askRegistry(ctx context.Context, reference string) error {
	parsed, err := name.ParseReference(reference)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, reachable)
	defer cancel()
	_, err = remote.Head(parsed, remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain))
	return err
}

// Usable says whether a cluster can be had here: which image its nodes would have, or
// why there can be none. It takes seconds at most.
func Usable(ctx context.Context) (image string, err error) {
	facts, err := engine.Ask(ctx)
	if err != nil {
		return "", err
	}
	if err := requireHere(facts); err != nil {
		return "", err
	}
	chosen, err := chooseImage(ctx)
	return chosen.reference, err
}

// requireHere refuses an engine on another machine, such as Docker Desktop's: the
// network of its containers cannot be entered from here.
func requireHere(facts engine.Facts) error {
	own, err := kernel()
	if err == nil && own != facts.Kernel {
		err = fmt.Errorf("the container engine runs on another machine (kernel %s, here %s), and the network of its containers cannot be entered from here: run cutover there", facts.Kernel, own)
	}
	return err
}

func kernel() (string, error) {
	var name unix.Utsname
	err := unix.Uname(&name)
	return unix.ByteSliceToString(name.Release[:]), err
}
