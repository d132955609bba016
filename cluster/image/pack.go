package image

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Packing says what an image made of folders holds and runs. The words are those of
// a Dockerfile.
type Packing struct {
	// Roots are folders that become layers, the lowest first: a file in a later one
	// takes the place of the same path in an earlier one.
	Roots []string
	// Programs are single executable files on this machine, by their paths in the
	// image. They belong to root and are the last layer.
	Programs map[string]string
	// Owner owns every file, if given; else files keep the owners they have here.
	Owner *Owner

	Entrypoint []string // the program and its first arguments
	Cmd        []string // more arguments, or the program if there is no entrypoint
	Env        []string // NAME=value
	User       string   // uid or uid:gid; root if empty
	Workdir    string   // absolute; / if empty
	Ports      []string // 8080 or 8080/tcp; for people to read
	StopSignal string   // asks the program to end, such as SIGQUIT; SIGTERM if empty
	Arch       string   // GOARCH of the programs in it; this machine's if empty
}

// Owner is a user and a group by number.
type Owner struct{ UID, GID int }

// Packed is an image made of folders.
type Packed struct {
	v1.Image
	Entries int // files, folders and links
	// LeftOut are paths that are neither files nor folders nor links: no layer
	// carries them.
	LeftOut []string
}

// Pack makes an image of folders and programs. Its digest is a function of their
// content, owners and modes alone. Files are read each time a layer is: the folders
// must outlive the image and stay as they are.
func Pack(p Packing) (Packed, error) {
	if p.Arch == "" {
		p.Arch = runtime.GOARCH
	}
	config, err := p.config()
	if err != nil {
		return Packed{}, err
	}
	if err := p.checkProgram(); err != nil {
		return Packed{}, err
	}
	var packed Packed
	var layers []v1.Layer
	for _, root := range p.Roots {
		layer, held, err := treeLayer(tree{root, p.Owner})
		if err != nil {
			return Packed{}, fmt.Errorf("packing %s: %w", root, err)
		}
		layers = append(layers, layer)
		packed.Entries += held.entries
		packed.LeftOut = append(packed.LeftOut, held.left...)
	}
	if len(p.Programs) > 0 {
		layer, err := newLayer(p.programs())
		if err != nil {
			return Packed{}, fmt.Errorf("packing programs: %w", err)
		}
		layers = append(layers, layer)
		packed.Entries += len(p.Programs)
	}
	packed.Image, err = scratch(p.Arch, config, layers...)
	return packed, err
}

func (p Packing) programs() []file {
	files := make([]file, 0, len(p.Programs))
	for _, inside := range slices.Sorted(maps.Keys(p.Programs)) {
		files = append(files, file{path: path.Clean("/" + inside), mode: 0o755, source: p.Programs[inside]})
	}
	return files
}

func treeLayer(t tree) (l *layer, held treeSummary, err error) {
	var first sync.Once // the layer is written each time that it is read, also at once
	l, err = layerOf(func(w io.Writer) error {
		found, err := t.write(w)
		first.Do(func() { held = found })
		return err
	})
	if err == nil && held.entries == 0 {
		err = errors.New("it is empty: name the folder that is to be / in the image")
	}
	return l, held, err
}

var (
	portForm = regexp.MustCompile(`^[1-9]\d{0,4}(/(tcp|udp))?$`)
	userForm = regexp.MustCompile(`^\d+(:\d+)?$`)
	stopForm = regexp.MustCompile(`^SIG[A-Z0-9+-]+$`)
)

func (p Packing) config() (v1.Config, error) {
	switch {
	case len(p.Roots)+len(p.Programs) == 0:
		return v1.Config{}, errors.New("no root: name the folder that is to be / in the image")
	case len(p.Entrypoint)+len(p.Cmd) == 0:
		return v1.Config{}, errors.New("nothing to run: name a program by entrypoint, and its arguments by cmd")
	case p.User != "" && !userForm.MatchString(p.User):
		return v1.Config{}, fmt.Errorf("user %q: write numbers, uid or uid:gid; clusters cannot tell of a name whether it is root", p.User)
	case p.Workdir != "" && !path.IsAbs(p.Workdir):
		return v1.Config{}, fmt.Errorf("workdir %q: write an absolute path", p.Workdir)
	case p.StopSignal != "" && !stopForm.MatchString(p.StopSignal):
		return v1.Config{}, fmt.Errorf("stop signal %q: write its name, such as SIGQUIT", p.StopSignal)
	}
	for _, variable := range p.Env {
		if name, _, ok := strings.Cut(variable, "="); !ok || name == "" {
			return v1.Config{}, fmt.Errorf("env %q: write NAME=value", variable)
		}
	}
	config := v1.Config{Entrypoint: p.Entrypoint, Cmd: p.Cmd, Env: p.Env, User: p.User, WorkingDir: p.Workdir, StopSignal: p.StopSignal}
	for _, port := range p.Ports {
		if !portForm.MatchString(port) {
			return v1.Config{}, fmt.Errorf("port %q: write a number such as 8080, or 8080/tcp", port)
		}
		if !strings.Contains(port, "/") {
			port += "/tcp"
		}
		if config.ExposedPorts == nil {
			config.ExposedPorts = map[string]struct{}{}
		}
		config.ExposedPorts[port] = struct{}{}
	}
	return config, nil
}
