package loadgen

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

const httpTargets = `# a comment
GET http://shop/cart
X-Account-ID: 8675309
X-Account-ID: 99

DELETE http://shop/orders/1?force=yes
Authorization: Bearer x

POST http://shop/orders
Content-Type: application/json
@order.json

GET http://shop/cart
GET http://shop/cart
`

const jsonTargets = `{"method":"GET","url":"http://shop/cart","header":{"X-Account-ID":["8675309","99"]}}

{"method":"DELETE","url":"http://shop/orders/1?force=yes","header":{"Authorization":["Bearer x"]}}
{"method":"POST","url":"http://shop/orders","body":"eyJza3UiOjF9","header":{"Content-Type":["application/json"]}}
{"method":"GET","url":"http://shop/cart"}
{"method":"GET","url":"http://shop/cart"}`

// Both formats say the same here. The second one has no end of its last line.
func TestReadTargets(t *testing.T) {
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "order.json"), []byte(`{"sku":1}`), 0o600); err != nil {
		t.Fatal(err)
	}
	want := []RequestSpec{
		{Method: "GET", Path: "/cart", Weight: 1, Headers: map[string]string{"X-Account-Id": "8675309, 99"}},
		{Method: "DELETE", Path: "/orders/1?force=yes", Weight: 1, Headers: map[string]string{"Authorization": "Bearer x"}, Write: true},
		{Method: "POST", Path: "/orders", Weight: 1, Headers: map[string]string{"Content-Type": "application/json"}, Body: `{"sku":1}`, Write: true},
		{Method: "GET", Path: "/cart", Weight: 1},
		{Method: "GET", Path: "/cart", Weight: 1},
	}
	for format, text := range map[string]string{"http": httpTargets, "json": jsonTargets} {
		got, err := ReadTargets(filepath.Join(folder, "targets"), strings.NewReader(text))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: read as %+v, %v", format, got, err)
		}
	}
}

func TestTargetsRefused(t *testing.T) {
	for _, tt := range []struct{ comment, text, want string }{
		{"nothing", "", "targets: no targets"},
		{"comments alone", "# later\n", "targets: no targets"},
		{"no URL", "GET http://shop/\n\nGET\n", "targets: target 2: bad target: GET"},
		{"no JSON", `{"method":"GET","url":"http://shop/"}` + "\n" + `{"method":`, "targets: target 2: "},
		{"no method", `{"url":"http://shop/"}`, "targets: target 1: target: required method is missing"},
		{"no header", "GET http://shop/\nX-A\n", "targets: target 1: bad header: X-A"},
		{"a header that cannot be sent", `{"method":"GET","url":"http://shop/","header":{"a b":["c"]}}`, `targets: target 1: header "a b" cannot be sent`},
		{"a body that is not there", "POST http://shop/\n@none.json\n", "targets: target 1: bad body: open none.json"},
		{"two hosts", "GET http://shop/\n\nGET http://other/\n", "targets: target 2: is to other, and the ones before to shop"},
		{"a host of its own", "GET http://shop/\nHost: other\n", "targets: target 1: header Host is set by the load"},
		{"no HTTP", "GET ftp://shop/\n", "is not asked for by HTTP"},
		{"a line that vegeta would end at", "GET http://shop/\nX: " + strings.Repeat("x", 1<<16) + "\n\nGET http://shop/2\n", "targets: line 2 is longer than 64 KiB"},
	} {
		if got, err := ReadTargets("targets", strings.NewReader(tt.text)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %+v, error %v, want %q", tt.comment, got, err, tt.want)
		}
	}
}

// Targets are asked for in turn, whatever the seed.
func TestTargetsInTurn(t *testing.T) {
	spec := valid()
	spec.Targets = "targets"
	spec.Requests = []RequestSpec{{Path: "/a"}, {Path: "/b"}, {Path: "/a"}, {Path: "/c"}}
	for _, seed := range []int64{1, 2} {
		for i, a := range arrivals(t, spec, seed, 12) {
			if want := spec.Requests[i%4].Path; a.spec.Path != want || !strings.HasSuffix(a.target.URL, want) {
				t.Errorf("arrival %d asks for %s, want %s", i, a.target.URL, want)
			}
		}
	}
}

func FuzzTargets(f *testing.F) {
	f.Add([]byte(strings.ReplaceAll(httpTargets, "@", "X:")))
	f.Add([]byte(jsonTargets))
	f.Fuzz(func(t *testing.T, data []byte) {
		if bytes.ContainsRune(data, '@') {
			return // it may name a file of this machine
		}
		requests, err := ReadTargets("targets", bytes.NewReader(data))
		if err != nil {
			return
		}
		for _, r := range requests {
			target := r.target("shop")
			if _, err := target.Request(); err != nil {
				t.Errorf("%+v was taken and cannot be sent: %v", r, err)
			}
		}
	})
}
