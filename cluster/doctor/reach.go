package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// someModule is one that every proxy of the world has, and so do we.
const someModule = "github.com/google/uuid@v1.6.0"

// askForModule asks with an empty cache, or the network would not be asked at all.
func (m machine) askForModule(ctx context.Context) (err error) {
	cache, err := os.MkdirTemp("", "cutover-doctor-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(cache)) }()
	env := []string{"GOMODCACHE=" + cache, "GOFLAGS=-modcacherw", "GOWORK=off", "GOTOOLCHAIN=local"}
	_, err = m.run(ctx, env, "go", "list", "-m", someModule)
	return err
}

// engineSockets lists where docker and podman listen on this machine.
func engineSockets() []string {
	var sockets []string
	if path, ok := strings.CutPrefix(os.Getenv("DOCKER_HOST"), "unix://"); ok {
		sockets = append(sockets, path)
	}
	sockets = append(sockets, "/var/run/docker.sock", "/run/podman/podman.sock")
	if dir := os.Getenv("XDG_RUNTIME_DIR"); dir != "" {
		sockets = append(sockets, filepath.Join(dir, "docker.sock"), filepath.Join(dir, "podman/podman.sock"))
	}
	return sockets
}

func engine(ctx context.Context, m machine) Line {
	socket, version := m.findEngine(ctx)
	if socket == "" {
		return Line{
			Name: "engine", Status: Warn, Meaning: "no container engine answers: embedded clusters need none",
			Remedy: "for kind, install docker or podman and start it (Debian, Ubuntu: apt-get install docker.io)",
		}
	}
	return Line{Name: "engine", Status: OK, Meaning: fmt.Sprintf("version %s answers at %s: embedded clusters do not need it, kind clusters do", version, socket)}
}

// findEngine returns the first socket that answers.
func (m machine) findEngine(ctx context.Context) (socket, version string) {
	for _, socket := range m.sockets {
		var answer struct{ Version string }
		if err := askEngine(ctx, socket, "/version", &answer); err == nil {
			return socket, answer.Version
		}
	}
	return "", ""
}

// quick is how long somebody on the network has for an answer.
const quick = 2 * time.Second

func askEngine(ctx context.Context, socket, path string, answer any) error {
	var dialer net.Dialer
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return dialer.DialContext(ctx, "unix", socket)
	}}
	defer transport.CloseIdleConnections()
	response, err := ask(ctx, transport, "http://engine"+path)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("the engine answered %s", response.Status)
	}
	return json.NewDecoder(io.LimitReader(response.Body, 1<<20)).Decode(answer)
}

func ask(ctx context.Context, transport http.RoundTripper, address string) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	client := http.Client{Transport: transport, Timeout: quick}
	return client.Do(request)
}

const dockerHub = "https://registry-1.docker.io"

func registry(ctx context.Context, m machine) Line {
	if err := m.askRegistry(ctx); err != nil {
		return Line{
			Name: "registry", Status: Warn,
			Meaning: "no image registry can be reached: fine for embedded clusters, which build their images",
			Remedy:  "name app images by ko://, oci-archive: or docker-archive:; for kind, `make node-image` builds the nodes' image here",
		}
	}
	return Line{Name: "registry", Status: OK, Meaning: "images can be pulled"}
}

// askRegistry asks the engine's mirror if it has one, and Docker Hub otherwise.
func (m machine) askRegistry(ctx context.Context) error {
	address := m.registry
	if socket, _ := m.findEngine(ctx); socket != "" {
		var info struct{ RegistryConfig struct{ Mirrors []string } }
		if err := askEngine(ctx, socket, "/info", &info); err == nil && len(info.RegistryConfig.Mirrors) > 0 {
			address = strings.TrimSuffix(info.RegistryConfig.Mirrors[0], "/")
		}
	}
	response, err := ask(ctx, http.DefaultTransport, address+"/v2/")
	if err != nil {
		return err
	}
	defer response.Body.Close()
	// Some networks answer in everybody's name, with a page of their own.
	if response.Header.Get("Docker-Distribution-Api-Version") == "" {
		return errors.New("what answers is no registry")
	}
	return nil
}
