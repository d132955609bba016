package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// environ makes a getenv of NAME=value words.
func environ(words ...string) func(string) string {
	return func(name string) string {
		for _, word := range words {
			if n, value, _ := strings.Cut(word, "="); n == name {
				return value
			}
		}
		return ""
	}
}

// get asks a shop with the given environment once.
func get(t *testing.T, method, path string, words ...string) *httptest.ResponseRecorder {
	t.Helper()
	config, err := readConfig(environ(words...))
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	newShop(config).ServeHTTP(w, httptest.NewRequest(method, path, nil))
	return w
}

func TestAnswers(t *testing.T) {
	for _, row := range []struct {
		method, path string
		env          []string
		status       int
		version      string
	}{
		// A plain shop.
		{"GET", "/cart", nil, 200, ""},
		{"POST", "/orders", nil, 201, ""},
		{"GET", "/ready", nil, 200, ""},
		// The version is told, also with an error.
		{"GET", "/cart", []string{"VERSION=v1"}, 200, "v1"},
		{"GET", "/cart", []string{"VERSION=v2", "ERROR_RATE=100%"}, 500, "v2"},
		// Readiness is its own matter.
		{"GET", "/ready", []string{"ERROR_RATE=100%", "BLACK_HOLE=true"}, 200, ""},
		{"GET", "/ready", []string{"READY=false"}, 503, ""},
		{"GET", "/cart", []string{"READY=false"}, 200, ""},
		// Warming up, it lives and cannot serve.
		{"GET", "/cart", []string{"WARM_UP=1h"}, 503, ""},
		{"GET", "/ready", []string{"WARM_UP=1h"}, 503, ""},
		{"GET", "/live", []string{"WARM_UP=1h", "READY=false"}, 200, ""},
		// Cold, it still is ready.
		{"GET", "/cart", []string{"COLD=1"}, 503, ""},
		{"GET", "/ready", []string{"COLD=1"}, 200, ""},
		// There is no folder in which a seat could be taken.
		{"GET", "/cart", []string{"SEAT=/nowhere/seat"}, 503, ""},
		// What has moved.
		{"GET", "/moved", []string{"VERSION=v1"}, 302, "v1"},
		// What it does not sell.
		{"DELETE", "/cart", nil, 405, ""},
		{"GET", "/elsewhere", nil, 404, ""},
	} {
		w := get(t, row.method, row.path, row.env...)
		if w.Code != row.status || w.Header().Get("X-Version") != row.version {
			t.Errorf("%s %s %v: got %d, version %q; want %d, %q",
				row.method, row.path, row.env, w.Code, w.Header().Get("X-Version"), row.status, row.version)
		}
	}
}

func TestThinksAboutSoManyAtOnce(t *testing.T) {
	config, err := readConfig(environ("AT_ONCE=1", "LATENCY=1h"))
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		s := newShop(config)
		ask := func(ctx context.Context, path string) *httptest.ResponseRecorder {
			w := httptest.NewRecorder()
			s.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, path, nil))
			return w
		}
		began := time.Now()
		first := make(chan time.Duration)
		go func() { ask(t.Context(), "/cart"); first <- time.Since(began) }()
		synctest.Wait()
		leaving, leave := context.WithTimeout(t.Context(), time.Minute)
		defer leave()
		ask(leaving, "/cart") // has no turn, and leaves
		if took := time.Since(began); took != time.Minute {
			t.Errorf("who had no turn left after %s", took)
		}
		if w := ask(t.Context(), "/ready"); w.Code != http.StatusOK || time.Since(began) != time.Minute {
			t.Errorf("readiness waits its turn: %d after %s", w.Code, time.Since(began))
		}
		ask(t.Context(), "/cart") // has its turn after the first
		if took, one := time.Since(began), <-first; one != time.Hour || took != 2*time.Hour {
			t.Errorf("answered after %s and %s", one, took)
		}
	})
}

func TestTellsPrometheus(t *testing.T) {
	config, err := readConfig(environ("ERROR_RATE=100%"))
	if err != nil {
		t.Fatal(err)
	}
	s := newShop(config)
	for _, path := range []string{"/cart", "/cart", "/ready"} {
		s.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	for _, want := range []string{`shop_requests_total{code="500",method="get"} 2`, `shop_request_duration_seconds_count 2`} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s is not in\n%s", want, w.Body)
		}
	}
}

func TestJudge(t *testing.T) {
	for _, row := range []struct {
		inquiry string
		status  int
		says    string
	}{
		// HAPPY: within a hundredth.
		{`{"step":"weight-10","versions":{"baseline":{"n":900},"candidate":{"n":100,"errors":1}}}`, 200, `"status":"pass"`},
		// SAD: over it.
		{`{"versions":{"candidate":{"n":100,"errors":2}}}`, 200, `"status":"fail"`},
		// NO DATA: too few, however bad, or none.
		{`{"versions":{"candidate":{"n":19,"errors":19}}}`, 200, `"status":"no-data"`},
		{`{}`, 200, `"status":"no-data"`},
		// It is no gate that asks.
		{`<html>`, 400, "no inquiry"},
	} {
		config, err := readConfig(environ("ERROR_RATE=100%"))
		if err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		newShop(config).ServeHTTP(w, httptest.NewRequest("POST", "/judge", strings.NewReader(row.inquiry)))
		if w.Code != row.status || !strings.Contains(w.Body.String(), row.says) {
			t.Errorf("%s: %d %s, want %d %s", row.inquiry, w.Code, w.Body, row.status, row.says)
		}
	}
}

func TestErrorRateIsKept(t *testing.T) {
	config, err := readConfig(environ("ERROR_RATE=5%"))
	if err != nil {
		t.Fatal(err)
	}
	shop, failed := newShop(config), 0
	for range 10_000 {
		w := httptest.NewRecorder()
		shop.ServeHTTP(w, httptest.NewRequest("GET", "/cart", nil))
		if w.Code == http.StatusInternalServerError {
			failed++
		}
	}
	if failed < 400 || failed > 600 { // 500 ± 4.6 standard deviations
		t.Errorf("%d of 10000 answers failed, want about 500", failed)
	}
}

func TestLatency(t *testing.T) {
	began := time.Now()
	get(t, "GET", "/cart", "LATENCY=50ms")
	if took := time.Since(began); took < 50*time.Millisecond {
		t.Errorf("answered after %s, want 50ms or more", took)
	}
}

func TestBlackHoleNeverAnswers(t *testing.T) {
	config, err := readConfig(environ("BLACK_HOLE=true"))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(newShop(config))
	defer server.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, server.URL+"/orders", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	if answer, err := http.DefaultClient.Do(request); err == nil {
		answer.Body.Close()
		t.Errorf("answered %s", answer.Status)
	}
}

func TestBadEnvironmentIsRefused(t *testing.T) {
	for _, word := range []string{"LATENCY=5", "ERROR_RATE=0.05", "ERROR_RATE=101%", "BLACK_HOLE=perhaps", "READY=no", "SEED=-1", "START_DELAY=soon"} {
		name, _, _ := strings.Cut(word, "=")
		if _, err := readConfig(environ(word)); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: error %v does not name it", word, err)
		}
	}
}

func TestColdShopWarmsUp(t *testing.T) {
	config, err := readConfig(environ("COLD=2"))
	if err != nil {
		t.Fatal(err)
	}
	shop := newShop(config)
	for n, want := range []int{503, 503, 200, 200} {
		w := httptest.NewRecorder()
		shop.ServeHTTP(w, httptest.NewRequest("GET", "/cart", nil))
		if w.Code != want {
			t.Errorf("request %d got %d, want %d", n+1, w.Code, want)
		}
	}
}

func TestSeat(t *testing.T) {
	path := filepath.Join(t.TempDir(), "seat")
	for range 2 {
		if !seated(path) {
			t.Error("the first one has not got, or not kept, the seat")
		}
	}
	if err := os.WriteFile(path, []byte("another"), 0o644); err != nil {
		t.Fatal(err)
	}
	if seated(path) {
		t.Error("two have the seat")
	}
}

func TestCheck(t *testing.T) {
	config, err := readConfig(environ("READY=false"))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(newShop(config))
	defer server.Close()
	_, config.port, _ = strings.Cut(strings.TrimPrefix(server.URL, "http://"), ":")
	if err := check(config, "/cart"); err != nil {
		t.Error(err)
	}
	if err := check(config, "/ready"); err == nil {
		t.Error("a shop that is not ready was found good")
	}
}
