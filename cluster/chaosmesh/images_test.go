package chaosmesh

import (
	"archive/tar"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// folder stands in for built programs.
type folder string

func (f folder) Path(program string) string { return filepath.Join(string(f), program) }

// fakePrograms are scripts under the names of the programs.
func fakePrograms(t *testing.T) folder {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{controllerProgram, daemonProgram, toolsProgram, pauseProgram} {
		writeProgram(t, filepath.Join(dir, name))
	}
	return folder(dir)
}

// fakeDebian holds the tools but for one.
func fakeDebian(t *testing.T, without string) string {
	t.Helper()
	dir := t.TempDir()
	for _, tool := range tools {
		if tool != without {
			writeProgram(t, filepath.Join(dir, tool))
		}
	}
	return dir
}

func writeProgram(t *testing.T, path string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(path), 0o755))
	must(t, os.WriteFile(path, []byte("#!/bin/sh\n# "+filepath.Base(path)+"\n"), 0o755))
}

func TestImagesHoldWhatIsStarted(t *testing.T) {
	made, err := pack(fakePrograms(t), fakeDebian(t, ""))
	must(t, err)
	for _, test := range []struct {
		name    string
		image   v1.Image
		program string
		want    map[string]string // path: the program it is
	}{
		{"controller", made.controller, "/usr/local/bin/chaos-controller-manager", map[string]string{
			"usr/local/bin/chaos-controller-manager": "chaos-controller-manager",
		}},
		// every name that the daemon starts something by
		{"daemon", made.daemon, "/usr/local/bin/chaos-daemon", map[string]string{
			"usr/local/bin/chaos-daemon": "chaos-daemon",
			"usr/local/bin/nsexec":       "chaos-tools",
			"usr/local/bin/pause":        "chaos-tools",
			"usr/local/bin/memStress":    "chaos-tools",
			"usr/sbin/iptables":          "xtables-legacy-multi",
			"usr/sbin/tc":                "tc",
			"usr/sbin/ipset":             "ipset",
			"usr/bin/stress-ng":          "stress-ng",
			"usr/bin/choom":              "choom",
		}},
		{"pause", made.pause, "/pause", map[string]string{"pause": "pause"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			config, err := test.image.ConfigFile()
			must(t, err)
			if !slices.Equal(config.Config.Entrypoint, []string{test.program}) {
				t.Errorf("it runs %v", config.Config.Entrypoint)
			}
			held := content(t, test.image)
			for path, program := range test.want {
				if !strings.HasSuffix(held[path], "# "+program+"\n") {
					t.Errorf("%s is %q, want %s", path, held[path], program)
				}
			}
		})
	}
}

// A tool that is missing is named before anything runs, and the way out with it.
func TestImagesNameTheMissingTool(t *testing.T) {
	for _, tool := range tools {
		_, err := pack(fakePrograms(t), fakeDebian(t, tool))
		if err == nil || !strings.Contains(err.Error(), filepath.Base(tool)+" is not in ") || !strings.Contains(err.Error(), "make chaos-mesh-images") {
			t.Errorf("without %s: %v", tool, err)
		}
	}
}

// content is every file of an image by its path.
func content(t *testing.T, img v1.Image) map[string]string {
	t.Helper()
	layers, err := img.Layers()
	must(t, err)
	files := map[string]string{}
	for _, layer := range layers {
		stream, err := layer.Uncompressed()
		must(t, err)
		for archive := tar.NewReader(stream); ; {
			header, err := archive.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			must(t, err)
			text, err := io.ReadAll(archive)
			must(t, err)
			files[header.Name] = string(text)
		}
		stream.Close()
	}
	return files
}
