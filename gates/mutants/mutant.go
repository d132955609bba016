package mutants

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"
)

// Mutant is a change to a candidate.
type Mutant struct {
	Name string
	What string // in words, for the table
	// Harmless ones must be promoted, all others must not.
	Harmless bool
	// Memory bounds that of the proxy, in bytes; 0 for no bound.
	Memory int64
	// treat gives what stands between users and the app in one pod.
	treat func(s *Setting, app http.Handler) http.Handler
}

// Setting is what a mutant is fitted to.
type Setting struct {
	Rate float64       // requests per second of a pod when the candidate has all traffic
	Hold time.Duration // of a step
	Slow time.Duration // longer than an answer may take
	Seed uint64        // of all chance

	mu     sync.Mutex
	chance *rand.Rand
}

// All lists the catalogue: the unchanged candidate first, since all else rests on it.
func All() []Mutant { return append(harmless(), bad()...) }

// Find returns those of the names, in the catalogue's order; all if there are none.
func Find(names []string) ([]Mutant, error) {
	var found []Mutant
	known := map[string]bool{}
	for _, m := range All() {
		known[m.Name] = true
		for _, name := range names {
			if name == m.Name {
				found = append(found, m)
			}
		}
	}
	for _, name := range names {
		if !known[name] {
			return nil, fmt.Errorf("no mutant %q: `cutover gate mutants` lists them", name)
		}
	}
	if len(names) == 0 {
		return All(), nil
	}
	return found, nil
}

// Serve is the proxy: it listens on the port, and passes on to the app what the
// mutant leaves of it, until ctx ends.
func Serve(ctx context.Context, name string, port int, app string, s *Setting) error {
	found, err := Find([]string{name})
	if err != nil {
		return err
	}
	server := &http.Server{Handler: found[0].handler(s, app), ReadHeaderTimeout: 10 * time.Second}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", fmt.Sprintf(":%d", port))
	if err != nil {
		return err
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	finish, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return server.Shutdown(finish)
}

// handler treats everything but the kubelet's probes: a candidate that is not even
// ready needs no gate.
func (m Mutant) handler(s *Setting, app string) http.Handler {
	host, _ := os.Hostname() // without one all pods have the same luck
	var salt uint64
	for _, c := range host {
		salt = salt*31 + uint64(c)
	}
	s.chance = rand.New(rand.NewPCG(s.Seed, salt))
	pass := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: app})
	pass.Transport = &http.Transport{MaxIdleConnsPerHost: 512, DisableCompression: true}
	treated := m.treat(s, pass)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.UserAgent(), "kube-probe/") {
			pass.ServeHTTP(w, r)
			return
		}
		treated.ServeHTTP(w, r)
	})
}

// luck is true for the share of the calls.
func (s *Setting) luck(share float64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.chance.Float64() < share
}
