package loadgen

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

// asServed is a request as a server reads it.
func asServed(t *testing.T, text []byte) *http.Request {
	t.Helper()
	lines := bufio.NewReader(bytes.NewReader(text))
	request, err := http.ReadRequest(lines)
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	body, err := io.ReadAll(request.Body)
	if err != nil || lines.Buffered() > 0 {
		t.Fatalf("%q: %d bytes follow the request, %v", text, lines.Buffered(), err)
	}
	request.Body = io.NopCloser(bytes.NewReader(body))
	return request
}

// TestWire compares with what package net/http sends of the same.
func TestWire(t *testing.T) {
	tests := []struct {
		name      string
		request   RequestSpec
		keepAlive bool
	}{
		{"plain", RequestSpec{Path: "/"}, true},
		{"query and escapes", RequestSpec{Path: "/a b/%2F?q=1&r=x+y%20z"}, true},
		{"headers", RequestSpec{Path: "/", Headers: map[string]string{"accept": "a/b", "User-Agent": "other", "Host": "elsewhere"}}, true},
		{"body", RequestSpec{Method: "POST", Path: "/", Body: `{"sku":1}`}, true},
		{"no body where one is expected", RequestSpec{Method: "PUT", Path: "/"}, true},
		{"no body where none is", RequestSpec{Method: "DELETE", Path: "/"}, true},
		{"body of a GET", RequestSpec{Path: "/", Body: "x"}, true},
		{"HEAD", RequestSpec{Method: "HEAD", Path: "/"}, true},
		{"id in the path", RequestSpec{Method: "PUT", Path: "/ab/{{.ID}}/abb{{.ID}}?ab={{.ID}}"}, true},
		{"id in the body", RequestSpec{Method: "POST", Path: "/", Body: `{"id":"{{.ID}}","again":"{{.ID}}"}`}, true},
		{"not kept", RequestSpec{Path: "/"}, false},
		{"closed by its own header", RequestSpec{Path: "/", Headers: map[string]string{"Connection": "close"}}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			spec := tt.request.withDefaults()
			w, err := newWire(&spec, spec.target("shop"), true, tt.keepAlive)
			if err != nil {
				t.Fatal(err)
			}
			for _, seq := range []int64{0, 7, 9, 10, 123456, 8} {
				next := arrival{seq: seq, spec: &spec, target: spec.target("shop")}
				next.identify("run", true)
				sent, err := newRequest(&next.target, next.id)
				if err != nil {
					t.Fatal(err)
				}
				if w.closing {
					sent.Header.Set("Connection", "close")
				}
				var text bytes.Buffer
				if err := sent.Write(&text); err != nil {
					t.Fatal(err)
				}
				got, want := asServed(t, w.request([]byte("run-"+strconv.FormatInt(seq, 10)), w.closing)), asServed(t, text.Bytes())
				alike(t, got, want)
			}
		})
	}
}

func alike(t *testing.T, got, want *http.Request) {
	t.Helper()
	gotBody, _ := io.ReadAll(got.Body)
	wantBody, _ := io.ReadAll(want.Body)
	if got.Method != want.Method || got.RequestURI != want.RequestURI || got.Host != want.Host || got.ContentLength != want.ContentLength ||
		got.Close != want.Close || len(got.TransferEncoding) > 0 || string(gotBody) != string(wantBody) || len(got.Header) != len(want.Header) {
		t.Fatalf("got  %+v %q\nwant %+v %q", got, gotBody, want, wantBody)
	}
	for name := range want.Header {
		if got.Header.Get(name) != want.Header.Get(name) {
			t.Errorf("%s is %q, want %q", name, got.Header.Get(name), want.Header.Get(name))
		}
	}
}

func TestWireAsksForTheEndOfAConnection(t *testing.T) {
	spec := RequestSpec{Path: "/"}.withDefaults()
	w, err := newWire(&spec, spec.target("shop"), true, true)
	if err != nil {
		t.Fatal(err)
	}
	for _, last := range []bool{false, true, false} {
		if got := asServed(t, w.request([]byte("run-1"), last)); got.Close != last {
			t.Errorf("asks for the end: %t, want %t", got.Close, last)
		}
	}
}

// What was recorded is sent as it was, whatever stands in it.
func TestWireWithoutPlaceholders(t *testing.T) {
	spec := RequestSpec{Method: "POST", Path: "/", Body: "{{.ID}}"}.withDefaults()
	w, err := newWire(&spec, spec.target("shop"), false, true)
	if err != nil {
		t.Fatal(err)
	}
	if text := string(w.request([]byte("run-1"), false)); !strings.HasSuffix(text, "\r\n\r\n{{.ID}}") {
		t.Errorf("sent %q", text)
	}
}

func TestWireRefuses(t *testing.T) {
	for name, headers := range map[string]map[string]string{
		"a name with a space":      {"A b": "c"},
		"a value of several lines": {"A": "b\r\nC: d"},
	} {
		spec := RequestSpec{Path: "/", Headers: headers}.withDefaults()
		if _, err := newWire(&spec, spec.target("shop"), true, true); err == nil {
			t.Errorf("%s can be sent", name)
		}
	}
	spec := RequestSpec{Path: "/?q=a b"}.withDefaults()
	if _, err := newWire(&spec, spec.target("shop"), true, true); err == nil || !strings.Contains(err.Error(), "%20") {
		t.Errorf("a space in a query: %v", err)
	}
}

func TestList(t *testing.T) {
	type value struct {
		n    int
		node node[value]
	}
	var l list[value]
	if l.first() != nil || l.last() != nil {
		t.Error("an empty list has values")
	}
	all := make([]value, 4)
	for i := range all {
		all[i].n, all[i].node.value = i, &all[i]
		l.add(&all[i].node)
	}
	for _, leaving := range []int{1, 1, 3, 0} { // one twice
		all[leaving].node.leave()
	}
	if l.first() != &all[2] || l.last() != &all[2] || all[1].node.listed() || !all[2].node.listed() {
		t.Errorf("first %v, last %v; want 2", l.first(), l.last())
	}
	l.add(&all[1].node)
	if l.first() != &all[2] || l.last() != &all[1] {
		t.Errorf("first %v, last %v; want 2 and 1", l.first(), l.last())
	}
}
