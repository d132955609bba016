package loadgen

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/cutover-dev/cutover/history"
)

// keeping is a server that keeps what is put, but for what forgets says, and answers
// reads with 500 where broken says so.
func keeping(forgets, broken func(n int) bool) http.HandlerFunc {
	var mu sync.Mutex
	kept := map[string]int{}
	return func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		n, there := kept[r.URL.Path]
		switch {
		case r.Method == http.MethodPut && there: // an id that is not unique would hide a loss
			w.WriteHeader(http.StatusConflict)
		case r.Method == http.MethodPut && forgets(len(kept)):
			kept[r.URL.Path] = -1
			w.WriteHeader(http.StatusCreated)
		case r.Method == http.MethodPut:
			kept[r.URL.Path] = len(kept)
			w.WriteHeader(http.StatusCreated)
		case !there || n < 0:
			w.WriteHeader(http.StatusNotFound)
		case broken(n):
			w.WriteHeader(http.StatusInternalServerError)
		}
	}
}

func TestReadBack(t *testing.T) {
	never := func(int) bool { return false }
	third := func(n int) bool { return n%3 == 0 }
	for _, row := range []struct {
		comment         string
		forgets, broken func(int) bool
		lost, unknown   bool
	}{
		{"all is kept", never, never, false, false},
		{"some is lost", third, never, true, false},
		// A server that fails does not say that anything is lost.
		{"some cannot be read", never, third, false, true},
	} {
		sink := attack(t, serve(t, keeping(row.forgets, row.broken)), func(a *Attack) {
			a.Spec.Requests = []RequestSpec{
				{Method: http.MethodPut, Path: "/ledger/{{.ID}}", Write: true, ReadBack: &ReadBackSpec{Path: "/ledger/{{.ID}}"}},
				{Path: "/none", Expect: ExpectSpec{Status: []int{404}}},
			}
		})
		told, ok := history.First[history.ReadBack](sink.events)
		got := told.Data
		if !ok || got.Acknowledged == 0 || got.Kept+got.Lost+got.Unknown != got.Acknowledged {
			t.Fatalf("%s: the books do not balance: %+v", row.comment, got)
		}
		writes := 0
		for _, r := range sink.requests {
			if r.Write && r.Expected {
				writes++
			}
			if !r.Expected {
				t.Errorf("%s: %+v", row.comment, r)
			}
		}
		if int64(writes) != got.Acknowledged {
			t.Errorf("%s: %d writes were answered well, %d asked for", row.comment, writes, got.Acknowledged)
		}
		if (got.Lost > 0) != row.lost || (got.Unknown > 0) != row.unknown || row.lost != (len(got.Samples) > 0) {
			t.Errorf("%s: got %+v", row.comment, got)
		}
	}
}

// Without anything to read back, nothing is told of it.
func TestNothingToReadBack(t *testing.T) {
	sink := attack(t, serve(t, nothing), nil)
	if _, told := history.First[history.ReadBack](sink.events); told {
		t.Error("it is told of")
	}
}

func TestReadBackSpec(t *testing.T) {
	good := RequestSpec{Method: "PUT", Path: "/a/{{.ID}}", Write: true, ReadBack: &ReadBackSpec{Path: "/a/{{.ID}}"}}
	for _, row := range []struct {
		spoil func(*RequestSpec)
		want  string
	}{
		{func(*RequestSpec) {}, ""},
		{func(r *RequestSpec) { r.Path, r.Body = "/a", "{{.ID}}" }, ""},
		{func(r *RequestSpec) { r.Write = false }, "readBack is for writes"},
		{func(r *RequestSpec) { r.Path = "/a" }, "readBack takes writes that can be told apart"},
		{func(r *RequestSpec) { r.ReadBack = &ReadBackSpec{Path: "/a"} }, `readBack.path "/a" must begin with a slash and have {{.ID}}`},
	} {
		r := good
		row.spoil(&r)
		err := r.validate()
		if row.want == "" && err != nil || row.want != "" && (err == nil || !strings.HasPrefix(err.Error(), row.want)) {
			t.Errorf("%+v: got %v, want %q", r, err, row.want)
		}
	}
}
