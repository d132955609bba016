package chaosmesh

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/cutover-dev/cutover/cluster/image"
)

// Programs finds built programs by their names.
type Programs interface{ Path(program string) string }

// The images are made of these programs, which are components of cutover.
const (
	controllerProgram = "chaos-controller-manager"
	daemonProgram     = "chaos-daemon"
	toolsProgram      = "chaos-tools"
	pauseProgram      = "pause"
)

// bin is where Chaos Mesh looks for its programs, and its chart too.
const bin = "/usr/local/bin/"

// images are what runs in the cluster.
type images struct {
	controller, daemon, pause image.Image
}

// pack makes the images of built programs. The daemon does its work with programs of
// a Linux distribution, which debian is a folder of.
func pack(programs Programs, debian string) (images, error) {
	if err := holdsTools(debian); err != nil {
		return images{}, err
	}
	var made images
	for _, one := range []struct {
		into    *image.Image
		name    string
		packing image.Packing
	}{
		{&made.controller, "chaos-mesh", image.Packing{
			Entrypoint: []string{bin + controllerProgram},
			Programs:   map[string]string{bin + controllerProgram: programs.Path(controllerProgram)},
		}},
		{&made.daemon, "chaos-daemon", daemonImage(programs, debian)},
		{&made.pause, "pause", image.Packing{
			Entrypoint: []string{"/pause"},
			Programs:   map[string]string{"/pause": programs.Path(pauseProgram)},
		}},
	} {
		packed, err := image.Pack(one.packing)
		if err != nil {
			return images{}, fmt.Errorf("making the image %s of Chaos Mesh: %w", one.name, err)
		}
		if *one.into, err = image.Named(one.name, packed.Image); err != nil {
			return images{}, err
		}
	}
	return made, nil
}

// daemonImage puts the daemon, and what no package brings, on top of the folder.
func daemonImage(programs Programs, debian string) image.Packing {
	return image.Packing{
		Roots:      []string{debian},
		Owner:      &image.Owner{}, // root, whoever unpacked the folder
		Entrypoint: []string{bin + daemonProgram},
		Env:        []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
		Programs: map[string]string{
			bin + daemonProgram: programs.Path(daemonProgram),
			bin + "nsexec":      programs.Path(toolsProgram),
			bin + "pause":       programs.Path(toolsProgram),
			bin + "memStress":   programs.Path(toolsProgram),
			// The name that Debian gives it when the package is installed. It is the
			// older iptables, which Chaos Mesh's own image uses too.
			"/usr/sbin/iptables": filepath.Join(debian, legacyIptables),
		},
	}
}

const legacyIptables = "usr/sbin/xtables-legacy-multi"

// tools are what the daemon needs of the folder that its image is made of: what it
// starts for network and stress, what reads and joins cgroups of version 2, and where
// iptables keeps its lock.
var tools = []string{"run", legacyIptables, "usr/sbin/ipset", "usr/sbin/tc", "usr/bin/ip", "usr/bin/stress-ng", "usr/bin/nsenter", "usr/bin/choom", "usr/bin/cat", "usr/bin/sh"}

// holdsTools says at once what the daemon would say at the first fault.
func holdsTools(debian string) error {
	for _, tool := range tools {
		_, err := os.Lstat(filepath.Join(debian, tool))
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("the image of Chaos Mesh's daemon cannot be made: %s is not in %s; run `make chaos-mesh-images` in cutover's source, on a machine with apt, or let clusters pull the published images", filepath.Base(tool), debian)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
