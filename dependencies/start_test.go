package dependencies

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/cutover-dev/cutover/cluster/container"
	"github.com/cutover-dev/cutover/cluster/engine"
	"github.com/cutover-dev/cutover/cluster/image"
	"github.com/cutover-dev/cutover/history"
	"github.com/cutover-dev/cutover/safety"
)

// server is the program that the tests of containers use, too.
const server = "ko://./cluster/container/testdata/server"

// newPlace is a place in a network of its own; its pods are this machine. It skips
// where no engine answers.
func newPlace(t *testing.T) Place {
	t.Helper()
	if testing.Short() {
		t.Skip("starts containers")
	}
	if _, err := engine.Ask(t.Context()); err != nil {
		t.Skip(err)
	}
	run := fmt.Sprintf("test-%d-%s", os.Getpid(), strings.ToLower(t.Name()))
	if _, err := engine.Run(t.Context(), "network", "create", "cutover-"+run); err != nil {
		t.Fatal(err)
	}
	place := placeOf(t, run, t.TempDir())
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		if err := container.Remove(ctx, map[string]string{RunLabel: run}); err != nil {
			t.Error(err)
		}
		if _, err := engine.Run(ctx, "network", "rm", place.Network); err != nil {
			t.Error(err)
		}
		_, _ = engine.Run(ctx, "image", "rm", place.Images[server].Ref) // another test may still use it
	})
	return place
}

func placeOf(t *testing.T, run, ledgers string) Place {
	t.Helper()
	built, err := image.Build(t.Context(), server, image.Options{CacheDir: t.TempDir(), Dir: "..", TempDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	ledger, err := safety.OpenLedger(ledgers, run, safety.Header{}, Undoers())
	if err != nil {
		t.Fatal(err)
	}
	return Place{
		Run: run, Network: "cutover-" + run, Ledger: ledger, Ledgers: ledgers, Images: map[string]image.Image{server: built},
		Dial: func(ctx context.Context, address string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp", address)
		},
		Ready: func(history.Dependency) {},
	}
}

func listening(name string) Spec {
	return Spec{Name: name, Image: server, Ports: map[string]int{"http": 8080}, Args: []string{"-listen", ":8080"}, Wait: Wait{}.WithDefaults()}
}

func TestStartFillsInAndUndoes(t *testing.T) {
	place := newPlace(t)
	var told []history.Dependency
	place.Ready = func(d history.Dependency) { told = append(told, d) }
	second := listening("second")
	second.Env = map[string]string{"GREETING": "${dependencies.first.host}:${dependencies.first.port}"}
	second.Wait.HTTP = &HTTP{Path: "/fine"}
	running, err := Start(t.Context(), []Spec{listening("first"), second}, place)
	if err != nil {
		t.Fatal(err)
	}
	if len(told) != 2 || told[0].Address == "" || !strings.HasPrefix(told[0].Digest, "sha256:") || told[0].TookMs <= 0 {
		t.Errorf("told %+v", told)
	}
	if log := string(running.Logs(t.Context())["second"]); !strings.Contains(log, "started with "+told[0].Address+":8080") {
		t.Errorf("the second was not told of the first: %s", log)
	}
	if got, err := running.Values.Fill("${dependencies.second.host}"); err != nil || got != told[1].Address {
		t.Errorf("second is at %s: %v", got, err)
	}
	if left, err := Residue(t.Context(), place.Run); err != nil || len(left) != 2 {
		t.Errorf("before the undo: %v: %v", left, err)
	}
	undone(t, place)
}

func undone(t *testing.T, place Place) {
	t.Helper()
	if err := errors.Join(place.Ledger.Replay(t.Context(), nil), place.Ledger.Close()); err != nil {
		t.Fatal(err)
	}
	if left, err := Residue(t.Context(), place.Run); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v: %v", left, err)
	}
}

// One that is never ready is an error that says which, and is undone all the same.
func TestNeverReady(t *testing.T) {
	place := newPlace(t)
	silent := listening("silent")
	silent.Args, silent.Wait.Timeout = nil, history.Duration(2*time.Second)
	running, err := Start(t.Context(), []Spec{silent, listening("next")}, place)
	if err == nil || !strings.Contains(err.Error(), "dependency silent: ") || !strings.Contains(err.Error(), "started with") {
		t.Errorf("got %v", err)
	}
	if log := running.Logs(t.Context())["silent"]; len(log) == 0 {
		t.Error("its log is lost")
	}
	undone(t, place)
}

// That this machine reaches a dependency says nothing of the pods.
func TestUnreachableForPods(t *testing.T) {
	place := newPlace(t)
	place.Dial = func(context.Context, string) (net.Conn, error) { return nil, errors.New("no route to host") }
	if _, err := Start(t.Context(), []Spec{listening("cut-off")}, place); err == nil || !strings.Contains(err.Error(), "cannot be reached from the cluster") {
		t.Errorf("got %v", err)
	}
	undone(t, place)
}

// A process that is killed, at whatever instant, leaves a ledger by which another one
// removes the container and its volumes.
func TestKilled(t *testing.T) {
	if run := os.Getenv("CUTOVER_TEST_RUN"); run != "" {
		startUntilKilled(t, run)
		return
	}
	place := newPlace(t)
	if err := place.Ledger.Close(); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct{ why, at string }{
		{"while it is made", "about to start"},
		{"when it is ready", "ready"},
	} {
		t.Run(row.why, func(t *testing.T) {
			ledgers := t.TempDir()
			child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKilled$", "-test.v")
			child.Env = append(os.Environ(), "CUTOVER_TEST_RUN="+place.Run, "CUTOVER_TEST_LEDGERS="+ledgers)
			killAt(t, child, row.at)
			dead, err := safety.Dead(ledgers)
			if err != nil || len(dead) != 1 {
				t.Fatalf("%d ledgers of the dead: %v", len(dead), err)
			}
			if err := errors.Join(dead[0].Replay(t.Context(), Undoers()), dead[0].Close()); err != nil {
				t.Error(err)
			}
			if left, err := Residue(t.Context(), place.Run); err != nil || len(left) > 0 {
				t.Errorf("left behind: %v: %v", left, err)
			}
		})
	}
}

func startUntilKilled(t *testing.T, run string) {
	place := placeOf(t, run, os.Getenv("CUTOVER_TEST_LEDGERS"))
	place.Ready = func(history.Dependency) { fmt.Println("ready") }
	fmt.Println("about to start")
	_, err := Start(t.Context(), []Spec{listening("victim")}, place)
	fmt.Println("not killed:", err)
	<-t.Context().Done()
}

// killAt kills the process once it has printed the line, and in the case of a start,
// once the engine knows of the container.
func killAt(t *testing.T, child *exec.Cmd, line string) {
	t.Helper()
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if strings.Contains(lines.Text(), line) {
			break
		}
	}
	run := strings.TrimPrefix(child.Env[len(child.Env)-2], "CUTOVER_TEST_RUN=")
	for began := time.Now(); time.Since(began) < 20*time.Second; {
		if made, err := Residue(t.Context(), run); err != nil || len(made) > 0 {
			break
		}
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait() // killed
}

// What a run without a ledger has on the engine is nobody's.
func TestSweep(t *testing.T) {
	place := newPlace(t)
	ledgers := t.TempDir()
	place.Ledgers = ledgers
	if _, err := Start(t.Context(), []Spec{listening("orphan")}, place); err != nil {
		t.Fatal(err)
	}
	kept := ledgerOf(t, ledgers, place.Run)
	for why, folder := range map[string]string{"the run has a ledger": ledgers, "the run is somebody else's": t.TempDir()} {
		if swept, err := Sweep(t.Context(), folder); err != nil || len(swept) > 0 {
			t.Fatalf("%s, and it swept %v: %v", why, swept, err)
		}
	}
	if err := os.Remove(kept); err != nil {
		t.Fatal(err)
	}
	if swept, err := Sweep(t.Context(), ledgers); err != nil || len(swept) != 1 || swept[0] != place.Run {
		t.Errorf("swept %v: %v", swept, err)
	}
	undone(t, place)
}

func ledgerOf(t *testing.T, dir, run string) string {
	t.Helper()
	path := dir + "/" + run + ".ndjson"
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
