package suites_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/cutover-dev/cutover/history"
)

// killedRun is a run of the program in which somebody is going to be killed.
type killedRun struct {
	ground  killGround
	cluster string // "" until the run has named its own
	record  string
	scratch string // its folder for temporary files, which also marks its processes
	command *exec.Cmd
	began   time.Time
	over    chan struct{} // closed when it has ended
	ended   time.Time
	lasted  time.Duration
	exit    int

	killed time.Time
	seen   sighting // of the cluster at that instant

	mu    sync.Mutex
	lines []toldLine
	rest  bytes.Buffer // the line that is being written
}

// toldLine is a line of the program's output and when it came.
type toldLine struct {
	at   time.Time
	text string
}

// start starts a run, on a cluster of its own or on the detached one.
func (t *killTest) start(ctx SpecContext, mode string) *killedRun {
	GinkgoHelper()
	dir := GinkgoT().TempDir()
	r := &killedRun{ground: t.ground, record: filepath.Join(dir, "record"), scratch: filepath.Join(dir, "tmp"), over: make(chan struct{})}
	Expect(os.Mkdir(r.scratch, 0o700)).To(Succeed())
	arguments := []string{"run", filepath.Join("testdata", "killed.yaml"), "--cluster", sortOfCluster(), "--seed", "1", "--out", r.record}
	if mode == detached {
		r.cluster = t.detachedCluster(ctx)
		arguments = append(arguments, "--name", r.cluster)
	}
	r.command = exec.CommandContext(ctx, binary, arguments...)
	r.command.Env = append(os.Environ(), "TMPDIR="+r.scratch)
	r.command.Stdout, r.command.Stderr = r, r
	r.command.WaitDelay = time.Second // others may hold its output
	r.began = time.Now()
	Expect(r.command.Start()).To(Succeed())
	go func() {
		_ = r.command.Wait() // how it ended is in ProcessState
		r.ended = time.Now()
		r.lasted, r.exit = r.ended.Sub(r.began), r.command.ProcessState.ExitCode()
		close(r.over)
	}()
	return r
}

// Write implements io.Writer, for the program's output.
func (r *killedRun) Write(data []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rest.Write(data)
	for {
		text, err := r.rest.ReadString('\n')
		if err != nil {
			r.rest.WriteString(text)
			return len(data), nil
		}
		r.lines = append(r.lines, toldLine{time.Now(), strings.TrimSuffix(text, "\n")})
		GinkgoWriter.Print("  ", text)
		if name := namedCluster.FindStringSubmatch(text); name != nil {
			r.cluster = name[1]
		}
	}
}

// namedCluster finds a cluster's name in what is said when it begins to be made.
var namedCluster = regexp.MustCompile(`^cluster +making (?:kind cluster )?([a-z0-9-]+)`)

func (r *killedRun) name() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.cluster
}

func (r *killedRun) output() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all strings.Builder
	for _, line := range r.lines {
		all.WriteString("\n" + line.text)
	}
	return all.String() + "\n" + r.rest.String()
}

// told is when a line with the text came; zero if none did.
func (r *killedRun) told(text string) time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, line := range r.lines {
		if strings.Contains(line.text, text) {
			return line.at
		}
	}
	return time.Time{}
}

func (r *killedRun) awaitEnd(ctx SpecContext, within time.Duration) {
	GinkgoHelper()
	select {
	case <-r.over:
	case <-time.After(within):
		Fail("the run does not end within " + within.String() + ":\n" + r.output())
	case <-ctx.Done():
		Fail("interrupted")
	}
}

// killAt kills the victim at the instant of the run's life, or as soon after it as
// there is one. It is false if the run ended before.
func (r *killedRun) killAt(ctx SpecContext, victim string, instant time.Duration) bool {
	GinkgoHelper()
	due := time.NewTimer(time.Until(r.began.Add(instant)))
	defer due.Stop()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for {
		select {
		case <-r.over:
			return false
		case <-ctx.Done():
			Fail("interrupted")
		case <-due.C:
		}
		if found := r.find(ctx, victim); found != nil {
			r.seen = r.ground.see(ctx, r.name())
			r.killed = time.Now()
			Expect(found.kill()).To(Or(Succeed(), MatchError(syscall.ESRCH)))
			GinkgoWriter.Printf("killed %s, %s, after %.2f s\n", victim, found.what, r.killed.Sub(r.began).Seconds())
			return true
		}
		due.Reset(20 * time.Millisecond)
	}
}

// find returns nil if the victim is not there.
func (r *killedRun) find(ctx SpecContext, victim string) *prey {
	if victim == victimCLI {
		return preyOf(r.command.Process.Pid)
	}
	name := r.name()
	if name == "" {
		return nil
	}
	return r.ground.find(ctx, victim, name)
}

// phaseAt says what the run was doing: from its record, and before there is one from
// what it said.
func (r *killedRun) phaseAt(at time.Time) string {
	began := r.told("scenario ")
	switch {
	case !began.IsZero() && began.Before(at):
	case r.told(" ready in ").IsZero() && r.told("making ").IsZero():
		return "start"
	case r.told(" ready in ").IsZero() || r.told(" ready in ").After(at):
		return "cluster start"
	default:
		return "install"
	}
	phase := "preflight"
	recorded, err := history.Read(r.record)
	if err != nil {
		return "run"
	}
	for _, e := range history.All[history.Phase](recorded.Events) {
		if began.Add(time.Duration(e.At) * time.Microsecond).Before(at) {
			phase = e.Data.Name
		}
	}
	if closed := r.told("report "); !closed.IsZero() && closed.Before(at) {
		return "ending"
	}
	return phase
}

// verdict is the one in the record; "" if there is none.
func (r *killedRun) verdict() string {
	data, err := os.ReadFile(filepath.Join(r.record, "run.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	Expect(err).NotTo(HaveOccurred())
	var run struct {
		Verdict string `json:"verdict"`
	}
	Expect(json.Unmarshal(data, &run)).To(Succeed())
	return run.Verdict
}

// strays lists the run's own processes and temporary files that are left.
func (r *killedRun) strays() []string {
	var found []string
	paths, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err == nil && bytes.Contains(data, []byte("TMPDIR="+r.scratch)) {
			found = append(found, "process "+filepath.Base(filepath.Dir(path))+" started by the run")
		}
	}
	files, _ := filepath.Glob(filepath.Join(r.scratch, "*"))
	for _, file := range files {
		found = append(found, "temporary file "+file)
	}
	return found
}

// exitOf runs the program and returns its exit code and what it printed.
func exitOf(ctx SpecContext, arguments ...string) (int, string) {
	GinkgoHelper()
	command := exec.CommandContext(ctx, binary, arguments...)
	output, err := command.CombinedOutput()
	var ended *exec.ExitError
	if !errors.As(err, &ended) {
		Expect(err).NotTo(HaveOccurred())
	}
	return command.ProcessState.ExitCode(), string(output)
}
