package container

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/testcontainers/testcontainers-go/wait"
)

// Ready says what must be seen of a container, beside its open ports.
type Ready struct {
	Log     string // text that its log must hold; none if empty
	Times   int    // how often
	Path    string // of a request that must be answered with 2xx; none if empty
	Port    Port   // which the request goes to
	Exec    []string
	Timeout time.Duration // for everything together
}

const (
	poll     = 100 * time.Millisecond
	patience = 5 * time.Second // for an answer of the engine
)

// await returns when all of it was seen.
func (r Ready) await(ctx context.Context, target wait.StrategyTarget, ports []Port) error {
	ctx, cancel := context.WithTimeout(ctx, r.Timeout)
	defer cancel()
	for _, next := range r.all(ports) {
		began := time.Now()
		err := next.WaitUntilReady(ctx, target)
		if errors.Is(err, context.DeadlineExceeded) {
			// What the wait was at when its time was over says nothing more.
			return fmt.Errorf("waited %s, in vain, for %s", time.Since(began).Round(poll), next.what)
		}
		if err != nil {
			return fmt.Errorf("waited for %s: %w", next.what, err)
		}
	}
	return running(ctx, target)
}

// awaited is one thing to wait for.
type awaited struct {
	what string
	wait.Strategy
}

// all lists them, the first the one that tells most when it is missing.
func (r Ready) all(ports []Port) []awaited {
	var all []awaited
	if r.Log != "" {
		all = append(all, awaited{fmt.Sprintf("its log to hold %q %s", r.Log, times(r.Times)),
			wait.ForLog(r.Log).WithOccurrence(r.Times).WithStartupTimeout(r.Timeout)})
	}
	for _, p := range ports {
		all = append(all, awaited{fmt.Sprintf("port %d to take connections", p.Number), listening{p}})
	}
	if r.Path != "" {
		fine := func(status int) bool { return status >= 200 && status < 300 }
		all = append(all, awaited{fmt.Sprintf("GET %s on port %d to be answered with 2xx", r.Path, r.Port.Number),
			wait.ForHTTP(r.Path).WithPort(r.Port.name()).WithStatusCodeMatcher(fine).WithStartupTimeout(r.Timeout)})
	}
	if len(r.Exec) > 0 {
		all = append(all, awaited{fmt.Sprintf("%q in it to succeed", r.Exec), wait.ForExec(r.Exec).WithStartupTimeout(r.Timeout)})
	}
	return all
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return strconv.Itoa(n) + " times"
}

func running(ctx context.Context, target wait.StrategyTarget) error {
	state, err := target.State(ctx)
	if err != nil {
		return err
	}
	if !state.Running {
		return fmt.Errorf("it is not running (%s, exit code %d)", state.Status, state.ExitCode)
	}
	return nil
}

// listening waits until a port takes connections and keeps them. The engine's proxy
// takes them for a container in which nobody listens yet, and then closes; and there
// may be no shell in the container to look from inside.
type listening struct{ port Port }

// WaitUntilReady implements wait.Strategy.
func (l listening) WaitUntilReady(ctx context.Context, target wait.StrategyTarget) error {
	ticker := time.NewTicker(poll)
	defer ticker.Stop()
	for {
		if err := running(ctx, target); err != nil {
			return err
		}
		if port, err := target.MappedPort(ctx, l.port.name()); err == nil && keeps(ctx, net.JoinHostPort(loopback.String(), port.Port())) {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}

// keeps reports whether whoever takes the connection says something, or waits to be
// spoken to.
func keeps(ctx context.Context, address string) bool {
	conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", address)
	if err != nil {
		return false
	}
	defer conn.Close()
	if err := conn.SetReadDeadline(time.Now().Add(2 * poll)); err != nil {
		return false
	}
	_, err = conn.Read(make([]byte, 1))
	return err == nil || errors.Is(err, os.ErrDeadlineExceeded)
}
