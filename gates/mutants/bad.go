package mutants

import (
	"cmp"
	"hash/fnv"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"time"
)

// bad are candidates that a gate is there to stop.
func bad() []Mutant {
	return []Mutant{
		{Name: "errors-1", What: "1 % of the answers are 500", treat: errorsOf(0.01)},
		{Name: "errors-5", What: "5 % of the answers are 500", treat: errorsOf(0.05)},
		{Name: "slow-p99", What: "2 % of the answers are slow", treat: slowTail},
		{Name: "crash", What: "each pod ends 3 s after its first request", treat: crash},
		{Name: "slow-start", What: "slow for 5 s after the first request", treat: slowStart},
		{Name: "memory-leak", What: "4 MiB of each request stay, of 256 MiB", Memory: 256 << 20, treat: leak},
		{Name: "wrong-body", What: "200 with another body", treat: wrongBody},
		{Name: "writes", What: "what writes is answered with 500", treat: onWrites},
		{Name: "one-header", What: "500 for a twentieth of the values of one request header", treat: onOneHeader},
		{Name: "under-load", What: "a fifth of the answers are 500, at more than 60 % of the traffic", treat: underLoad},
		{Name: "after-promotion", What: "half of the answers are 500, after all traffic has held for a step and a second", treat: afterPromotion},
	}
}

// fail has the app answer, and sends 500 in place of that.
func fail(app http.Handler, w http.ResponseWriter, r *http.Request) {
	replace(app, w, r, http.StatusInternalServerError, "mutant\n")
}

// replace sends another answer in place of the app's: of that status, or of the same
// if it is 0. The headers stay: they may tell the version.
func replace(app http.Handler, w http.ResponseWriter, r *http.Request, status int, body string) {
	thrown := httptest.NewRecorder()
	app.ServeHTTP(thrown, r)
	for name, values := range thrown.Header() {
		if name != "Content-Length" {
			w.Header()[name] = values
		}
	}
	w.WriteHeader(cmp.Or(status, thrown.Code))
	_, _ = w.Write([]byte(body)) // the caller may have left
}

// failing fails the requests that are chosen.
func failing(app http.Handler, chosen func(*http.Request) bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if chosen(r) {
			fail(app, w, r)
			return
		}
		app.ServeHTTP(w, r)
	})
}

func errorsOf(share float64) func(*Setting, http.Handler) http.Handler {
	return func(s *Setting, app http.Handler) http.Handler {
		return failing(app, func(*http.Request) bool { return s.luck(share) })
	}
}

func slowTail(s *Setting, app http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.luck(0.02) {
			wait(r, s.Slow)
		}
		app.ServeHTTP(w, r)
	})
}

func crash(_ *Setting, app http.Handler) http.Handler {
	var once sync.Once
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		once.Do(func() {
			time.AfterFunc(3*time.Second, func() { os.Exit(1) }) //nolint:forbidigo // that is what it is for
		})
		app.ServeHTTP(w, r)
	})
}

func slowStart(s *Setting, app http.Handler) http.Handler {
	first := sync.OnceValue(time.Now)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if time.Since(first()) < 5*time.Second {
			wait(r, s.Slow)
		}
		app.ServeHTTP(w, r)
	})
}

func leak(_ *Setting, app http.Handler) http.Handler {
	var mu sync.Mutex
	var kept [][]byte
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		more := make([]byte, 4<<20)
		for i := 0; i < len(more); i += 4096 {
			more[i] = 1 // memory counts when it is touched
		}
		mu.Lock()
		kept = append(kept, more)
		mu.Unlock()
		app.ServeHTTP(w, r)
	})
}

func wrongBody(_ *Setting, app http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { replace(app, w, r, 0, "{}\n") })
}

func onWrites(_ *Setting, app http.Handler) http.Handler {
	return failing(app, func(r *http.Request) bool { return r.Method != http.MethodGet && r.Method != http.MethodHead })
}

func onOneHeader(_ *Setting, app http.Handler) http.Handler {
	return failing(app, func(r *http.Request) bool {
		sum := fnv.New32a()
		_, _ = sum.Write([]byte(r.Header.Get("X-Request-Id"))) // a hash takes everything
		return sum.Sum32()%20 == 0
	})
}

func underLoad(s *Setting, app http.Handler) http.Handler {
	busy := s.busy()
	return failing(app, func(*http.Request) bool { return busy() > 0 && s.luck(0.2) })
}

func afterPromotion(s *Setting, app http.Handler) http.Handler {
	busy := s.busy()
	return failing(app, func(*http.Request) bool { return busy() > s.Hold+time.Second && s.luck(0.5) })
}

// busy counts requests, and says for how long there have been more than 60 % of what
// the pod gets with all traffic.
func (s *Setting) busy() func() time.Duration {
	var mu sync.Mutex
	var recent []time.Time
	var since time.Time
	return func() time.Duration {
		mu.Lock()
		defer mu.Unlock()
		now := time.Now()
		recent = append(recent, now)
		for now.Sub(recent[0]) > time.Second {
			recent = recent[1:]
		}
		switch {
		case float64(len(recent)) < 0.6*s.Rate:
			since = time.Time{}
			return 0
		case since.IsZero():
			since = now
		}
		return now.Sub(since)
	}
}
