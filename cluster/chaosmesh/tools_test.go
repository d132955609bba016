package chaosmesh

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// buildTools builds the component chaos-tools under the names that the daemon starts
// it by, and puts them in a folder.
func buildTools(t *testing.T) string {
	t.Helper()
	source, dir := t.TempDir(), t.TempDir()
	files, err := filepath.Glob("../embedded/components/chaos-tools/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no source of chaos-tools: %v %v", files, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		must(t, err)
		must(t, os.WriteFile(filepath.Join(source, strings.TrimSuffix(filepath.Base(file), ".txt")), text, 0o600))
	}
	build := exec.Command("go", "build", "-o", filepath.Join(dir, toolsProgram), ".")
	build.Dir, build.Env = source, append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, name := range []string{"nsexec", "pause", "memStress"} {
		must(t, os.Link(filepath.Join(dir, toolsProgram), filepath.Join(dir, name)))
	}
	return dir
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("namespaces of others are entered as root")
	}
}

// pod is a process in namespaces of its own.
func pod(t *testing.T) (pid int) {
	t.Helper()
	needRoot(t)
	// What runs as 1 in the pid namespace is the child of unshare.
	started := exec.Command("unshare", "--net", "--pid", "--fork", "--mount-proc", "--kill-child", "sh", "-c", "echo ready; exec sleep 600")
	out, err := started.StdoutPipe()
	must(t, err)
	must(t, started.Start())
	t.Cleanup(func() { _ = started.Process.Kill(); _ = started.Wait() })
	if _, err := out.Read(make([]byte, 1)); err != nil {
		t.Fatal("the pod did not start: ", err)
	}
	pid, err = strconv.Atoi(childrenOf(t, started.Process.Pid)[0])
	must(t, err)
	return pid
}

func namespace(pid int, sort string) string { return fmt.Sprintf("/proc/%d/ns/%s", pid, sort) }

func TestNsexecRunsInTheNamespaces(t *testing.T) {
	dir, pid := buildTools(t), pod(t)
	nsexec := filepath.Join(dir, "nsexec")
	for _, test := range []struct {
		name string
		args []string
		want string
	}{
		// a tc or an iptables of the daemon's image in the pod's network
		{"net", []string{"-n", namespace(pid, "net"), "--", "cat", "/proc/self/net/dev"}, "only lo"},
		// a stressor among the pod's processes, and with its parent's pid unknown
		{"pid", []string{"-p", namespace(pid, "pid"), "--", "sh", "-c", "echo pid $$"}, "low pid"},
		// the pod's own files
		{"pid and mnt", []string{"-p", namespace(pid, "pid"), "-m", namespace(pid, "mnt"), "--", "cat", "/proc/1/cmdline"}, "sleep"},
		// no child is needed for these
		{"mnt", []string{"-m", namespace(pid, "mnt"), "--", "cat", "/proc/1/cmdline"}, "sleep"},
		// flags of the command are not ours
		{"flags", []string{"--", "echo", "-n", "x"}, "x"},
	} {
		t.Run(test.name, func(t *testing.T) {
			out, err := exec.Command(nsexec, test.args...).CombinedOutput()
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			if got := kindOf(string(out)); got != test.want {
				t.Errorf("got %q, want %s", out, test.want)
			}
		})
	}
}

// kindOf names what a test is to see.
func kindOf(out string) string {
	var pid int
	switch {
	case strings.Contains(out, "lo:") && strings.Count(out, ":") == 1:
		return "only lo"
	case strings.Contains(out, "lo:"):
		return "the host's network"
	case strings.HasPrefix(out, "sleep"):
		return "sleep"
	}
	if _, err := fmt.Sscanf(out, "pid %d", &pid); err == nil && pid < 100 {
		return "low pid"
	}
	return strings.TrimSpace(out)
}

func TestNsexecFails(t *testing.T) {
	nsexec := filepath.Join(buildTools(t), "nsexec")
	for _, test := range []struct {
		name string
		args []string
		code int
		want string
	}{
		// the daemon reads what tc says, and that it failed
		{"the command's code", []string{"--", "sh", "-c", "echo no such qdisc >&2; exit 2"}, 2, "no such qdisc"},
		{"nothing to run", []string{"-n", "/proc/self/ns/net"}, 1, "no command"},
		// a pod that has gone meanwhile
		{"no such namespace", []string{"-n", "/proc/0/ns/net", "--", "true"}, 1, "/proc/0/ns/net"},
		{"no such program", []string{"--", "no-such-program"}, 1, "no-such-program"},
		// IOChaos and its like ask for it, and must not be thought to work
		{"local files elsewhere", []string{"-l", "-m", "/proc/self/ns/mnt", "--", "true"}, 1, "not defined: -l"},
	} {
		t.Run(test.name, func(t *testing.T) {
			out, err := exec.Command(nsexec, test.args...).CombinedOutput()
			var exited *exec.ExitError
			if !errors.As(err, &exited) || exited.ExitCode() != test.code || !strings.Contains(string(out), test.want) {
				t.Errorf("got %v, %s", err, out)
			}
		})
	}
}

// The daemon ends a stressor by SIGTERM to nsexec, and ends itself without a word.
func TestNsexecTakesItsCommandAlong(t *testing.T) {
	dir, pid := buildTools(t), pod(t)
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		t.Run(signal.String(), func(t *testing.T) {
			nsexec := exec.Command(filepath.Join(dir, "nsexec"), "-p", namespace(pid, "pid"), "--", "sh", "-c", "echo ready; exec sleep 599")
			out, err := nsexec.StdoutPipe()
			must(t, err)
			must(t, nsexec.Start())
			if _, err := out.Read(make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
			must(t, nsexec.Process.Signal(signal))
			_ = nsexec.Wait()
			eventually(t, "the command has ended", func() bool { return !running(t, "sleep\x00599\x00") })
		})
	}
}

func TestPauseWaitsToBeTold(t *testing.T) {
	paused := exec.Command(filepath.Join(buildTools(t), "pause"), "sh", "-c", "echo told")
	// A file: a buffer would be filled by a goroutine while it is looked at.
	out, err := os.Create(filepath.Join(t.TempDir(), "out"))
	must(t, err)
	defer out.Close()
	said := func() string {
		data, err := os.ReadFile(out.Name())
		must(t, err)
		return string(data)
	}
	paused.Stdout = out
	must(t, paused.Start())
	name := func() string {
		name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", paused.Process.Pid))
		return string(name)
	}
	// By this name the daemon knows that it has to ask again.
	eventually(t, "it is called pause", func() bool { return name() == "pause\n" })
	time.Sleep(50 * time.Millisecond)
	if said() != "" {
		t.Error("it did not wait")
	}
	eventually(t, "it has become another program", func() bool {
		_ = paused.Process.Signal(syscall.SIGCONT)
		return name() != "pause\n"
	})
	must(t, paused.Wait())
	if said() != "told\n" {
		t.Errorf("got %q", said())
	}
}

func TestMemStressTakesMemory(t *testing.T) {
	stress := exec.Command(filepath.Join(buildTools(t), "memStress"), "--workers", "2", "--size", "64MiB", "--time", "100ms")
	must(t, stress.Start())
	defer func() { _ = stress.Wait() }()
	var workers []string
	eventually(t, "two workers hold 32 MiB each", func() bool {
		workers = childrenOf(t, stress.Process.Pid)
		return len(workers) == 2 && resident(workers[0]) >= 32<<10 && resident(workers[1]) >= 32<<10
	})
	// One that the kernel kills comes back.
	first, err := strconv.Atoi(workers[0])
	must(t, err)
	must(t, syscall.Kill(first, syscall.SIGKILL))
	eventually(t, "a new worker", func() bool {
		now := childrenOf(t, stress.Process.Pid)
		return len(now) == 2 && now[0] != workers[0] && now[1] != workers[0]
	})
	workers = childrenOf(t, stress.Process.Pid)
	must(t, stress.Process.Signal(syscall.SIGTERM))
	_ = stress.Wait()
	eventually(t, "the workers have ended", func() bool { return resident(workers[0]) == 0 && resident(workers[1]) == 0 })
}

func TestMemStressRefuses(t *testing.T) {
	memStress := filepath.Join(buildTools(t), "memStress")
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"--size", "much"}, "write 256MB"},
		{[]string{"--size", "1XB"}, "the units are"},
		{[]string{"--size", "0MB"}, "nothing to take"},
		{[]string{"--size", "1B", "--workers", "2"}, "nothing to take"},
		{[]string{"--size", "99999999TB"}, "more than a machine"},
	} {
		out, err := exec.Command(memStress, test.args...).CombinedOutput()
		if err == nil || !strings.Contains(string(out), test.want) {
			t.Errorf("%v: got %v, %s", test.args, err, out)
		}
	}
}

// childrenOf are the children of all threads of a process.
func childrenOf(t *testing.T, pid int) (children []string) {
	t.Helper()
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	must(t, err)
	for _, list := range lists {
		text, _ := os.ReadFile(list) // a thread may have ended
		children = append(children, strings.Fields(string(text))...)
	}
	return children
}

// resident is how many KiB a process holds; 0 if it has ended.
func resident(pid string) (kib int) {
	status, _ := os.ReadFile("/proc/" + pid + "/status")
	if _, after, found := strings.Cut(string(status), "VmRSS:"); found {
		_, _ = fmt.Sscan(after, &kib)
	}
	return kib
}

// running looks for a process by its command line.
func running(t *testing.T, commandLine string) bool {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*/cmdline")
	must(t, err)
	for _, one := range all {
		if text, _ := os.ReadFile(one); string(text) == commandLine {
			return true
		}
	}
	return false
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if holds() {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not in 10 s: %s", what)
		}
	}
}
