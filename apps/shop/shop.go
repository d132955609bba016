package main

import (
	"context"
	"encoding/json"
	"errors"
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
	counts counts
	warm   time.Time     // from when on it can serve
	cold   atomic.Int64  // requests that it has answered, while it was cold
	busy   chan struct{} // has room for requests that it can think about at once; nil for any number

	mu     sync.Mutex // guards chance
	chance *rand.Rand
}

func newShop(config config) http.Handler {
	s := &shop{config: config, counts: newCounts(config), warm: time.Now().Add(config.warmUp), chance: rand.New(rand.NewPCG(config.seed, hostSeed()))}
	if config.atOnce > 0 {
		s.busy = make(chan struct{}, config.atOnce)
	}
	metrics := newMetrics()
	mux := http.NewServeMux()
	mux.Handle("GET /cart", metrics.of(s.misbehaving(s.cart)))
	mux.Handle("POST /shop.Carts/Get", metrics.of(s.misbehaving(s.getCart)))
	mux.Handle("GET /moved", metrics.of(s.misbehaving(s.moved)))
	mux.Handle("PUT /ledger/{key}", metrics.of(s.misbehaving(s.keep)))
	mux.Handle("GET /ledger/{key}", metrics.of(s.misbehaving(s.find)))
	mux.Handle("POST /orders", metrics.of(s.misbehaving(s.order)))
	mux.Handle("GET /metrics", metrics.handler())
	mux.HandleFunc("POST /judge", judge)
	mux.HandleFunc("GET /ready", s.readiness)
	mux.HandleFunc("GET /live", func(w http.ResponseWriter, _ *http.Request) { reply(w, http.StatusOK, map[string]any{"live": true}) })
	return mux
}

// counts are the orders and the ledger.
type counts interface {
	order(context.Context) (int64, error) // the next one's number
	keep(ctx context.Context, key string) error
	has(ctx context.Context, key string) (bool, error)
}

// newCounts keeps them in the store if there is one.
func newCounts(config config) counts {
	if config.store != "" {
		return &store{address: config.store}
	}
	return &own{}
}

// own is what a shop without a store counts by itself, and forgets when it ends.
type own struct {
	orders atomic.Int64
	ledger sync.Map
}

func (o *own) order(context.Context) (int64, error) { return o.orders.Add(1), nil }

func (o *own) keep(_ context.Context, key string) error {
	o.ledger.Store(key, true)
	return nil
}

func (o *own) has(_ context.Context, key string) (bool, error) {
	_, there := o.ledger.Load(key)
	return there, nil
}

// misbehaving does to an answer what the config asks for.
func (s *shop) misbehaving(answer http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if s.version != "" {
			w.Header().Set("X-Version", s.version)
		}
		// The body is read first: only then does the server notice a client that leaves.
		_, _ = io.Copy(io.Discard, r.Body) // nothing in it matters here
		if reason := s.unable(); reason != "" {
			refuse(w, r, http.StatusServiceUnavailable, reason)
			return
		}
		if s.blackHole {
			<-r.Context().Done()
			panic(http.ErrAbortHandler)
		}
		if !s.think(r.Context()) {
			return
		}
		if s.unlucky() {
			refuse(w, r, http.StatusInternalServerError, "out of luck")
			return
		}
		answer(w, r)
	}
}

// think takes the time that an answer takes; false if the client has left meanwhile.
func (s *shop) think(ctx context.Context) bool {
	if s.busy != nil {
		select {
		case s.busy <- struct{}{}:
			defer func() { <-s.busy }()
		case <-ctx.Done():
			return false
		}
	}
	if s.latency > 0 {
		select {
		case <-time.After(s.latency):
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// unable says why it can serve nobody now; "" if it can.
func (s *shop) unable() string {
	switch {
	case time.Now().Before(s.warm):
		return "warming up"
	case s.cold.Load() < s.config.cold && s.cold.Add(1) <= s.config.cold:
		return "cold"
	case s.seat != "" && !seated(s.seat):
		return "another one has the seat"
	}
	return ""
}

// seated takes the seat if nobody has it, and reports whether it is this shop's.
func seated(path string) bool {
	name, err := os.Hostname()
	if err != nil {
		return false
	}
	if file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644); err == nil {
		_, err = file.WriteString(name)
		return errors.Join(err, file.Close()) == nil
	}
	holder, err := os.ReadFile(path)
	return err == nil && string(holder) == name
}

// unlucky draws whether this answer is an error.
func (s *shop) unlucky() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.chance.Float64() < s.errorRate
}

// items are what is in every cart.
var items = []string{"tea", "biscuits"}

func (s *shop) cart(w http.ResponseWriter, _ *http.Request) {
	reply(w, http.StatusOK, map[string]any{"items": items, "total": s.total})
}

func (s *shop) moved(w http.ResponseWriter, r *http.Request) {
	http.Redirect(w, r, "/cart", http.StatusFound)
}

func (s *shop) order(w http.ResponseWriter, r *http.Request) {
	number, err := s.counts.order(r.Context())
	if err != nil {
		fmt.Fprintln(os.Stderr, "shop: the store:", err)
		http.Error(w, "no order without the store", http.StatusServiceUnavailable)
		return
	}
	reply(w, http.StatusCreated, map[string]any{"order": number})
}

// keep writes a key into the ledger.
func (s *shop) keep(w http.ResponseWriter, r *http.Request) {
	if err := s.counts.keep(r.Context(), r.PathValue("key")); err != nil {
		fmt.Fprintln(os.Stderr, "shop: the store:", err)
		http.Error(w, "no ledger without the store", http.StatusServiceUnavailable)
		return
	}
	reply(w, http.StatusCreated, map[string]any{"kept": r.PathValue("key")})
}

// find says whether a key is in the ledger.
func (s *shop) find(w http.ResponseWriter, r *http.Request) {
	there, err := s.counts.has(r.Context(), r.PathValue("key"))
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "shop: the store:", err)
		http.Error(w, "no ledger without the store", http.StatusServiceUnavailable)
	case !there:
		http.Error(w, "not in the ledger", http.StatusNotFound)
	default:
		reply(w, http.StatusOK, map[string]any{"kept": r.PathValue("key")})
	}
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
