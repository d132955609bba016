package main

import (
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/cutover-dev/cutover/bench/stalls"
)

// streams is the sink for HTTP/2 without TLS, and for gRPC over it. It is package net/http's
// server, which is not made to be exact: its stamps say what came, and little of when.
type streams struct {
	mu   sync.Mutex
	seen seen
}

// serveStreams is told over in how much to expect, and says over out what it has seen until
// then. It ends with in.
func serveStreams(ctx context.Context, in *os.File, out io.Writer) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp4", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("sink of streams: %w", err)
	}
	s := &streams{seen: seen{Addresses: []string{listener.Addr().String()}}}
	server := &http.Server{Handler: s, Protocols: new(http.Protocols), ReadHeaderTimeout: time.Minute}
	server.Protocols.SetUnencryptedHTTP2(true)
	var both errgroup.Group
	both.Go(func() error {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("sink of streams: %w", err)
		}
		return nil
	})
	both.Go(func() error {
		defer server.Close()
		orders, answers := gob.NewDecoder(in), gob.NewEncoder(out)
		for {
			var m manner
			if err := orders.Decode(&m); errors.Is(err, io.EOF) {
				return nil
			} else if err != nil {
				return fmt.Errorf("sink of streams: read how to be: %w", err)
			}
			if err := answers.Encode(s.be(m)); err != nil {
				return fmt.Errorf("sink of streams: say what was seen: %w", err)
			}
		}
	})
	return both.Wait()
}

// be has room for so much from now on; of other manners it has none.
func (s *streams) be(m manner) seen {
	s.mu.Lock()
	defer s.mu.Unlock()
	until := s.seen
	until.Until = stalls.Monotonic()
	s.seen = seen{Addresses: until.Addresses, Seq: touched(m.Room), At: touched(m.Room)}
	return until
}

// ServeHTTP implements [http.Handler].
func (s *streams) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	at := stalls.Monotonic()
	value := r.Header.Get("X-Request-Id") + r.Header.Get("X-Vegeta-Seq")
	s.mu.Lock()
	s.seen.Requests++
	if seq, numbered := digits(value); numbered && len(s.seen.Seq) < cap(s.seen.Seq) {
		s.seen.Seq, s.seen.At = append(s.seen.Seq, seq), append(s.seen.At, at)
	}
	s.mu.Unlock()
	if !strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc") {
		_, _ = io.WriteString(w, "ok") // unless nobody waits for it any more
		return
	}
	_, _ = io.Copy(io.Discard, r.Body)
	w.Header().Set("Content-Type", "application/grpc")
	w.Header().Set("Trailer", "Grpc-Status")
	_, _ = w.Write(make([]byte, 5)) // an empty message: not compressed, of no length
	w.Header().Set("Grpc-Status", "0")
}
