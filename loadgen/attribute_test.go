package loadgen

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cutover-dev/cutover/history"
)

func TestJSONValue(t *testing.T) {
	tests := []struct{ body, path, want string }{
		// HAPPY: text, number, truth; at the top and below.
		{`{"message":"v2"}`, "message", "v2"},
		{`{"build":{"version":7}}`, "build.version", "7"},
		{`{"new": true}`, "new", "true"},
		// SAD: absent, of another shape, null, no JSON, cut off.
		{`{"message":"v2"}`, "version", ""},
		{`{"message":"v2"}`, "message.version", ""},
		{`{"build":{"version":7}}`, "build", ""},
		{`{"build":[1]}`, "build", ""},
		{`{"version":null}`, "version", ""},
		{`hello`, "version", ""},
		{`{"version":"v2","rest":"`, "version", ""},
		{``, "", ""},
	}
	for _, tt := range tests {
		if got := jsonValue([]byte(tt.body), tt.path); got != tt.want {
			t.Errorf("%s in %s is %q, want %q", tt.path, tt.body, got, tt.want)
		}
	}
}

func TestVersions(t *testing.T) {
	var v Versions
	v.Learn("v1", history.Baseline)
	v.Learn("v1", history.Baseline)
	v.Learn("v2", history.Candidate)
	v.Learn("same", history.Baseline)
	v.Learn("same", history.Candidate)
	v.Learn("same", history.Baseline) // once ambiguous, always ambiguous
	v.Learn("", history.Baseline)
	for value, want := range map[string]history.Version{
		"v1": history.Baseline, "v2": history.Candidate, "same": history.Unattributed, "": history.Unattributed, "v3": history.Unattributed,
	} {
		if got := v.Of(value); got != want {
			t.Errorf("%q is %q, want %q", value, got, want)
		}
	}
}

func TestParseLine(t *testing.T) {
	tests := []struct{ line, id, ip string }{
		// HAPPY: as Traefik writes it, and with a container runtime's prefix.
		{`{"DownstreamStatus":200,"OriginStatus":200,"ServiceAddr":"10.1.2.3:8080","request_X-Request-Id":"run-1"}`, "run-1", "10.1.2.3"},
		{`2026-01-02T03:04:05Z stdout F {"ServiceAddr":"10.1.2.3:8080","request_X-Request-Id":"run-1"}`, "run-1", "10.1.2.3"},
		{`{"ServiceAddr":"[fd00::7]:8080","request_X-Request-Id":"run-1"}`, "run-1", "fd00::7"},
		// HAPPY: only the URL, as text or as an object.
		{`{"ServiceURL":"http://10.1.2.3:8080","request_X-Request-Id":"run-1"}`, "run-1", "10.1.2.3"},
		{`{"ServiceURL":{"Scheme":"http","Host":"10.1.2.3:8080"},"request_X-Request-Id":"run-1"}`, "run-1", "10.1.2.3"},
		// SAD: no backend was chosen.
		{`{"DownstreamStatus":404,"request_X-Request-Id":"run-1"}`, "run-1", ""},
		// SAD: a name is no address.
		{`{"ServiceAddr":"shop:8080","request_X-Request-Id":"run-1"}`, "run-1", ""},
		// SAD: other traffic, other logs, torn lines.
		{`{"ServiceAddr":"10.1.2.3:8080"}`, "", ""},
		{`time="now" level=info msg="started"`, "", ""},
		{`{"ServiceAddr":"10.1.2.3:80`, "", ""},
		{``, "", ""},
	}
	for _, tt := range tests {
		if id, ip := parseLine([]byte(tt.line)); id != tt.id || ip != tt.ip {
			t.Errorf("%s\ngives %q, %q; want %q, %q", tt.line, id, ip, tt.id, tt.ip)
		}
	}
}

func logLine(id, address string) string {
	return fmt.Sprintf(`{"ServiceAddr":%q,"request_X-Request-Id":%q}`+"\n", address, id)
}

func TestAccessLogRemembersWhatIsFollowed(t *testing.T) {
	l := NewAccessLog()
	b := l.follow("run-")
	long := strings.Repeat("x", 2*longestLine) + "\n"
	log := logLine("ran-0", "10.0.0.9:80") + "noise\n" + long + logLine("run-1", "10.0.0.1:80") + logLine("run-1-read", "10.0.0.2:80") + `{"torn`
	if err := l.Consume(strings.NewReader(log)); err != nil {
		t.Fatal(err)
	}
	<-b.news()
	if came := b.take(); len(came) != 1 || came[0] != (backend{1, "10.0.0.1"}) || len(b.take()) != 0 {
		t.Errorf("took %v, want the backend of run-1, once", came)
	}
	b.unfollow()
	if l.line([]byte(logLine("run-2", "10.0.0.1:80"))); len(b.take()) != 0 {
		t.Error("still followed")
	}
	if err := l.Consume(io.MultiReader(strings.NewReader("a\n"), broken{})); err == nil {
		t.Error("a log that fails was taken for one that ended")
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestAttributionInOrder(t *testing.T) {
	resolve := func(ip string) (history.Version, string) {
		switch ip {
		case "10.0.0.1":
			return history.Baseline, "shop-1"
		case "10.0.0.2":
			return history.Candidate, "shop-2"
		}
		return history.Unattributed, ""
	}
	tests := []struct {
		name    string
		header  string // X-Version of the answer
		backend string // in the access log; "" if the line never comes
		learned string // value learned for the candidate while the request waits
		want    history.Request
		waits   time.Duration
	}{
		// The header goes first; the log adds the pod.
		{"header", "v2", "10.0.0.2:80", "", history.Request{Version: history.Candidate, Attributed: "header", Pod: "shop-2"}, 100 * time.Millisecond},
		// No header: the log tells both.
		{"log", "", "10.0.0.1:80", "", history.Request{Version: history.Baseline, Attributed: "access-log", Pod: "shop-1"}, 100 * time.Millisecond},
		// A value that both versions answer with tells nothing.
		{"ambiguous", "same", "10.0.0.1:80", "", history.Request{Version: history.Baseline, Attributed: "access-log", Pod: "shop-1"}, 100 * time.Millisecond},
		// The line never comes: the header still stands.
		{"header alone", "v1", "", "", history.Request{Version: history.Baseline, Attributed: "header"}, lineWait},
		// Nothing tells.
		{"nobody", "", "10.0.0.9:80", "", history.Request{}, 100 * time.Millisecond},
		// A value learned just in time.
		{"learned", "v3", "10.0.0.9:80", "v3", history.Request{Version: history.Candidate, Attributed: "header"}, 100 * time.Millisecond},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				versions := &Versions{}
				versions.Learn("v1", history.Baseline)
				versions.Learn("v2", history.Candidate)
				versions.Learn("same", history.Baseline)
				versions.Learn("same", history.Candidate)
				at := &Attribution{Source: VersionSource{Header: "X-Version"}, Versions: versions, Log: NewAccessLog(), Resolve: resolve}
				sink := &memory{began: map[int64]int{}, answered: map[int64]int{}}
				b := newBooks(&Attack{RunID: "run", Sink: sink, Attribution: at})
				go b.keep()
				r := history.Request{Seq: 1, Expected: true}
				b.inbox.put(note{kind: begins, request: r})
				began := time.Now()
				b.inbox.put(note{kind: ends, request: r, spec: &RequestSpec{}, told: tt.header})
				time.Sleep(100 * time.Millisecond)
				versions.Learn(tt.learned, history.Candidate)
				if tt.backend != "" {
					_ = at.Log.Consume(strings.NewReader(logLine("run-1", tt.backend)))
				}
				b.close()
				if len(sink.requests) != 1 {
					t.Fatalf("%d requests were entered", len(sink.requests))
				}
				got := sink.requests[0]
				tt.want.Seq, tt.want.Expected, tt.want.ID = 1, true, "run-1"
				if got != tt.want || time.Since(began) != tt.waits {
					t.Errorf("%+v after %s, want %+v after %s", got, time.Since(began), tt.want, tt.waits)
				}
			})
		})
	}
}

func TestWaitingForTheLogHoldsNoConnection(t *testing.T) {
	dial := serve(t, func(http.ResponseWriter, *http.Request) {})
	sink := attack(t, dial, func(a *Attack) {
		a.Spec.Arrivals = Constant
		a.Spec.Connections = 55 // all 70, if each held one while it waits half a second
		a.Attribution = &Attribution{Log: NewAccessLog(), Resolve: func(string) (history.Version, string) { return "", "" }}
	})
	sink.each(t, "good", func(r history.Request) bool { return r.Expected && r.Version == history.Unattributed })
}

func TestProbeVersion(t *testing.T) {
	dial := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Version", "v1")
		_, _ = io.WriteString(w, `{"build":{"version":"b1"}}`)
	})
	tests := []struct {
		source    VersionSource
		want, err string
	}{
		// HAPPY: both places.
		{VersionSource{Header: "X-Version"}, "v1", ""},
		{VersionSource{JSON: "build.version"}, "b1", ""},
		// SAD: a place without it, and no place at all.
		{VersionSource{Header: "X-Other"}, "", "has no header X-Other"},
		{VersionSource{}, "", "no header or json path is set"},
	}
	for _, tt := range tests {
		got, err := ProbeVersion(t.Context(), dial, HTTP1, RequestSpec{Path: "/"}, tt.source)
		if got != tt.want || (tt.err == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%s: %q, %v; want %q, %q", tt.source, got, err, tt.want, tt.err)
		}
	}
}

func FuzzParseLine(f *testing.F) {
	f.Add([]byte(logLine("run-1", "10.0.0.1:80")))
	f.Add([]byte(`{"ServiceURL":{"Host":"10.1.2.3:8080"},"request_X-Request-Id":"x"}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		if id, ip := parseLine(line); ip != "" && id == "" {
			t.Errorf("%q: backend %q of no request", line, ip)
		}
	})
}

func FuzzJSONValue(f *testing.F) {
	f.Add([]byte(`{"a":{"b":"c"}}`), "a.b")
	f.Add([]byte(`{"a":1e9}`), "a")
	f.Fuzz(func(t *testing.T, body []byte, path string) {
		if value := jsonValue(body, path); value != "" && !json.Valid(body) {
			t.Errorf("%q in %q, which is no JSON, gives %q", path, body, value)
		}
	})
}
