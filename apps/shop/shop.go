package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// shop answers requests as its config says.
type shop struct {
	config
	next func(context.Context) (int64, error) // order's number
	warm time.Time                            // from when on it can serve

	mu     sync.Mutex // guards chance
	chance *rand.Rand
}

func newShop(config config) http.Handler {
	s := &shop{config: config, next: orders(config), warm: time.Now().Add(config.warmUp), chance: rand.New(rand.NewPCG(config.seed, hostSeed()))}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /cart", s.misbehaving(s.cart))
	mux.HandleFunc("POST /orders", s.misbehaving(s.order))
	mux.HandleFunc("POST /judge", judge)
	mux.HandleFunc("GET /ready", s.readiness)
	mux.HandleFunc("GET /live", func(w http.ResponseWriter, _ *http.Request) { reply(w, http.StatusOK, map[string]any{"live": true}) })
	return mux
}

// orders counts them, in the store if there is one.
func orders(config config) func(context.Context) (int64, error) {
	if config.store != "" {
		return (&store{address: config.store}).order
	}
	var counted atomic.Int64
	return func(context.Context) (int64, error) { return counted.Add(1), nil }
}

// misbehaving does to an answer what the config asks for.
func (s *shop) misbehaving(answer http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if s.version != "" {
			w.Header().Set("X-Version", s.version)
		}
		// The body is read first: only then does the server notice a client that leaves.
		_, _ = io.Copy(io.Discard, r.Body) // nothing in it matters here
		if time.Now().Before(s.warm) {
			http.Error(w, "warming up", http.StatusServiceUnavailable)
			return
		}
		if s.blackHole {
			<-r.Context().Done()
			panic(http.ErrAbortHandler)
		}
		if s.latency > 0 {
			select {
			case <-time.After(s.latency):
			case <-r.Context().Done():
				return
			}
		}
		if s.unlucky() {
			http.Error(w, "out of luck", http.StatusInternalServerError)
			return
		}
		answer(w, r)
	}
}

// unlucky draws whether this answer is an error.
func (s *shop) unlucky() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.chance.Float64() < s.errorRate
}

func (s *shop) cart(w http.ResponseWriter, _ *http.Request) {
	reply(w, http.StatusOK, map[string]any{"items": []string{"tea", "biscuits"}, "total": s.total})
}

func (s *shop) order(w http.ResponseWriter, r *http.Request) {
	number, err := s.next(r.Context())
	if err != nil {
		fmt.Fprintln(os.Stderr, "shop: the store:", err)
		http.Error(w, "no order without the store", http.StatusServiceUnavailable)
		return
	}
	reply(w, http.StatusCreated, map[string]any{"order": number})
}

func (s *shop) readiness(w http.ResponseWriter, _ *http.Request) {
	if !s.ready || time.Now().Before(s.warm) {
		http.Error(w, "not ready", http.StatusServiceUnavailable)
		return
	}
	reply(w, http.StatusOK, map[string]any{"ready": true})
}

func reply(w http.ResponseWriter, status int, body map[string]any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client has left: nobody to tell
}
