package container

import (
	"context"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cutover-dev/cutover/cluster/engine"
	"github.com/cutover-dev/cutover/cluster/image"
)

// program is where the image of testdata/server has it.
const program = "/app/server"

// rig is a network of the engine, an image, and labels of this test.
type rig struct {
	network string
	image   image.Image
	labels  map[string]string
}

// newRig skips where no engine answers.
func newRig(t *testing.T) rig {
	t.Helper()
	if testing.Short() {
		t.Skip("starts containers")
	}
	if _, err := engine.Ask(t.Context()); err != nil {
		t.Skip(err)
	}
	built, err := image.Build(t.Context(), "ko://./cluster/container/testdata/server", image.Options{CacheDir: t.TempDir(), Dir: "../..", TempDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("cutover-test-%d-%s", os.Getpid(), strings.ToLower(t.Name()))
	if _, err := engine.Run(t.Context(), "network", "create", name); err != nil {
		t.Fatal(err)
	}
	r := rig{network: name, image: built, labels: map[string]string{OwnerLabel: name, "dev.cutover.test": "yes"}}
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		if err := Remove(ctx, r.labels); err != nil {
			t.Error(err)
		}
		if _, err := engine.Run(ctx, "network", "rm", name); err != nil {
			t.Error(err)
		}
		_, _ = engine.Run(ctx, "image", "rm", r.image.Ref) // another test may still use it
	})
	return r
}

func (r rig) request(name string, args ...string) Request {
	return Request{Name: r.network + "-" + name, Image: r.image, Network: r.network, Labels: r.labels, Args: args, Ready: Ready{Timeout: 30 * time.Second}}
}

var (
	http = Port{Number: 8080}
	ask  = []string{program, "-ask", "http://127.0.0.1:8080/fine"}
)

func TestReady(t *testing.T) {
	r := newRig(t)
	for _, row := range []struct {
		name  string
		args  []string
		ports []Port
		ready Ready
		least time.Duration // that it takes
	}{
		// Nothing is asked for: it runs.
		{"runs", nil, nil, Ready{}, 0},
		// The engine's proxy takes connections from the start. It must not be believed.
		{"port", []string{"-listen", ":8080", "-after", "2s"}, []Port{http}, Ready{}, 2 * time.Second},
		// What it prints.
		{"log", []string{"-after", "1s", "-listen", ":8080"}, nil, Ready{Log: "about to listen", Times: 1}, time.Second},
		// An answer.
		{"http", []string{"-listen", ":8080", "-after", "1s"}, []Port{http}, Ready{Path: "/fine", Port: http}, time.Second},
		// A command inside.
		{"exec", []string{"-listen", ":8080", "-after", "1s"}, nil, Ready{Exec: ask}, time.Second},
	} {
		t.Run(row.name, func(t *testing.T) {
			request := r.request(row.name, row.args...)
			row.ready.Timeout = request.Ready.Timeout
			request.Ports, request.Ready = row.ports, row.ready
			began := time.Now()
			c, err := Start(t.Context(), request)
			if err != nil {
				t.Fatal(err)
			}
			if took := time.Since(began); took < row.least {
				t.Errorf("ready after %s, before it can have been", took)
			}
			if net.ParseIP(c.Address) == nil {
				t.Errorf("its address is %q", c.Address)
			}
		})
	}
}

// What never becomes ready must say what was missing, and what it said itself.
func TestNotReady(t *testing.T) {
	r := newRig(t)
	for _, row := range []struct {
		name  string
		args  []string
		ports []Port
		ready Ready
		want  []string
	}{
		{"silent", nil, []Port{http}, Ready{}, []string{"in vain, for port 8080 to take connections", "started with"}},
		// The exit is known long before the time is over.
		{"ends", []string{"-exit", "3"}, []Port{http}, Ready{}, []string{"exit code 3", "cannot go on"}},
		{"too-rare", nil, nil, Ready{Log: "started", Times: 2}, []string{`its log to hold "started" 2 times`}},
		{"bad-answer", []string{"-listen", ":8080"}, []Port{http}, Ready{Path: "/ill", Port: http}, []string{"GET /ill on port 8080 to be answered with 2xx"}},
		{"command-fails", nil, nil, Ready{Exec: ask}, []string{`/fine"] in it to succeed`}},
	} {
		t.Run(row.name, func(t *testing.T) {
			request := r.request(row.name, row.args...)
			request.Ports, request.Ready = row.ports, row.ready
			request.Ready.Timeout = 3 * time.Second
			_, err := Start(t.Context(), request)
			if err == nil {
				t.Fatal("it is said to be ready")
			}
			for _, want := range row.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("no %q in the error:\n%v", want, err)
				}
			}
		})
	}
}

func TestNetworkThatIsNotThere(t *testing.T) {
	r := newRig(t)
	request := r.request("lost")
	request.Network = r.network + "-nowhere"
	if _, err := Start(t.Context(), request); err == nil || !strings.Contains(err.Error(), "-nowhere") {
		t.Errorf("got %v", err)
	}
}

func TestEnvironmentAndFiles(t *testing.T) {
	r := newRig(t)
	request := r.request("files", "-show", "/etc/greeting/of.txt")
	request.Env, request.Files = map[string]string{"GREETING": "good morning"}, map[string]string{"/etc/greeting/of.txt": "from a file"}
	request.Ready = Ready{Log: "from a file", Times: 1, Timeout: 10 * time.Second}
	c, err := Start(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	log, err := c.Log(t.Context())
	if err != nil || !strings.Contains(string(log), "good morning") {
		t.Errorf("%v: %s", err, log)
	}
}

func TestPublishedPort(t *testing.T) {
	r := newRig(t)
	request := r.request("published", "-listen", ":8080")
	request.Ports = []Port{http}
	c, err := Start(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	address, err := c.Published(t.Context(), http)
	if err != nil || !strings.HasPrefix(address, "127.0.0.1:") {
		t.Fatalf("published at %q: %v", address, err)
	}
	conn, err := net.DialTimeout("tcp", address, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}

func TestRemove(t *testing.T) {
	r := newRig(t)
	request := r.request("volumes")
	request.Volumes = []string{"/data"}
	if _, err := Start(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	left, err := List(t.Context(), r.labels)
	if err != nil || len(left) != 2 || !strings.HasPrefix(left[1], "volume/") {
		t.Fatalf("the engine has %v: %v", left, err)
	}
	for owner, want := range map[string][]string{r.network: {"yes"}, r.network + "-other": nil} {
		if got, err := Values(t.Context(), "dev.cutover.test", map[string]string{OwnerLabel: owner}); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s has %v: %v", owner, got, err)
		}
	}
	for range 2 { // an undo may be called again
		if err := Remove(t.Context(), r.labels); err != nil {
			t.Fatal(err)
		}
	}
	if left, err := List(t.Context(), r.labels); err != nil || len(left) > 0 {
		t.Errorf("left: %v: %v", left, err)
	}
	// A mistake that would remove everything.
	if err := Remove(t.Context(), nil); err == nil {
		t.Error("removing without a label is not refused")
	}
}
