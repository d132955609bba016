package mutants

import (
	"net/http"
	"sync/atomic"
	"time"
)

// harmless are candidates that nobody should stop.
func harmless() []Mutant {
	return []Mutant{
		{Name: "unchanged", What: "the proxy alone", Harmless: true, treat: func(_ *Setting, app http.Handler) http.Handler { return app }},
		{Name: "a-little-slower", What: "10 ms more for every answer", Harmless: true, treat: aLittleSlower},
		{Name: "hiccup", What: "each pod fails its first request", Harmless: true, treat: hiccup},
		{Name: "another-header", What: "a response header that was not there", Harmless: true, treat: anotherHeader},
	}
}

func aLittleSlower(_ *Setting, app http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		wait(r, 10*time.Millisecond)
		app.ServeHTTP(w, r)
	})
}

func hiccup(_ *Setting, app http.Handler) http.Handler {
	var had atomic.Bool
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if had.CompareAndSwap(false, true) {
			fail(app, w, r)
			return
		}
		app.ServeHTTP(w, r)
	})
}

func anotherHeader(_ *Setting, app http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Served-With", "care")
		app.ServeHTTP(w, r)
	})
}

// wait takes time, unless the caller leaves.
func wait(r *http.Request, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.Context().Done():
	}
}
