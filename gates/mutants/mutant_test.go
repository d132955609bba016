package mutants

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// app is what mutants are made of here.
var app = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Version", "v2")
	_, _ = fmt.Fprint(w, "hello")
})

// ask sends n requests to a mutant, with a time between them, and counts the answers
// that are not as the app's and those that took longer than half a second.
func ask(t *testing.T, m Mutant, s *Setting, n int, pause time.Duration, edit func(*http.Request)) (wrong, slow int) {
	t.Helper()
	treated := m.treat(s, app)
	for i := range n {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Header.Set("X-Request-Id", fmt.Sprintf("run-%d", i))
		if edit != nil {
			edit(r)
		}
		w, began := httptest.NewRecorder(), time.Now()
		treated.ServeHTTP(w, r)
		if w.Code != 200 || w.Body.String() != "hello" {
			wrong++
		}
		if time.Since(began) > 500*time.Millisecond {
			slow++
		}
		if w.Header().Get("X-Version") != "v2" {
			t.Fatalf("%s hides which version it is", m.Name)
		}
		time.Sleep(pause)
	}
	return wrong, slow
}

func setting() *Setting {
	s := &Setting{Rate: 20, Hold: 4 * time.Second, Slow: 2 * time.Second, Seed: 1}
	Mutant{treat: func(*Setting, http.Handler) http.Handler { return app }}.handler(s, "127.0.0.1:1") // gives it its chance
	return s
}

func find(t *testing.T, name string) Mutant {
	t.Helper()
	found, err := Find([]string{name})
	if err != nil {
		t.Fatal(err)
	}
	return found[0]
}

func TestMutantsDoWhatTheySay(t *testing.T) {
	post := func(r *http.Request) { r.Method = http.MethodPost }
	for _, row := range []struct {
		name        string
		n           int
		pause       time.Duration
		edit        func(*http.Request)
		wrong, slow [2]int // at least, at most
	}{
		// Harmless.
		{"unchanged", 1000, 0, nil, [2]int{}, [2]int{}},
		{"a-little-slower", 1000, 0, nil, [2]int{}, [2]int{}},
		{"another-header", 1000, 0, nil, [2]int{}, [2]int{}},
		{"hiccup", 1000, 0, nil, [2]int{1, 1}, [2]int{}},
		// A share of the answers.
		{"errors-1", 10000, 0, nil, [2]int{60, 140}, [2]int{}},
		{"errors-5", 10000, 0, nil, [2]int{400, 600}, [2]int{}},
		{"one-header", 10000, 0, nil, [2]int{400, 600}, [2]int{}},
		{"slow-p99", 10000, 0, nil, [2]int{}, [2]int{130, 270}},
		// All of them, or of one sort.
		{"wrong-body", 10, 0, nil, [2]int{10, 10}, [2]int{}},
		{"writes", 10, 0, nil, [2]int{}, [2]int{}},
		{"writes", 10, 0, post, [2]int{10, 10}, [2]int{}},
		// For a time only.
		{"slow-start", 100, time.Second, nil, [2]int{}, [2]int{2, 3}},
		// 8 requests a second are less than 60 % of 20, and 16 are more.
		{"under-load", 200, 125 * time.Millisecond, nil, [2]int{}, [2]int{}},
		{"under-load", 400, 62 * time.Millisecond, nil, [2]int{40, 120}, [2]int{}},
		// For longer than a step, and a second.
		{"after-promotion", 80, 62 * time.Millisecond, nil, [2]int{}, [2]int{}},
		{"after-promotion", 200, 62 * time.Millisecond, nil, [2]int{30, 70}, [2]int{}},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				wrong, slow := ask(t, find(t, row.name), setting(), row.n, row.pause, row.edit)
				if wrong < row.wrong[0] || wrong > row.wrong[1] || slow < row.slow[0] || slow > row.slow[1] {
					t.Errorf("%d wrong, %d slow of %d; want %v, %v", wrong, slow, row.n, row.wrong, row.slow)
				}
			})
		})
	}
}

// A candidate that is never ready needs no gate: the kubelet sees the app.
func TestProbesSeeTheApp(t *testing.T) {
	behind := httptest.NewServer(app)
	defer behind.Close()
	proxy := httptest.NewServer(find(t, "writes").handler(&Setting{}, strings.TrimPrefix(behind.URL, "http://")))
	defer proxy.Close()
	for agent, want := range map[string]int{"kube-probe/1.36": 200, "curl/8": 500} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, proxy.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("User-Agent", agent)
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, response.Body)
		response.Body.Close()
		if response.StatusCode != want || response.Header.Get("X-Version") != "v2" {
			t.Errorf("%s: %d, version %q", agent, response.StatusCode, response.Header.Get("X-Version"))
		}
	}
}

func TestCatalogueIsSound(t *testing.T) {
	seen := map[string]bool{}
	for i, m := range All() {
		if m.Name == "" || m.What == "" || m.treat == nil || seen[m.Name] {
			t.Errorf("%+v", m)
		}
		if i == 0 && m.Name != "unchanged" {
			t.Errorf("%s comes before the unchanged one", m.Name)
		}
		seen[m.Name] = true
	}
	if _, err := Find([]string{"errors-5", "nonsense"}); err == nil || !strings.Contains(err.Error(), `no mutant "nonsense"`) {
		t.Errorf("error %v", err)
	}
}
