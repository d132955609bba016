package loadgen

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

// wire is a kind of request as it goes over a connection. It is laid out once for each
// length that ids have; after that only the id is written into it.
type wire struct {
	spec    *RequestSpec
	name    string // as the record has it
	address string // to be dialled
	noBody  bool   // the answer has none
	closing bool   // every such request is the last one on its connection

	line, header string   // request line up to the target; headers that are always the same
	uri, body    []string // the id goes between the parts
	sized        bool     // it tells the length of its body

	length int     // of the ids that the forms are laid out for
	forms  [2]form // one that leaves the connection open, and one that asks for its end
}

// form is a request with holes for its id.
type form struct {
	text  []byte
	holes []int
}

// newWire serialises what target says. With fill, {{.ID}} in its URL and body stands for
// the id.
func newWire(spec *RequestSpec, target vegeta.Target, fill, keepAlive bool) (*wire, error) {
	mark := unlike(target.URL)
	body := []string{string(target.Body)}
	if fill {
		body = strings.Split(body[0], idPlaceholder)
		target.URL = strings.ReplaceAll(target.URL, idPlaceholder, mark)
	}
	request, err := target.Request()
	if err != nil {
		return nil, err
	}
	uri := request.URL.RequestURI()
	if strings.ContainsFunc(uri, func(c rune) bool { return c <= ' ' || c == 0x7f }) {
		return nil, fmt.Errorf("path %q cannot be sent: write a space in a query as + or %%20", spec.Path)
	}
	header, err := headerLines(request.Header)
	if err != nil {
		return nil, err
	}
	w := &wire{
		spec: spec, name: spec.Name(),
		address: withPort(request.URL),
		noBody:  request.Method == http.MethodHead,
		closing: !keepAlive || strings.EqualFold(request.Header.Get("Connection"), "close"),
		line:    request.Method + " ",
		header:  " HTTP/1.1\r\nHost: " + request.Host + "\r\n" + header,
		uri:     strings.Split(uri, mark),
		body:    body,
		sized:   len(target.Body) > 0 || expectsBody(request.Method),
	}
	return w, nil
}

// unlike is a text that is not in another one, needs no escaping in a URL, and begins
// nowhere within itself, so that it is found again whatever is beside it.
func unlike(text string) string {
	mark := "ab"
	for strings.Contains(text, mark) {
		mark += "b"
	}
	return mark
}

// headerLines are the headers but for those of which the value is told elsewhere.
func headerLines(header http.Header) (string, error) {
	for name, values := range header {
		for _, value := range values {
			if !sendable(name, value) {
				return "", fmt.Errorf("header %q cannot be sent", name)
			}
		}
	}
	var text strings.Builder
	err := header.WriteSubset(&text, map[string]bool{
		"Host": true, "Content-Length": true, "Transfer-Encoding": true, "Trailer": true, "Connection": true, requestIDHeader: true,
	})
	return text.String(), err
}

// expectsBody lists the methods of which a request without a body says so.
func expectsBody(method string) bool {
	return method == http.MethodPost || method == http.MethodPut || method == http.MethodPatch
}

func withPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = "80"
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// request is the bytes of the request with this id, which hold until the next call;
// last asks for the end of the connection.
func (w *wire) request(id []byte, last bool) []byte {
	if len(id) != w.length {
		w.length = len(id)
		w.forms = [2]form{w.layOut(len(id), false), w.layOut(len(id), true)}
	}
	f := &w.forms[0]
	if last {
		f = &w.forms[1]
	}
	for _, hole := range f.holes {
		copy(f.text[hole:], id)
	}
	return f.text
}

// layOut leaves holes of the length of an id.
func (w *wire) layOut(length int, last bool) form {
	var f form
	blank := strings.Repeat("?", length)
	text := func(s string) { f.text = append(f.text, s...) }
	hole := func() {
		f.holes = append(f.holes, len(f.text))
		text(blank)
	}
	around := func(parts []string) {
		for i, part := range parts {
			if i > 0 {
				hole()
			}
			text(part)
		}
	}
	text(w.line)
	around(w.uri)
	text(w.header)
	if last {
		text("Connection: close\r\n")
	}
	if w.sized {
		size := (len(w.body) - 1) * length
		for _, part := range w.body {
			size += len(part)
		}
		text("Content-Length: " + strconv.Itoa(size) + "\r\n")
	}
	text(requestIDHeader + ": ")
	hole()
	text("\r\n\r\n")
	around(w.body)
	return f
}
