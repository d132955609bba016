package inside

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The test's own program stands in for cutover.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == Command {
		code, err := Init(os.Stdin)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		os.Exit(code)
	}
	os.Exit(m.Run())
}

// network is one that holds nothing but a loopback, kept by a process that sleeps.
type network struct{ pid int }

func (n network) Entrance() []string                               { return []string{fmt.Sprintf("--net=/proc/%d/ns/net", n.pid)} }
func (network) ListenInside(context.Context) (net.Listener, error) { return nil, nil }

func newNetwork(t *testing.T) network {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: it makes namespaces")
	}
	keeper := exec.CommandContext(t.Context(), "unshare", "--net", "sh", "-c", "echo; exec sleep 600")
	ready, err := keeper.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := keeper.Start(); err != nil {
		t.Skip("needs unshare, of util-linux:", err)
	}
	t.Cleanup(func() { _, _ = keeper.Process.Kill(), keeper.Wait() })
	if _, err := ready.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	return network{keeper.Process.Pid}
}

// output is safe to read while a program writes.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

func start(t *testing.T, script string) (*Process, *output) {
	t.Helper()
	n, dir := newNetwork(t), t.TempDir()
	file := filepath.Join(dir, "script")
	if err := os.WriteFile(file, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	resolver := filepath.Join(dir, "resolv.conf")
	if err := os.WriteFile(resolver, []byte("nameserver 10.96.0.10\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	out := &output{}
	p, err := Start(t.Context(), n, os.Args[0], Program{
		Path: file, Args: []string{"one", "two words"}, Dir: dir, Env: []string{"PATH=/usr/bin:/bin", "GREETING=hello"}, Resolver: resolver,
		Stdout: out, Stderr: out,
	})
	if err != nil {
		t.Fatal(err)
	}
	return p, out
}

func awaitOutput(t *testing.T, out *output, want string) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !strings.Contains(out.String(), want); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%q was not said: %s", want, out)
		}
	}
}

func TestAProgramRunsInside(t *testing.T) {
	t.Setenv("CUTOVER_TEST_SECRET", "hunter2")
	p, out := start(t, `#!/bin/sh
echo "$GREETING $1 $2"; cat /etc/resolv.conf; pwd; ls /sys/class/net >/dev/null; cat /proc/net/dev
cat /proc/*/environ | tr '\0' '\n'
exit 7`)
	code, err := p.Wait()
	if code != 7 || err != nil {
		t.Errorf("ended with %d, %v", code, err)
	}
	for _, want := range []string{"hello one two words", "nameserver 10.96.0.10", "lo:"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in %s", want, out)
		}
	}
	if strings.Contains(out.String(), "hunter2") || strings.Contains(out.String(), "eth0:") {
		t.Errorf("it sees this process's environment or network: %s", out)
	}
	if own, err := os.ReadFile("/etc/resolv.conf"); err == nil && strings.Contains(string(own), "10.96.0.10") {
		t.Error("everybody else has the cluster's DNS too")
	}
}

func TestExitCodes(t *testing.T) {
	for _, c := range []struct {
		script string
		code   int
		says   string
	}{
		{"#!/bin/sh\nexit 0", 0, ""},
		{"#!/bin/sh\nkill -TERM $$", 128 + 15, ""},
		{"#!/no/such/shell\n", cannotStart, "first line"},
		{"no first line", cannotStart, "#!/bin/sh"},
	} {
		p, out := start(t, c.script)
		if code, err := p.Wait(); code != c.code || err != nil || !strings.Contains(out.String(), c.says) {
			t.Errorf("%q: %d, %v, %s", c.script, code, err, out)
		}
	}
}

// What runs on in the background, in a session of its own, is ended too.
func TestKillEndsAllOfIt(t *testing.T) {
	marker := filepath.Join(t.TempDir(), "lock")
	p, out := start(t, `#!/bin/sh
exec 9>`+marker+`
setsid sh -c 'flock 9; echo away; exec sleep 600' &
sleep 600`)
	awaitOutput(t, out, "away")
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	if code, err := p.Wait(); code != killed || err != nil {
		t.Errorf("ended with %d, %v; want %d", code, err, killed)
	}
	lock, err := os.Open(marker)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		t.Errorf("something of it still runs: %v", err)
	}
	if err := p.Kill(); err != nil {
		t.Errorf("killed again: %v", err)
	}
}

func TestWhatABackgroundProcessHoldsDoesNotKeepTheProgram(t *testing.T) {
	p, _ := start(t, "#!/bin/sh\nsleep 600 &\nexit 3")
	select {
	case <-p.Ended():
	case <-time.After(10 * time.Second):
		t.Fatal("it does not end")
	}
	if code, err := p.Wait(); code != 3 || err != nil {
		t.Errorf("ended with %d, %v", code, err)
	}
}

func TestAnInterruptedProgramHasTimeToTidyUp(t *testing.T) {
	p, out := start(t, `#!/bin/sh
trap 'echo tidied up; exit 3' TERM
echo ready
sleep 600
`)
	awaitOutput(t, out, "ready")
	if err := p.Interrupt(); err != nil {
		t.Fatal(err)
	}
	if code, err := p.Wait(); code != 3 || err != nil || !strings.Contains(out.String(), "tidied up") {
		t.Errorf("it ended with %d, %v, and said %q", code, err, out)
	}
}
