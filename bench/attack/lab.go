package main

import (
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/cutover-dev/cutover/bench"
	"github.com/cutover-dev/cutover/bench/stalls"
)

// lab is where all tools meet the same sink.
type lab struct {
	sink      *process
	addresses []string
	watched   *stalls.Seen
	peersAt   string // folder of unpacked packages
	tools     int    // the processor that tools have
	shared    bool   // with the sink: the machine has no other
}

// newLab starts a sink, which is one of the roles.
func newLab(ctx context.Context, sink string, watched *stalls.Seen, peersAt string) (*lab, error) {
	cores, err := processors()
	if err != nil {
		return nil, err
	}
	l := &lab{watched: watched, peersAt: peersAt, tools: cores[0], shared: len(cores) == 1}
	if l.sink, err = start(ctx, sink, cores[len(cores)-1]); err != nil {
		return nil, err
	}
	was, err := l.be(manner{})
	if err != nil {
		return nil, errors.Join(err, l.close())
	}
	l.addresses = was.Addresses
	return l, nil
}

// processors lists those that this process may use, at most two: the first and the last.
func processors() ([]int, error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return nil, fmt.Errorf("list the processors: %w", err)
	}
	var all []int
	for cpu := 0; len(all) < set.Count(); cpu++ {
		if set.IsSet(cpu) {
			all = append(all, cpu)
		}
	}
	if len(all) > 2 {
		all = []int{all[0], all[len(all)-1]}
	}
	return all, nil
}

// be tells the sink how to be, and returns what it has seen until now.
func (l *lab) be(m manner) (seen, error) {
	var was seen
	m.Alert = m.Room > 0 && !l.shared
	err := l.sink.ask(m, &was)
	return was, err
}

// run has a tool of ours do a job in a process of its own, under a sink of that manner.
func (l *lab) run(ctx context.Context, role string, m manner, j job) (outcome, seen, error) {
	if _, err := l.be(m); err != nil {
		return outcome{}, seen{}, err
	}
	j.Addresses = l.addresses[:1]
	tool, err := start(ctx, role, l.tools)
	if err != nil {
		return outcome{}, seen{}, err
	}
	var o outcome
	if err := errors.Join(tool.ask(j, &o), tool.end()); err != nil {
		return outcome{}, seen{}, err
	}
	was, err := l.be(manner{})
	return o, was, err
}

func (l *lab) close() error { return l.sink.end() }

// url is the sink's.
func (l *lab) url() string { return "http://" + l.addresses[0] + "/" }

// told is what is to be said about the machine since an instant.
func (l *lab) told(since int64) string {
	all := l.watched.Since(since)
	said := fmt.Sprintf("load average %s; stalls of the machine meanwhile: %d, %s in all", bench.ThisMachine().Load, len(all), sum(all).Round(time.Millisecond))
	if l.shared {
		said += "; tool and sink had to share the machine's only processor"
	}
	return said
}

// process is this program in one of its roles. It answers what it is asked.
type process struct {
	role string
	cmd  *exec.Cmd
	in   io.WriteCloser
	to   *gob.Encoder
	from *gob.Decoder
}

func start(ctx context.Context, role string, core int) (*process, error) {
	cmd, in, out, err := bench.Again(ctx, role)
	if err == nil {
		err = startOn(core, cmd)
	}
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", role, err)
	}
	return &process{role: role, cmd: cmd, in: in, to: gob.NewEncoder(in), from: gob.NewDecoder(out)}, nil
}

// startOn starts a command on one processor, which it and its children keep.
func startOn(core int, cmd *exec.Cmd) error {
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread, which is on that processor now, ends with it
		var one unix.CPUSet
		one.Set(core)
		err := unix.SchedSetaffinity(0, &one)
		if err == nil {
			err = cmd.Start()
		}
		started <- err
	}()
	return <-started
}

func (p *process) ask(question, answer any) error {
	if err := p.to.Encode(question); err != nil {
		return fmt.Errorf("ask %s: %w", p.role, err)
	}
	if err := p.from.Decode(answer); err != nil {
		return fmt.Errorf("hear from %s: %w", p.role, err)
	}
	return nil
}

func (p *process) end() error {
	p.in.Close()
	if err := p.cmd.Wait(); err != nil {
		return fmt.Errorf("end %s: %w", p.role, err)
	}
	return nil
}

// kill ends it at once; how it ends is no news.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

// missing is what an error says of a tool that is not there.
type missing struct{ name string }

func (m missing) Error() string {
	return m.name + " is not here: install Debian's package of that name, or unpack it with hack/debian-root"
}

// other runs a tool that is not ours on the tools' processor and returns what it prints.
func (l *lab) other(ctx context.Context, name string, args ...string) (string, error) {
	path, libraries, err := l.find(name)
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, path, args...)
	var out, said strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &said
	if libraries != "" {
		cmd.Env = append(os.Environ(), "LD_LIBRARY_PATH="+libraries)
	}
	if err := startOn(l.tools, cmd); err != nil {
		return "", fmt.Errorf("start %s: %w", name, err)
	}
	if err := cmd.Wait(); err != nil {
		return out.String(), fmt.Errorf("%s: %w: %s", name, err, strings.TrimSpace(said.String()))
	}
	return out.String(), nil
}

// find looks for a tool in PATH, and then among the unpacked packages, beside which its
// libraries are.
func (l *lab) find(name string) (path, libraries string, err error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, "", nil
	}
	path = filepath.Join(l.peersAt, "usr/bin", name)
	if _, err := os.Stat(path); err != nil {
		return "", "", missing{name}
	}
	folders, err := filepath.Glob(filepath.Join(l.peersAt, "usr/lib/*-linux-gnu*"))
	return path, strings.Join(folders, ":"), err
}

// version is what a tool that is not ours says of itself; hey has no words for it.
func (l *lab) version(ctx context.Context, name string) string {
	if _, _, err := l.find(name); err != nil {
		return "not here"
	}
	if name == "hey" {
		return "unknown"
	}
	out, _ := l.other(ctx, name, "-v") // it ends with an error, after having said so
	line, _, _ := strings.Cut(out, " Copyright")
	return strings.TrimSpace(line)
}
