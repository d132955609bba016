package nodeimage

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/cutover-dev/cutover/cluster/embedded/components"
	"github.com/cutover-dev/cutover/cluster/image"
	"github.com/cutover-dev/cutover/cluster/imagestore"
)

// Images that have no name of kubeadm's.
const (
	pauseImage   = "cutover.local/pause:1"
	networkImage = "cutover.local/kind-network:1"
)

// controlPlane are the roles that kubeadm gives to kube, each in an image of its own
// name. They are one image here.
var controlPlane = []string{"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"}

// imaged are the programs that are images of their own, by the name that theirs has:
// kubeadm's, ours, or none but the one that its content gives it.
var imaged = map[string]string{"coredns": "", "pause": pauseImage, "kind-network": networkImage, "traefik": ""}

// nodeImages are those that a node has from its start. kube is a folder to make one
// in; it must outlive them.
func nodeImages(ctx context.Context, kube, proxy string, programs components.Programs) ([]imagestore.Image, error) {
	names, err := kubeadmImages(ctx, programs)
	if err != nil {
		return nil, err
	}
	plain, withTools, err := kubeImages(kube, proxy, programs)
	if err != nil {
		return nil, err
	}
	images := []imagestore.Image{{Reference: names["kube-proxy"], Image: withTools}}
	for _, role := range controlPlane {
		images = append(images, imagestore.Image{Reference: names[role], Image: plain})
	}
	for _, img := range images {
		if img.Reference == "" {
			return nil, fmt.Errorf("`kubeadm config images list` does not name the image of every role: %v", names)
		}
	}
	for _, program := range slices.Sorted(maps.Keys(imaged)) {
		img, err := image.FromBinary(ctx, program, programs.Path(program), nil)
		if err != nil {
			return nil, err
		}
		images = append(images, imagestore.Image{Reference: cmp.Or(imaged[program], names[program], img.Ref), Image: img.Image})
	}
	return images, nil
}

// list is the file that tells a cluster which images its nodes came with.
func list(images []imagestore.Image) []byte {
	var text strings.Builder
	for _, img := range images {
		fmt.Fprintln(&text, img.Reference)
	}
	return []byte(text.String())
}

// kubeImages are the control plane's image, and the one for kube-proxy, which calls
// programs. The greater part, kube itself, is a layer that both have.
func kubeImages(dir, proxy string, programs components.Programs) (plain, withTools v1.Image, err error) {
	if err := copyProgram(programs.Path("kube"), filepath.Join(dir, programsDir, "kube")); err != nil {
		return nil, nil, err
	}
	for _, role := range append([]string{"kube-proxy"}, controlPlane...) {
		if err := os.Symlink("kube", filepath.Join(dir, programsDir, role)); err != nil {
			return nil, nil, err
		}
	}
	pack := func(roots ...string) (v1.Image, error) {
		packed, err := image.Pack(image.Packing{Roots: roots, Owner: &image.Owner{}, Cmd: []string{"/" + programsDir + "/kube"}})
		return packed.Image, err
	}
	if plain, err = pack(dir); err != nil {
		return nil, nil, err
	}
	withTools, err = pack(dir, proxy)
	return plain, withTools, err
}

// kubeadmImages asks kubeadm which images it will ask for, by their last name.
func kubeadmImages(ctx context.Context, programs components.Programs) (map[string]string, error) {
	command := exec.CommandContext(ctx, programs.Path("kubeadm"), "config", "images", "list", "--kubernetes-version", components.KubernetesVersion)
	printed, err := command.Output()
	if err != nil {
		var ended *exec.ExitError
		if errors.As(err, &ended) {
			err = fmt.Errorf("%w\n%s", err, ended.Stderr)
		}
		return nil, fmt.Errorf("ask kubeadm for its images: %w", err)
	}
	return byLastName(string(printed)), nil
}

func byLastName(references string) map[string]string {
	names := map[string]string{}
	for _, reference := range strings.Fields(references) {
		name, _, _ := strings.Cut(path.Base(reference), ":")
		names[name] = reference
	}
	return names
}
