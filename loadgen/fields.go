package loadgen

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
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
	body   []byte // its first parsedBody bytes
	size   int64
	sum    hash.Hash // of all of it
}

// newReply reads response to its end and keeps no more of it than is taken apart.
func newReply(response *http.Response) (reply, error) {
	r := reply{status: response.StatusCode, header: response.Header, sum: sha256.New()}
	var kept bytes.Buffer
	beginning, err := io.Copy(io.MultiWriter(&kept, r.sum), io.LimitReader(response.Body, parsedBody))
	if err != nil {
		return reply{}, err
	}
	rest, err := io.Copy(r.sum, response.Body)
	r.body, r.size = kept.Bytes(), beginning+rest
	return r, err
}

// fields takes the answer apart into fields and their values: "status", "format" of the
// body, "header.Content-Type", and "body.items[0].price" where the body is JSON, or else
// "body", its hash.
func (r reply) fields(differs ignored) map[string]string {
	found := map[string]string{"status": strconv.Itoa(r.status)}
	for name, values := range r.header {
		if !slices.Contains(neverCompared, name) {
			found["header."+name] = strconv.Quote(strings.Join(values, ", "))
		}
	}
	found["format"] = r.takeApart(found)
	for field := range found {
		if differs.has(field) {
			delete(found, field)
		}
	}
	return found
}

// neverCompared are the headers that are of the connection and not of the answer (RFC
// 9110, section 7.6.1), the one that always differs, and the one that only repeats what
// the body says.
var neverCompared = []string{
	"Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
	"Date", "Content-Length",
}

// takeApart adds the fields of the body and returns its format.
func (r reply) takeApart(found map[string]string) string {
	if r.size == 0 {
		return "empty"
	}
	if r.size <= parsedBody {
		leaves := leaves{}
		if value, ok := parseJSON(r.body); ok && leaves.add("body", value, 0) {
			for field, text := range leaves {
				found[field] = text
			}
			return "JSON"
		}
	}
	found["body"] = fmt.Sprintf("%d bytes, sha256 %x", r.size, r.sum.Sum(nil)[:8])
	return "text"
}

// parseJSON reads a body that is one JSON value. Numbers stay as they are written.
func parseJSON(body []byte) (any, bool) {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	var value any
	if decoder.Decode(&value) != nil {
		return nil, false
	}
	_, err := decoder.Token()
	return value, errors.Is(err, io.EOF)
}

// leaves are the values in a JSON document that hold no others, by their path.
type leaves map[string]string

var plainKey = regexp.MustCompile(`^[A-Za-z_][-A-Za-z0-9_]*$`)

// add adds what is at path; false if it is too much.
func (l leaves) add(path string, value any, depth int) bool {
	if depth > deepestLeaf || len(l) >= maxLeaves {
		return false
	}
	switch value := value.(type) {
	case map[string]any:
		for key, below := range value {
			step := "." + key
			if !plainKey.MatchString(key) {
				step = "[" + strconv.Quote(key) + "]"
			}
			if !l.add(path+step, below, depth+1) {
				return false
			}
		}
		if len(value) == 0 {
			l[path] = "{}"
		}
	case []any:
		for i, below := range value {
			if !l.add(path+"["+strconv.Itoa(i)+"]", below, depth+1) {
				return false
			}
		}
		if len(value) == 0 {
			l[path] = "[]"
		}
	case string:
		l[path] = strconv.Quote(value)
	case nil:
		l[path] = "null"
	default: // a number as it is written, true, false
		l[path] = fmt.Sprint(value)
	}
	return true
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
