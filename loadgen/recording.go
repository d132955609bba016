package loadgen

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Recording is requests that came once, and when.
type Recording struct {
	Sum      string        `json:"sum"` // SHA-256 of the file
	Requests []RequestSpec `json:"-"`   // the different ones; Weight is how often
	Arrivals []Recorded    `json:"-"`   // by time
}

// Recorded is an arrival in a recording.
type Recorded struct {
	At      time.Duration // since the first
	Request int           // index of the different ones
}

// RecordingFilter says what is taken from a file.
type RecordingFilter struct {
	Host    string   // only requests to this one, if the file says to which they are; "" if there is but one
	Methods []string // only these; none for all
	Secrets bool     // keeps Authorization and Cookie
}

// Limits of a file.
const (
	maxRecording     = 64 << 20 // bytes
	longestRecording = 365 * 24 * time.Hour
)

// once is a request as a file has it.
type once struct {
	line    int
	at      time.Duration // since any instant, the same for a file
	host    string        // "" if the file does not say
	request RequestSpec
	noBody  bool // the file holds no bodies
}

// ReadRecording reads a HAR, an access log or a file of [Recording.Write]. The error names
// the file as name, and the line.
func ReadRecording(name string, in io.Reader, filter RecordingFilter) (Recording, error) {
	data, err := io.ReadAll(io.LimitReader(in, maxRecording+1))
	if err != nil {
		return Recording{}, fmt.Errorf("read %s: %w", name, err)
	}
	if len(data) > maxRecording {
		return Recording{}, fmt.Errorf("%s is larger than %d MiB: cut it", name, maxRecording>>20)
	}
	found, err := parserOf(data)(data)
	if err == nil {
		found, err = filter.apply(found)
	}
	if err != nil {
		return Recording{}, fmt.Errorf("%s:%w", name, err)
	}
	return newRecording(found, data), nil
}

// parserOf tells the formats apart by how they begin. Its errors begin with the line.
func parserOf(data []byte) func([]byte) ([]once, error) {
	first, _, _ := bytes.Cut(bytes.TrimLeft(data, " \t\r\n"), []byte("\n"))
	var line map[string]json.RawMessage
	switch {
	case len(first) > 0 && first[0] == '{' && json.Unmarshal(first, &line) != nil, line["log"] != nil:
		return parseHAR // over several lines, or all of it in one
	case line["at"] != nil:
		return parseRecording
	case bytes.IndexByte(first, '{') >= 0 && bytes.HasSuffix(bytes.TrimSpace(first), []byte("}")):
		return parseTraefik
	}
	return parseCommonLog
}

// atLine is an error with its line, as it follows the name of a file.
func atLine(line int, format string, args ...any) error {
	return fmt.Errorf("%d: %w", line, fmt.Errorf(format, args...))
}

// leftOut are headers that are of the connection, or that the load sets itself. Without
// Accept-Encoding, answers come as they can be read.
var leftOut = append([]string{"Host", "Content-Length", "Accept-Encoding", "Expect", requestIDHeader}, neverCompared...)

var secrets = []string{"Authorization", "Cookie"}

var headerName = regexp.MustCompile("^[-!#$%&'*+.^_`|~0-9A-Za-z]+$")

// apply leaves out what is not asked for, and finds what cannot be sent again.
func (f RecordingFilter) apply(all []once) ([]once, error) {
	hosts := map[string]bool{}
	var kept []once
	for _, o := range all {
		r := &o.request
		if len(f.Methods) > 0 && !slices.Contains(f.Methods, r.Method) || f.Host != "" && o.host != "" && !strings.EqualFold(o.host, f.Host) {
			continue
		}
		hosts[o.host] = true
		if o.noBody && slices.Contains([]string{http.MethodPost, http.MethodPut, http.MethodPatch}, r.Method) {
			return nil, atLine(o.line, "a %s has a body, which an access log does not hold: take only other methods, such as GET and HEAD", r.Method)
		}
		if r.Method == "" {
			return nil, atLine(o.line, "a request without a method")
		}
		if err := f.headers(r); err != nil {
			return nil, atLine(o.line, "%w", err)
		}
		r.Write = isWrite(r.Method)
		if err := r.validate(); err != nil {
			return nil, atLine(o.line, "%w", err)
		}
		kept = append(kept, o)
	}
	if len(hosts) > 1 {
		names := slices.Sorted(maps.Keys(hosts))
		return nil, atLine(1, "requests to %d hosts: choose one: %s", len(names), strings.Join(names[:min(len(names), 8)], ", "))
	}
	if len(kept) == 0 {
		return nil, atLine(1, "no request to send again among %d", len(all))
	}
	slices.SortStableFunc(kept, func(a, b once) int { return cmp.Compare(a.at, b.at) })
	if last := kept[len(kept)-1]; last.at-kept[0].at > longestRecording {
		return nil, atLine(last.line, "more than a year after the first one, on line %d", kept[0].line)
	}
	return kept, nil
}

// headers keeps those that are sent again.
func (f RecordingFilter) headers(r *RequestSpec) error {
	kept := map[string]string{}
	for name, value := range r.Headers {
		name = http.CanonicalHeaderKey(name)
		if slices.Contains(leftOut, name) || !f.Secrets && slices.Contains(secrets, name) {
			continue
		}
		if !sendable(name, value) {
			return fmt.Errorf("header %q cannot be sent", name)
		}
		kept[name] = value
	}
	r.Headers = kept
	if len(kept) == 0 {
		r.Headers = nil
	}
	return nil
}

// sendable reports whether a header can stand in a request.
func sendable(name, value string) bool {
	return headerName.MatchString(name) && !strings.ContainsFunc(value, func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f })
}

// newRecording finds the different ones among requests that are in order, from a file.
func newRecording(all []once, file []byte) Recording {
	r := Recording{Sum: fmt.Sprintf("%x", sha256.Sum256(file))}
	known := map[string]int{}
	for _, o := range all {
		key, _ := json.Marshal(o.request) // plain texts and numbers
		i, ok := known[string(key)]
		if !ok {
			i = len(r.Requests)
			known[string(key)] = i
			r.Requests = append(r.Requests, o.request)
		}
		r.Requests[i].Weight++
		r.Arrivals = append(r.Arrivals, Recorded{At: o.at - all[0].at, Request: i})
	}
	return r
}

// expecting is what a request that was once answered with status expects. That a request
// was refused is to be expected again; that the server failed is not.
func expecting(status int) ExpectSpec {
	if status >= 400 && status < 500 {
		return ExpectSpec{Status: []int{status}}
	}
	return ExpectSpec{}
}

// instant is t as a duration since 1970. What no recording can be of is refused, since it
// does not fit.
func instant(t time.Time) (time.Duration, error) {
	if t.Year() < 1970 || t.Year() > 2200 {
		return 0, fmt.Errorf("the time %s is of no recording", t.Format(time.RFC3339))
	}
	return time.Duration(t.UnixNano()), nil
}

// pathOf is the path and query of a URL that was asked for, and its host.
func pathOf(text string) (host, path string, err error) {
	parse := url.Parse
	if strings.HasPrefix(text, "/") {
		parse = url.ParseRequestURI // two slashes at the beginning are no host's
	}
	u, err := parse(text)
	switch {
	case err != nil || u.Host == "" && !strings.HasPrefix(text, "/"):
		return "", "", fmt.Errorf("%q is no URL that can be asked for", text)
	case u.Scheme != "" && u.Scheme != "http" && u.Scheme != "https":
		return "", "", fmt.Errorf("%q is not asked for by HTTP", text)
	}
	return u.Host, u.RequestURI(), nil
}

// oneLine is a line of the format of [Recording.Write].
type oneLine struct {
	At      string            `json:"at"` // since the first, as 1.25s
	Method  string            `json:"method,omitempty"`
	Path    string            `json:"path"`
	Headers map[string]string `json:"headers,omitempty"`
	Body    string            `json:"body,omitempty"`
	Status  int               `json:"status,omitempty"` // of its answer, if another one would be good otherwise
}

// Write writes the recording, one request a line, as JSON.
func (r Recording) Write(w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	for _, a := range r.Arrivals {
		q := r.Requests[a.Request]
		line := oneLine{At: a.At.String(), Method: q.Method, Path: q.Path, Headers: q.Headers, Body: q.Body}
		if len(q.Expect.Status) > 0 {
			line.Status = q.Expect.Status[0]
		}
		if err := encoder.Encode(line); err != nil {
			return err
		}
	}
	return nil
}

// parseRecording reads what [Recording.Write] writes, and nothing else.
func parseRecording(data []byte) ([]once, error) {
	var found []once
	for number, line := range numbered(data) {
		decoder := json.NewDecoder(bytes.NewReader(line))
		decoder.DisallowUnknownFields()
		var l oneLine
		if err := decoder.Decode(&l); err != nil {
			return nil, atLine(number, "%w", err)
		}
		if decoder.More() {
			return nil, atLine(number, "more than one request: write one a line")
		}
		at, err := time.ParseDuration(l.At)
		switch {
		case err != nil || at < 0 || at > longestRecording:
			return nil, atLine(number, "at is %q: write the time since the first request, such as 1.25s", l.At)
		case len(found) > 0 && at < found[len(found)-1].at:
			return nil, atLine(number, "at is %s, before the line above: write requests in their order", at)
		}
		found = append(found, once{line: number, at: at, request: RequestSpec{
			Method: cmp.Or(l.Method, http.MethodGet), Path: l.Path, Headers: l.Headers, Body: l.Body, Expect: expecting(l.Status),
		}})
	}
	return found, nil
}

// numbered yields the lines that are not blank, with their numbers.
func numbered(data []byte) func(yield func(int, []byte) bool) {
	return func(yield func(int, []byte) bool) {
		number := 0
		for line := range bytes.Lines(data) {
			number++
			if line = bytes.TrimSpace(line); len(line) > 0 && !yield(number, line) {
				return
			}
		}
	}
}
