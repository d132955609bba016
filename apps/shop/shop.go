package main

import (
	"encoding/json"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// shop answers requests as its config says.
type shop struct {
	config
	orders atomic.Int64

	mu     sync.Mutex // guards chance
	chance *rand.Rand
}

func newShop(config config) http.Handler {
	s := &shop{config: config, chance: rand.New(rand.NewPCG(config.seed, hostSeed()))}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /cart", s.misbehaving(s.cart))
	mux.HandleFunc("POST /orders", s.misbehaving(s.order))
	mux.HandleFunc("GET /ready", s.readiness)
	return mux
}

// misbehaving does to an answer what the config asks for.
func (s *shop) misbehaving(answer http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if s.version != "" {
			w.Header().Set("X-Version", s.version)
		}
		// The body is read first: only then does the server notice a client that leaves.
		_, _ = io.Copy(io.Discard, r.Body) // nothing in it matters here
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
	reply(w, http.StatusOK, map[string]any{"items": []string{"tea", "biscuits"}, "total": 7})
}

func (s *shop) order(w http.ResponseWriter, _ *http.Request) {
	reply(w, http.StatusCreated, map[string]any{"order": s.orders.Add(1)})
}

func (s *shop) readiness(w http.ResponseWriter, _ *http.Request) {
	if !s.ready {
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
