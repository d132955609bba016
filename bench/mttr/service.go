package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/cutover-dev/cutover/bench"
	"github.com/cutover-dev/cutover/bench/stalls"
)

// serveCommand is what the program starts itself with to be the service whose outages are
// timed: a process of its own, so that neither waits for the other.
const serveCommand = "serve"

// slowly is how long a slow answer takes, in the median; liveSlow is what is too slow.
const (
	slowly   = 400 * time.Millisecond
	liveSlow = 200 * time.Millisecond
)

// script is what a service is told before anything comes to it.
type script struct {
	Zero    int64 // nanoseconds of the machine's clock at which the seconds of the bursts begin
	Seed    uint64
	Outages []scripted
}

// scripted is an outage that is still to come.
type scripted struct {
	Share  float64
	Slows  bool
	Bursts []stretch
}

// counters are what a monitoring can read from a service.
type counters struct {
	N          int
	Background int   // bad ones outside of all outages
	Bad        []int // in each outage
}

// service is bad when it is told to, and counts.
type service struct {
	script
	mu     sync.Mutex
	random *rand.Rand
	counts counters
}

// serve tells where it listens, reads the script, and serves until its input ends.
func serve(ctx context.Context, in io.Reader, out io.Writer) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("serve: %w", err)
	}
	defer listener.Close()
	if _, err := fmt.Fprintln(out, listener.Addr()); err != nil {
		return fmt.Errorf("say where to find it: %w", err)
	}
	var s service
	if err := json.NewDecoder(in).Decode(&s.script); err != nil {
		return fmt.Errorf("read the script: %w", err)
	}
	s.random = rand.New(rand.NewPCG(s.Seed, 4))
	s.counts.Bad = make([]int, len(s.Outages))
	mux := http.NewServeMux()
	mux.HandleFunc("/", s.answer)
	mux.HandleFunc("/counters", s.tell)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	go func() {
		_, _ = io.Copy(io.Discard, in)
		_ = server.Close()
	}()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve: %w", err)
	}
	return nil
}

// answer is bad or not by the instant at which the request is here.
func (s *service) answer(w http.ResponseWriter, r *http.Request) {
	outage := s.outageAt(float64(stalls.Monotonic()-s.Zero) / 1e9)
	long, fails := s.draw(outage)
	if long > 0 {
		select {
		case <-time.After(long):
		case <-r.Context().Done(): // who asked has given up
		}
	}
	if fails {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	s.count(outage, fails || long > liveSlow)
}

// outageAt is the index of the outage that is on at an instant; -1 if none is.
func (s *service) outageAt(at float64) int {
	for i, o := range s.Outages {
		for _, b := range o.Bursts {
			if b.From <= at && at < b.To {
				return i
			}
		}
	}
	return -1
}

// draw says how long a request takes in an outage, and whether it fails.
func (s *service) draw(outage int) (long time.Duration, fails bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if outage < 0 || s.random.Float64() >= s.Outages[outage].Share {
		return 0, s.random.Float64() < errored
	}
	if s.Outages[outage].Slows {
		return time.Duration(float64(slowly) * math.Exp(0.15*s.random.NormFloat64())), false
	}
	return 0, true
}

func (s *service) count(outage int, bad bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts.N++
	switch {
	case bad && outage < 0:
		s.counts.Background++
	case bad:
		s.counts.Bad[outage]++
	}
}

func (s *service) tell(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = json.NewEncoder(w).Encode(s.counts) // who does not read it to its end does not count it
}

// startService starts this program as a service, which ends with the context, or when its
// input is closed.
func startService(ctx context.Context) (in io.WriteCloser, out io.Reader, err error) {
	cmd, in, out, err := bench.Again(ctx, serveCommand)
	if err != nil {
		return nil, nil, fmt.Errorf("start a service: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, nil, fmt.Errorf("start a service: %w", err)
	}
	go func() { _ = cmd.Wait() }() // its end is in what is read from it
	return in, out, nil
}
