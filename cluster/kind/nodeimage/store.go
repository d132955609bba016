package nodeimage

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
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

// fillStore makes root what a node's containerd starts with.
func fillStore(ctx context.Context, work, root, proxy string, programs components.Programs) error {
	names, err := kubeadmImages(ctx, programs)
	if err != nil {
		return err
	}
	images, err := nodeImages(ctx, filepath.Join(work, "kube"), proxy, names, programs)
	if err != nil {
		return err
	}
	// The layers are there unpacked; nobody asks for them again.
	return imagestore.Fill(ctx, programs, root, images, "--local", "--discard-unpacked-layers", "--label=io.cri-containerd.pinned=pinned")
}

// nodeImages are those that a node has from its start. kube is a folder to make one
// in; it must outlive them.
func nodeImages(ctx context.Context, kube, proxy string, names map[string]string, programs components.Programs) ([]imagestore.Image, error) {
	plain, withTools, err := kubeImages(kube, proxy, programs)
	if err != nil {
		return nil, err
	}
	images := []imagestore.Image{{Reference: names["kube-proxy"], Image: withTools}}
	for _, role := range controlPlane {
		images = append(images, imagestore.Image{Reference: names[role], Image: plain})
	}
	for program, reference := range map[string]string{"pause": pauseImage, "kind-network": networkImage, "coredns": names["coredns"]} {
		img, err := image.FromBinary(ctx, program, programs.Path(program), nil)
		if err != nil {
			return nil, err
		}
		images = append(images, imagestore.Image{Reference: reference, Image: img})
	}
	for _, img := range images {
		if img.Reference == "" {
			return nil, errors.New("`kubeadm config images list` does not name the image of every role")
		}
	}
	return images, nil
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
		path, _, _ := strings.Cut(reference, ":")
		names[path[strings.LastIndexByte(path, '/')+1:]] = reference
	}
	return names
}
