package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cutover-dev/cutover/bench"
)

// serveCommand is what the program starts itself with, to be a process that answers.
const serveCommand = "serve"

// What pods are asked for, beside the rest.
const (
	largePath   = "/large"   // largeBody bytes, and their number beforehand
	chunkedPath = "/chunked" // the same, without
	largeBody   = 10 << 20
)

// servers are the processes that there are, and how many ports each has.
var servers = map[string]struct {
	ports  int
	handle func() http.Handler
}{
	"users": {1, small},
	"pods":  {3, pods},
}

// serve answers on ports of the loopback, whose addresses it prints, until its input ends.
func serve(ctx context.Context, args []string, in io.Reader, out io.Writer) error {
	what, known := servers[strings.Join(args, " ")]
	if !known {
		return fmt.Errorf("%s takes users or pods, not %q", serveCommand, args)
	}
	var addresses []string
	for range what.ports {
		listener, err := new(net.ListenConfig).Listen(ctx, "tcp4", "127.0.0.1:0")
		if err != nil {
			return err
		}
		addresses = append(addresses, listener.Addr().String())
		server := &http.Server{Handler: what.handle(), ReadHeaderTimeout: time.Minute}
		go func() { _ = server.Serve(listener) }() // it ends with the process
	}
	if err := json.NewEncoder(out).Encode(addresses); err != nil {
		return err
	}
	_, err := io.Copy(io.Discard, in)
	return err
}

// small answers everything with a total, and with an id that no other answer has.
func small() http.Handler {
	var ids atomic.Int64
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, `{"total":7,"id":%d}`, ids.Add(1))
	})
}

// pods can be asked for large answers, too.
func pods() http.Handler {
	large := append([]byte{'"'}, bytes.Repeat([]byte("x"), largeBody-2)...)
	large = append(large, '"') // JSON, which is kept as long as it may be taken apart
	mux := http.NewServeMux()
	mux.Handle("/", small())
	mux.HandleFunc(largePath, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", strconv.Itoa(len(large)))
		_, _ = w.Write(large)
	})
	mux.HandleFunc(chunkedPath, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(large) })
	return mux
}

// server is a process that answers.
type server struct {
	cmd       *exec.Cmd
	in        io.Closer
	addresses []string
}

func startServer(ctx context.Context, what string) (*server, error) {
	cmd, in, out, err := bench.Again(ctx, serveCommand, what)
	if err != nil {
		return nil, fmt.Errorf("start a server: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start a server: %w", err)
	}
	s := &server{cmd: cmd, in: in}
	if err := json.NewDecoder(bufio.NewReader(out)).Decode(&s.addresses); err != nil {
		return nil, fmt.Errorf("hear where a server listens: %w", err)
	}
	return s, nil
}

// freeze stops the process where it stands: the kernel still takes connections for it, and
// nobody answers.
func (s *server) freeze() error { return s.cmd.Process.Signal(syscall.SIGSTOP) }
func (s *server) thaw() error   { return s.cmd.Process.Signal(syscall.SIGCONT) }

func (s *server) close() error {
	s.in.Close()
	return s.cmd.Wait()
}
