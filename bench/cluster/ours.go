package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"

	"github.com/cutover-dev/cutover/cluster/embedded"
)

// ours starts clusters by the program itself, as its users do.
type ours struct{ program string }

func (o ours) start(ctx context.Context, name string, s *story) (starting, error) {
	command := exec.CommandContext(ctx, o.program, "cluster", "up", "--cluster", "embedded", "--name", name, "--phases")
	// It heals what it began when it is interrupted.
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
	lines, err := command.StderrPipe()
	if err != nil {
		return nil, err
	}
	s.begin(time.Now())
	if err := command.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", o.program, err)
	}
	up := &oursStarting{ours: o, cluster: name, story: s, ended: make(chan error, 1)}
	go func() {
		said := up.listen(lines)
		err := command.Wait()
		s.mark(returned, time.Now())
		if err != nil {
			err = fmt.Errorf("%s: %w\n%s", command, err, said)
		}
		up.ended <- err
	}()
	return up, nil
}

func (o ours) clear(ctx context.Context, name string) error {
	clusters, err := embedded.List()
	if err != nil {
		return err
	}
	for _, info := range clusters {
		if info.Name == name {
			return embedded.Down(ctx, name)
		}
	}
	return nil
}

type oursStarting struct {
	ours
	cluster string
	story   *story
	ended   chan error
}

// told is what `cluster up --phases` says of a phase that is over. When the line
// arrives is what counts: the program cannot know when its process was started.
var told = regexp.MustCompile(`^phase +[0-9.]+ s  (.+)$`)

// listen marks the phases that the program tells of, and returns what else it said.
func (s *oursStarting) listen(out io.Reader) string {
	var rest strings.Builder
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if phase := told.FindStringSubmatch(lines.Text()); phase != nil {
			s.story.mark(phase[1], time.Now())
			continue
		}
		fmt.Fprintln(&rest, lines.Text())
	}
	return rest.String()
}

// config attaches to the cluster in the middle of its start: its state says where
// its API server will be.
func (s *oursStarting) config(ctx context.Context) (*rest.Config, error) {
	c, err := s.attach(ctx)
	if err != nil {
		return nil, err
	}
	return c.REST(), nil
}

func (s *oursStarting) attach(ctx context.Context) (c *embedded.Cluster, err error) {
	last := errors.New("nothing was seen of it")
	err = wait.PollUntilContextCancel(ctx, 2*time.Millisecond, true, func(context.Context) (bool, error) {
		c, last = embedded.Attach(s.cluster)
		return last == nil, nil
	})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", last, err)
	}
	return c, nil
}

// finish implements starting. What only our own cluster can be asked is asked
// meanwhile.
func (s *oursStarting) finish(ctx context.Context) (running, error) {
	var c *embedded.Cluster
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		select {
		case err := <-s.ended:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	group.Go(func() (err error) {
		if c, err = s.attach(ctx); err != nil {
			return err
		}
		at, err := awaitEtcd(ctx, c)
		s.story.mark(etcdHealthy, at)
		return err
	})
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return &oursRunning{Cluster: c, program: s.program}, nil
}

type oursRunning struct {
	*embedded.Cluster
	program string
}

func (r *oursRunning) processes() ([]int, error) { return r.Processes() }

func (r *oursRunning) down(ctx context.Context) (time.Duration, error) {
	command := exec.CommandContext(ctx, r.program, "cluster", "down", "--name", r.Name())
	began := time.Now()
	output, err := command.CombinedOutput()
	took := time.Since(began)
	if err != nil {
		return 0, fmt.Errorf("%s: %w\n%s", command, err, output)
	}
	if _, err := embedded.Attach(r.Name()); err == nil {
		return 0, fmt.Errorf("cluster %s is said to be down and lives", r.Name())
	}
	return took, nil
}
