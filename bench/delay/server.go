package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"time"

	"golang.org/x/sys/unix"
	"k8s.io/apimachinery/pkg/types"

	"github.com/cutover-dev/cutover/bench"
	"github.com/cutover-dev/cutover/faults/agent"
	"github.com/cutover-dev/cutover/faults/agent/nettest"
)

// drivers are what can be measured. A test adds one that is wrong.
var drivers = map[string]func() (agent.Driver, error){
	"queue": agent.NewQueueDriver,
	"netem": agent.NewNetemDriver,
}

// serveCommand is what the program starts itself with, in a node's network
// namespace, to be the process whose delays and whose CPU time are measured.
const serveCommand = "serve"

// command is what a server is asked to do; usage alone if there is no pod.
type command struct {
	Pod   agent.Pod
	Delay agent.Delay
}

// answer has the CPU time that the server's process has used so far.
type answer struct {
	CPU   time.Duration
	Error string
}

// lasting is longer than any measurement.
const lasting = time.Hour

// serve does what comes in, until it ends, and heals what it did.
func serve(ctx context.Context, name string, in io.Reader, out io.Writer) error {
	driver, err := drivers[name]()
	if err != nil {
		return err
	}
	var applied []types.UID
	for commands := json.NewDecoder(in); ; {
		var c command
		if err := commands.Decode(&c); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return fmt.Errorf("read a command: %w", err)
		}
		var a answer
		if c.Pod.UID != "" {
			fault := "bench-" + c.Pod.UID
			if err := driver.Apply(ctx, fault, c.Delay, c.Pod, time.Now().Add(lasting)); err != nil {
				a.Error = err.Error()
			}
			applied = append(applied, fault)
		}
		var used unix.Rusage
		if err := unix.Getrusage(unix.RUSAGE_SELF, &used); err != nil {
			return fmt.Errorf("read the CPU time: %w", err)
		}
		a.CPU = time.Duration(used.Utime.Nano() + used.Stime.Nano())
		if err := json.NewEncoder(out).Encode(a); err != nil {
			return fmt.Errorf("answer: %w", err)
		}
	}
	var failures []error
	for _, fault := range applied {
		failures = append(failures, driver.Heal(ctx, fault))
	}
	return errors.Join(failures...)
}

// server is a process that runs a driver.
type server struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *json.Decoder
}

func startServer(ctx context.Context, n *nettest.Node, driver string) (*server, error) {
	cmd, in, out, err := bench.Again(ctx, serveCommand, driver)
	if err != nil {
		return nil, fmt.Errorf("start a driver: %w", err)
	}
	if err := n.Do(cmd.Start); err != nil {
		return nil, fmt.Errorf("start a driver: %w", err)
	}
	return &server{cmd, in, json.NewDecoder(out)}, nil
}

func (s *server) ask(c command) (answer, error) {
	if err := json.NewEncoder(s.in).Encode(c); err != nil {
		return answer{}, fmt.Errorf("ask the driver: %w", err)
	}
	var a answer
	if err := s.out.Decode(&a); err != nil {
		return answer{}, fmt.Errorf("hear from the driver: %w", err)
	}
	if a.Error != "" {
		return a, errors.New(a.Error)
	}
	return a, nil
}

func (s *server) delay(p *nettest.Pod, d agent.Delay) error {
	_, err := s.ask(command{Pod: agent.Pod{UID: "pod", IP: p.IP}, Delay: d})
	return err
}

// cpu is the CPU time that the process has used so far.
func (s *server) cpu() (time.Duration, error) {
	a, err := s.ask(command{})
	return a.CPU, err
}

// close has the driver heal what it did.
func (s *server) close() error {
	s.in.Close()
	if err := s.cmd.Wait(); err != nil {
		return fmt.Errorf("end the driver: %w", err)
	}
	return nil
}
