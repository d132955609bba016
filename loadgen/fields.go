package loadgen

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Limits of what is taken apart. What is larger is compared as a whole.
const (
	parsedBody  = 1 << 20 // bytes of an answer's body
	maxLeaves   = 2000    // fields of an answer's JSON
	deepestLeaf = 64
)

// reply is an answer as it is compared.
type reply struct {
	status int
	header http.Header
	kept   *bytes.Buffer // the body; nil if it is too large to be taken apart
	size   int64
	sum    hash.Hash // of all of the body
}

// bodies are what bodies are kept in: buffers that grew with each of them anew would be
// most of what comparing takes.
var bodies = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// read reads response to its end. The reply is to be released.
func (r *reply) read(response *http.Response) error {
	r.header = response.Header
	r.begin(response.StatusCode, response.ContentLength)
	_, err := io.Copy(r, response.Body)
	return err
}

// begin is called when the head has come, with what it says of the body's length; -1 if it
// says nothing. Nothing is kept of a body that says itself that it is too large.
func (r *reply) begin(status int, length int64) {
	r.status, r.sum = status, sha256.New()
	if length <= parsedBody {
		r.kept = bodies.Get().(*bytes.Buffer)
		r.kept.Reset()
	}
}

// Write takes more of the body. It never fails.
func (r *reply) Write(data []byte) (int, error) {
	if r.size += int64(len(data)); r.size > parsedBody {
		r.release()
	}
	if r.kept != nil {
		r.kept.Write(data)
	}
	return r.sum.Write(data)
}

// release gives back what the body is kept in.
func (r *reply) release() {
	if r.kept != nil {
		bodies.Put(r.kept)
		r.kept = nil
	}
}

// fields takes the answer apart into fields and their values: "status", "format" of the
// body, "header.Content-Type", and "body.items[0].price" where the body is JSON, or else
// "body", its hash. large says that the hash is for the body's size, or for how much is
// in it, whatever it holds.
func (r *reply) fields(differs ignored) (found map[string]string, large bool) {
	found = map[string]string{"status": strconv.Itoa(r.status)}
	for name, values := range r.header {
		if !slices.Contains(neverCompared, name) {
			found["header."+name] = strconv.Quote(strings.Join(values, ", "))
		}
	}
	found["format"], large = r.takeApart(found)
	for field := range found {
		if differs.has(field) {
			delete(found, field)
		}
	}
	return found, large
}

// neverCompared are the headers that are of the connection and not of the answer (RFC
// 9110, section 7.6.1), the one that always differs, and the one that only repeats what
// the body says.
var neverCompared = []string{
	"Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
	"Date", "Content-Length",
}

// takeApart adds the fields of the body and returns its format.
func (r *reply) takeApart(found map[string]string) (format string, large bool) {
	if r.size == 0 {
		return "empty", false
	}
	if large = r.size > parsedBody; !large {
		leaves, err := readJSON(r.kept.Bytes())
		if err == nil {
			maps.Copy(found, leaves)
			return "JSON", false
		}
		large = errors.Is(err, errTooMuch)
	}
	found["body"] = fmt.Sprintf("%d bytes, sha256 %x", r.size, r.sum.Sum(nil)[:8])
	return "text", large
}

// leaves are the values in a JSON document that hold no others, by their path.
type leaves map[string]string

var (
	errTooMuch = errors.New("more is in the document than is taken apart")
	errNotOne  = errors.New("the document does not end after its value")
)

// readJSON reads a body that is one JSON value, token by token: a document of a thousand
// times as many values as are taken apart is given up, not held. Numbers stay as they are
// written.
func readJSON(body []byte) (leaves, error) {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	found := leaves{}
	if err := found.read(decoder, "body", 0); err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errNotOne
	}
	return found, nil
}

// read reads the value at path.
func (l leaves) read(decoder *json.Decoder, path string, depth int) error {
	token, err := decoder.Token()
	switch {
	case err != nil:
		return err
	case depth > deepestLeaf:
		return errTooMuch
	}
	switch token := token.(type) {
	case json.Delim:
		return l.readAll(decoder, token, path, depth)
	case string:
		return l.add(path, strconv.Quote(token))
	case nil:
		return l.add(path, "null")
	default: // a number as it is written, true, false
		return l.add(path, fmt.Sprint(token))
	}
}

// readAll reads what is in the object or the array that has begun, and its end.
func (l leaves) readAll(decoder *json.Decoder, began json.Delim, path string, depth int) error {
	n := 0
	for ; decoder.More(); n++ {
		step := "[" + strconv.Itoa(n) + "]"
		if began == '{' {
			key, err := decoder.Token()
			if err != nil {
				return err
			}
			step = stepTo(fmt.Sprint(key)) // it is a string: the decoder takes nothing else for a key
		}
		if err := l.read(decoder, path+step, depth+1); err != nil {
			return err
		}
	}
	if _, err := decoder.Token(); err != nil {
		return err
	}
	switch {
	case n > 0:
		return nil
	case began == '{':
		return l.add(path, "{}")
	}
	return l.add(path, "[]")
}

var plainKey = regexp.MustCompile(`^[A-Za-z_][-A-Za-z0-9_]*$`)

func stepTo(key string) string {
	if plainKey.MatchString(key) {
		return "." + key
	}
	return "[" + strconv.Quote(key) + "]"
}

func (l leaves) add(path, text string) error {
	if len(l) >= maxLeaves {
		return errTooMuch
	}
	l[path] = text
	return nil
}

// ignored are fields that may differ, each with all that is below it. An index may be
// written as [*], for any.
type ignored []string

// ignoring reads the names of fields. Those of headers may be written in any case.
func ignoring(names []string) ignored {
	var fields ignored
	for _, name := range names {
		if header, is := strings.CutPrefix(name, "header."); is {
			name = "header." + http.CanonicalHeaderKey(header)
		}
		fields = append(fields, name)
	}
	return fields
}

var anyIndex = regexp.MustCompile(`\[\d+\]`)

func (i ignored) has(field string) bool {
	if len(i) == 0 {
		return false
	}
	generic := anyIndex.ReplaceAllString(field, "[*]")
	return slices.ContainsFunc(i, func(name string) bool { return isUnder(field, name) || isUnder(generic, name) })
}

// isUnder reports whether field is the one called name, or below it.
func isUnder(field, name string) bool {
	rest, found := strings.CutPrefix(field, name)
	return found && (rest == "" || rest[0] == '.' || rest[0] == '[')
}
