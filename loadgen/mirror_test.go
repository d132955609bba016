package loadgen

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cutover-dev/cutover/history"
)

// shops are pods of both versions on this machine, which note who was asked what.
type shops struct {
	pods      map[history.Version][]string
	protocols http.Protocols

	mu    sync.Mutex
	asked map[string][]string // by request id: which pods, in order
	posts int
}

// open opens a pod that answers with its own name, the current time and a total.
func (s *shops) open(t *testing.T, v history.Version, answer http.HandlerFunc) {
	name := fmt.Sprintf("%s-%d", v, len(s.pods[v]))
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		id := r.Header.Get(requestIDHeader)
		s.asked[id] = append(s.asked[id], name)
		if r.Method == http.MethodPost {
			s.posts++
		}
		s.mu.Unlock()
		w.Header().Set("X-Version", string(v))
		w.Header().Set("X-Pod", name)
		w.Header().Set("X-Host", r.Host)
		answer(w, r)
	}))
	server.Config.Protocols = &s.protocols
	server.Start()
	t.Cleanup(server.Close)
	t.Cleanup(server.CloseClientConnections)
	s.pods[v] = append(s.pods[v], server.Listener.Addr().String())
}

func cart(total int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, `{"total":%d,"at":%d}`, total, time.Now().UnixNano())
	}
}

func hangs(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

func newShops() *shops {
	return &shops{pods: map[history.Version][]string{}, asked: map[string][]string{}, protocols: *protocols(HTTP1)}
}

// diffing attacks the users' way in, while answers of the shops are compared.
func diffing(t *testing.T, s *shops, change func(*Attack)) (*memory, history.Diff) {
	t.Helper()
	users := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, "{}") })
	sink := attack(t, users, func(a *Attack) {
		a.Spec.Diff = &DiffSpec{Share: 1}
		a.Spec.Timeout = history.Duration(time.Second)
		a.Attribution = &Attribution{Source: VersionSource{Header: "x-version"}, Versions: &Versions{}}
		a.Direct = &Direct{
			Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, network, address)
			},
			Pods: func(_ context.Context, v history.Version) ([]string, error) {
				if len(s.pods[v]) == 0 {
					return nil, errors.New("not deployed")
				}
				return s.pods[v], nil
			},
		}
		if change != nil {
			change(a)
		}
	})
	told, ok := history.First[history.Diff](sink.events)
	if !ok {
		t.Fatal("nothing is told of the comparison")
	}
	d := told.Data
	sum := d.Compared
	for _, n := range d.Dropped {
		sum += n
	}
	if sum != d.Chosen || d.Chosen == 0 {
		t.Errorf("the books do not balance: %+v", d)
	}
	// Users notice nothing, whatever becomes of the comparison.
	for _, r := range sink.requests {
		if !r.Expected {
			t.Errorf("a user's request is bad: %+v", r)
		}
	}
	return sink, d
}

// ofTheCandidate are the fields in which its answer was ever the odd one.
func ofTheCandidate(d history.Diff) []history.OddField {
	return slices.DeleteFunc(slices.Clone(d.Odd), func(f history.OddField) bool { return f.Candidate == 0 })
}

func TestMirrorOverH2(t *testing.T) {
	s := newShops()
	s.protocols = *protocols(H2C)
	for range 2 {
		s.open(t, history.Baseline, cart(7))
	}
	s.open(t, history.Candidate, cart(8))
	users, _ := serveH2(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, "{}") })
	_, d := diffing(t, s, func(a *Attack) { overH2(a); a.Dial = users })
	if odd := ofTheCandidate(d); len(odd) != 1 || odd[0].Field != "body.total" || d.Compared == 0 {
		t.Errorf("got %+v", d)
	}
}

func TestMirrorFindsWhatDiffers(t *testing.T) {
	s := newShops()
	for range 3 {
		s.open(t, history.Baseline, cart(7))
	}
	for range 2 {
		s.open(t, history.Candidate, cart(8))
	}
	sink, d := diffing(t, s, nil)
	// Neither the name of a pod nor the time nor what tells the version is ever odd.
	odd := ofTheCandidate(d)
	if len(odd) != 1 || odd[0].Field != "body.total" || odd[0].Candidate != d.Compared || odd[0].Baseline != 0 {
		t.Errorf("got %+v", d)
	}
	if d.Compared < int64(len(sink.requests))/2 {
		t.Errorf("%d of %d requests were compared: %v", d.Compared, len(sink.requests), d.Dropped)
	}
	positions := map[int]int{}
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, asked := range s.asked {
		if len(asked) != 3 {
			t.Fatalf("%s was asked of %v", id, asked)
		}
		baselines := map[string]bool{}
		for i, pod := range asked {
			if pod[:9] == "candidate" {
				positions[i]++
			} else {
				baselines[pod] = true
			}
		}
		if len(baselines) != 2 {
			t.Errorf("%s was asked of %v, want two pods of the baseline", id, asked)
		}
	}
	for i := range 3 { // fewer than one in ten of some 66 has a chance of a millionth
		if positions[i]*10 < len(s.asked) {
			t.Errorf("the candidate was asked %v: at random?", positions)
		}
	}
}

func TestMirrorDrops(t *testing.T) {
	for _, row := range []struct {
		comment string
		pods    func(*testing.T, *shops)
		reasons []int
	}{
		{"before there is a candidate", func(t *testing.T, s *shops) {
			s.open(t, history.Baseline, cart(7))
			s.open(t, history.Baseline, cart(7))
		}, []int{noCandidate}},
		// What is each pod's own could not be told from what is the version's.
		{"one pod of the baseline", func(t *testing.T, s *shops) {
			s.open(t, history.Baseline, cart(7))
			s.open(t, history.Candidate, cart(7))
		}, []int{noTwoBaselines}},
		// A frozen version ties up no more than askedAtOnce, and none of the users.
		{"a candidate that never answers", func(t *testing.T, s *shops) {
			s.open(t, history.Baseline, cart(7))
			s.open(t, history.Baseline, cart(7))
			s.open(t, history.Candidate, hangs)
		}, []int{candidateSilent, tooMany}},
		{"a baseline that never answers", func(t *testing.T, s *shops) {
			s.open(t, history.Baseline, hangs)
			s.open(t, history.Baseline, hangs)
			s.open(t, history.Candidate, cart(7))
		}, []int{baselineSilent, tooMany}},
	} {
		t.Run(row.comment, func(t *testing.T) {
			s := newShops()
			row.pods(t, s)
			_, d := diffing(t, s, nil)
			for _, reason := range row.reasons {
				if d.Dropped[reasonText[reason]] == 0 {
					t.Errorf("nothing is dropped because %s: %+v", reasonText[reason], d)
				}
			}
			if d.Compared != 0 {
				t.Errorf("%d were compared", d.Compared)
			}
		})
	}
}

// drops is an asker whom nobody answers.
type drops struct{ mirror *mirror }

func (d drops) ask(t *trial) { d.mirror.drop(t, baselineSilent) }

// Which requests are compared follows from the seed alone, whatever becomes of them.
func TestMirrorChoosesByTheSeed(t *testing.T) {
	chosen := func(now *pods) (sequence []int64) {
		m := &mirror{
			spec: DiffSpec{Share: 0.3}, rand: rand.New(rand.NewPCG(7, mirrorStream)),
			slots: make(chan struct{}, askedAtOnce),
		}
		m.asker = drops{m}
		m.pods.Store(now)
		for seq := range int64(100) {
			m.offer(arrival{seq: seq, spec: &RequestSpec{Path: "/"}})
			sequence = append(sequence, m.chosen)
		}
		return sequence
	}
	none, all := chosen(nil), chosen(&pods{baseline: []string{"a", "b"}, candidate: []string{"c"}})
	if !slices.Equal(none, all) || none[99] == 0 || none[99] == 100 {
		t.Errorf("without pods %v\nwith pods %v", none, all)
	}
}

func TestMirrorLeavesWritesAlone(t *testing.T) {
	for _, writes := range []bool{false, true} {
		s := newShops()
		s.open(t, history.Baseline, cart(7))
		s.open(t, history.Baseline, cart(7))
		s.open(t, history.Candidate, cart(7))
		_, d := diffing(t, s, func(a *Attack) {
			a.Spec.Diff.Writes = writes
			a.Spec.Requests = []RequestSpec{{Path: "/cart"}, {Method: "POST", Path: "/orders", Write: true}}
		})
		s.mu.Lock()
		posts := s.posts
		s.mu.Unlock()
		if _, known := d.Requests["POST /orders"]; known != writes || (posts > 0) != writes {
			t.Errorf("writes: %v: %d writes were sent, and %v compared", writes, posts, d.Requests)
		}
	}
}

func TestDiffSpec(t *testing.T) {
	reads := []RequestSpec{{Path: "/"}}
	for _, row := range []struct {
		spec     DiffSpec
		requests []RequestSpec
		want     string
	}{
		{DiffSpec{Share: 0.1, Ignore: []string{"status", "header.ETag", "body", "body.items[*].id", "format"}}, reads, ""},
		{DiffSpec{Share: 0.1, Ignore: []string{"header."}}, reads, `load.diff.ignore[0]: "header." is no field of an answer`},
		{DiffSpec{Share: 0.1, Ignore: []string{"total"}}, reads, `load.diff.ignore[0]: "total" is no field of an answer`},
		{DiffSpec{Share: 0}, reads, "load.diff.share 0% compares nothing"},
		{DiffSpec{Share: 1}, []RequestSpec{{Method: "POST", Path: "/"}}, "load.diff compares nothing: load.requests has no GET or HEAD"},
		{DiffSpec{Share: 1, Writes: true}, []RequestSpec{{Method: "POST", Path: "/"}}, ""},
	} {
		got := ""
		if err := row.spec.validate(HTTP1, row.requests); err != nil {
			got = err.Error()
		}
		if len(got) < len(row.want) || got[:len(row.want)] != row.want || row.want == "" && got != "" {
			t.Errorf("%+v: got %q, want %q", row.spec, got, row.want)
		}
	}
}
