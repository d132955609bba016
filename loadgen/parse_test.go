package loadgen

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

// parsed is what became of the bytes of a connection.
type parsed struct {
	status     int
	generation int64
	version    string
	body       string
	rest       int // bytes after the answer
	persistent bool
	done       bool
	err        error
}

// parse feeds the bytes in pieces that end at cuts, and then the end of the connection.
func parse(data []byte, method string, cuts ...int) parsed {
	return parseInto(&heard{}, data, method, cuts...)
}

// parseWhole are the fields of an answer as it is compared.
func parseWhole(data []byte, method string, cuts ...int) map[string]string {
	var whole reply
	parseInto(&heard{whole: &whole}, data, method, cuts...)
	fields, _ := whole.fields(nil)
	return fields
}

func parseInto(into *heard, data []byte, method string, cuts ...int) parsed {
	p := parser{versionHeader: "x-version", keep: 1 << 20}
	p.reset(into, method == http.MethodHead)
	var rest []byte
	var err error
	from := 0
	for _, cut := range append(cuts, len(data)) {
		if p.done() || err != nil {
			break
		}
		cut = min(max(cut, from), len(data))
		piece := bytes.Clone(data[from:cut]) // what was fed before may not be looked at again
		rest, err = p.feed(piece)
		from = cut - len(rest)
		rest = data[from:]
	}
	if err == nil && !p.done() {
		err = p.end()
	}
	return parsed{into.status, into.generation, string(into.version), string(into.body), len(rest), p.persistent, p.done(), err}
}

func TestParser(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\n"
	tests := []struct {
		name, answer string
		want         parsed
		err          string
	}{
		// HAPPY: the ways in which a body's length is told.
		{"length", ok + "Content-Length: 2\r\n\r\nhiHTTP", parsed{status: 200, body: "hi", rest: 4, persistent: true}, ""},
		{"empty", ok + "Content-Length: 0\r\n\r\n", parsed{status: 200, persistent: true}, ""},
		{"same length twice", ok + "Content-Length: 2\r\nContent-Length: 2\r\n\r\nhi", parsed{status: 200, body: "hi", persistent: true}, ""},
		{"chunked", ok + "Transfer-Encoding: Chunked\r\n\r\n2\r\nhi\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n", parsed{status: 200, body: "hi0123456789", persistent: true}, ""},
		{"trailers", ok + "Transfer-Encoding: chunked\r\n\r\n0\r\nX-Version: v9\r\n\r\nrest", parsed{status: 200, rest: 4, persistent: true}, ""},
		{"until close", ok + "\r\nhi", parsed{status: 200, body: "hi"}, ""},
		// HAPPY: answers without a body, whatever they say of it.
		{"204", "HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\n", parsed{status: 204, persistent: true}, ""},
		{"304", "HTTP/1.1 304 Not Modified\r\n\r\n", parsed{status: 304, persistent: true}, ""},
		{"interim answers", "HTTP/1.1 100 Continue\r\nX-Version: v0\r\n\r\nHTTP/1.1 103 Early Hints\r\nConnection: close\r\n\r\n" + ok + "Content-Length: 0\r\n\r\n", parsed{status: 200, persistent: true}, ""},
		{"switching", "HTTP/1.1 101 Switching Protocols\r\n\r\n\x00", parsed{status: 101, rest: 1}, ""},
		// HAPPY: how long the connection lives.
		{"close", ok + "Connection: x, Close\r\nContent-Length: 0\r\n\r\n", parsed{status: 200}, ""},
		{"1.0", "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", parsed{status: 200}, ""},
		{"1.0 kept", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n", parsed{status: 200, persistent: true}, ""},
		// HAPPY: what is read out of the head.
		{"headers", ok + "x-version:  v2\t\r\nX-VERSION: v3\r\nX-Cutover-Generation: 7\r\nContent-Length: 0\r\n\r\n", parsed{status: 200, generation: 7, version: "v2", persistent: true}, ""},
		// HAPPY: no reason, and bare line feeds.
		{"no reason", "HTTP/1.1 503\nContent-Length: 0\n\n", parsed{status: 503, persistent: true}, ""},
		// SAD: cut off at every stage.
		{"nothing", "", parsed{}, "EOF"},
		{"half a line", "HTTP/1.1 2", parsed{}, "unexpected EOF"},
		{"half a head", ok + "X: y\r\n", parsed{}, "unexpected EOF"},
		{"half a body", ok + "Content-Length: 3\r\n\r\nhi", parsed{}, "unexpected EOF"},
		{"half a chunk", ok + "Transfer-Encoding: chunked\r\n\r\n5\r\nhi", parsed{}, "unexpected EOF"},
		{"no last chunk", ok + "Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n", parsed{}, "unexpected EOF"},
		{"no end of trailers", ok + "Transfer-Encoding: chunked\r\n\r\n0\r\n", parsed{}, "unexpected EOF"},
		// SAD: no HTTP/1.
		{"another protocol", "SSH-2.0-OpenSSH\r\n", parsed{}, `malformed: status line "SSH-2.0-OpenSSH"`},
		{"HTTP/2", "HTTP/2.0 200 OK\r\n", parsed{}, "status line"},
		{"status of two digits", "HTTP/1.1 20 OK\r\n", parsed{}, "status line"},
		{"status below 100", "HTTP/1.1 099 OK\r\n", parsed{}, "status line"},
		// SAD: headers that are none, or mean two things.
		{"continued", ok + "X: y\r\n z\r\n\r\n", parsed{}, "over several lines"},
		{"no colon", ok + "X\r\n\r\n", parsed{}, "malformed: header"},
		{"space before the colon", ok + "Content-Length : 2\r\n\r\nhi", parsed{}, "malformed: header"},
		{"control character", ok + "X: a\x00b\r\n\r\n", parsed{}, "malformed: header"},
		{"bare carriage return", ok + "X: a\rb\r\n\r\n", parsed{}, "malformed: header"},
		{"two lengths", ok + "Content-Length: 2\r\nContent-Length: 3\r\n\r\nhi", parsed{}, "Content-Length"},
		{"negative length", ok + "Content-Length: -2\r\n\r\nhi", parsed{}, "Content-Length"},
		{"length beyond all", ok + "Content-Length: 99999999999999999999\r\n\r\n", parsed{}, "Content-Length"},
		{"no length", ok + "Content-Length:\r\n\r\n", parsed{}, "Content-Length"},
		{"compressed", ok + "Transfer-Encoding: gzip, chunked\r\n\r\n", parsed{}, "not understood"},
		{"twice chunked", ok + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", parsed{}, "not understood"},
		{"1.0 chunked", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", parsed{}, "not understood"},
		// SAD: chunks that are none.
		{"bad size", ok + "Transfer-Encoding: chunked\r\n\r\n0x2\r\nhi\r\n", parsed{}, "chunk size"},
		{"no size", ok + "Transfer-Encoding: chunked\r\n\r\n\r\n", parsed{}, "chunk size"},
		{"size beyond all", ok + "Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n", parsed{}, "chunk size"},
		{"longer than it says", ok + "Transfer-Encoding: chunked\r\n\r\n2\r\nhi!\r\n", parsed{}, "end of a chunk"},
		// SAD: heads without an end.
		{"large head", ok + strings.Repeat("X: "+strings.Repeat("y", 1000)+"\r\n", 70), parsed{}, "larger than 64 KiB"},
		{"long line", ok + "X: " + strings.Repeat("y", maxHead), parsed{}, "larger than 64 KiB"},
		{"interim answers for ever", strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 3000), parsed{}, "larger than 64 KiB"},
		{"trailers for ever", ok + "Transfer-Encoding: chunked\r\n\r\n0\r\n" + strings.Repeat("X: y\r\n", 20000), parsed{}, "larger than 64 KiB"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bytewise := make([]int, min(len(tt.answer), 200))
			for i := range bytewise {
				bytewise[i] = i
			}
			for _, cuts := range [][]int{nil, bytewise} {
				got := parse([]byte(tt.answer), "GET", cuts...)
				if tt.err != "" {
					if got.err == nil || !strings.Contains(got.err.Error(), tt.err) || got.done {
						t.Errorf("got %+v, want an error that says %q", got, tt.err)
					}
					continue
				}
				tt.want.done = true
				if got != tt.want {
					t.Errorf("got  %+v\nwant %+v", got, tt.want)
				}
			}
		})
	}
	head := parse([]byte(ok+"Content-Length: 5\r\n\r\n"), "HEAD")
	if !head.done || !head.persistent || head.body != "" {
		t.Errorf("of HEAD: %+v", head)
	}
}

func TestParserKeepsTheBeginningOfABody(t *testing.T) {
	var into heard
	p := parser{keep: 10}
	p.reset(&into, false)
	for _, piece := range []string{"HTTP/1.1 500 No\r\nContent-Length: 1000000\r\n\r\n1234", "567890ab", strings.Repeat("x", 999_988)} {
		if rest, err := p.feed([]byte(piece)); err != nil || len(rest) > 0 {
			t.Fatalf("%d bytes left, %v", len(rest), err)
		}
	}
	if !p.done() || string(into.body) != "1234567890" || cap(into.body) > 64 {
		t.Errorf("done %t, kept %q in %d bytes", p.done(), into.body, cap(into.body))
	}
}

// oracle reads the same by package net/http. It gives up where that one does.
func oracle(data []byte, method string) (parsed, *http.Response) {
	counted := bytes.NewReader(data)
	lines := bufio.NewReaderSize(counted, 1<<16)
	for {
		response, err := http.ReadResponse(lines, &http.Request{Method: method})
		if err != nil {
			return parsed{err: err}, nil
		}
		if response.StatusCode < 200 && response.StatusCode != 101 {
			continue // as its transport does
		}
		body := []byte{}
		if response.StatusCode != 101 {
			body, err = io.ReadAll(response.Body)
		}
		response.Body = io.NopCloser(bytes.NewReader(body)) // to be read again
		generation, _ := strconv.ParseInt(response.Header.Get(generationHeader), 10, 64)
		return parsed{
			status: response.StatusCode, generation: generation, version: response.Header.Get("X-Version"), body: string(body),
			rest: lines.Buffered() + counted.Len(), persistent: !response.Close && response.StatusCode != 101, done: err == nil, err: err,
		}, response
	}
}

// FuzzParser compares with package net/http: what the parser takes as an answer, that one
// takes as the same, and pieces make no difference.
func FuzzParser(f *testing.F) {
	for _, seed := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "HTTP/1.0 200\n\nbody", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No\r\n\r\nX",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-Version: a\r\n\r\n3;x\r\nabc\r\n0\r\nT: 1\r\n\r\n", "HTTP/1.1 304 N\r\nConnection: close\r\n\r\n",
		"HTTP/1.1 200 OK\r\nConnection: keep-alive, close\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n1", "HTTP/1.1 200 OK\r\nX-Cutover-Generation: 12\r\nContent-Length: 0\r\n\r\n",
	} {
		f.Add([]byte(seed), 3, false)
		f.Add([]byte(seed), 20, true)
	}
	f.Fuzz(func(t *testing.T, data []byte, cut int, head bool) {
		method := http.MethodGet
		if head {
			method = http.MethodHead
		}
		got := parse(data, method)
		if pieces := parse(data, method, cut, cut+1, cut+7); pieces.String() != got.String() {
			t.Fatalf("%q in pieces:\n%s\nas one:\n%s", data, pieces, got)
		}
		if !got.done {
			return
		}
		want, response := oracle(data, method)
		if excused(want.err) {
			return
		}
		if response != nil && got.version == "" {
			want.version = firstValue(response.Header["X-Version"], want.version)
		}
		if want.err != nil || got.String() != want.String() {
			t.Fatalf("%q\ngot  %s\nwant %s", data, got, want)
		}
		sameWhole(t, parseWhole(data, method, cut), response)
	})
}

// sameWhole compares what is compared of an answer with what it is by package net/http.
func sameWhole(t *testing.T, got map[string]string, response *http.Response) {
	t.Helper()
	var r reply
	if err := r.read(response); err != nil {
		t.Fatal(err)
	}
	want, _ := r.fields(nil)
	if _, old := want["header.Pragma"]; old { // net/http makes another header of it
		delete(want, "header.Cache-Control")
		delete(got, "header.Cache-Control")
	}
	if !maps.Equal(got, want) {
		t.Fatalf("as a whole\ngot  %v\nwant %v", got, want)
	}
}

// firstValue is what the parser says of several values: the first that is not empty; want
// is that of net/http, which is the first.
func firstValue(values []string, want string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return want
}

// excused are refusals of net/http that guard servers, or concern headers that the
// parser does not look at.
func excused(err error) bool {
	if err == nil {
		return false
	}
	for _, text := range []string{"too much overhead", "bad trailer key", "trailer header without chunked", "http: suspiciously long trailer"} {
		if strings.Contains(err.Error(), text) {
			return true
		}
	}
	return false
}

func (p parsed) String() string {
	return fmt.Sprintf("status %d, generation %d, version %q, body %q, rest %d, persistent %t, done %t, %v",
		p.status, p.generation, p.version, p.body, p.rest, p.persistent, p.done, p.err)
}

// FuzzWellFormed makes answers that are as they must be: the parser takes them all, and
// as package net/http does.
func FuzzWellFormed(f *testing.F) {
	for seed := range uint64(20) {
		f.Add(seed, []byte("hello, world"))
	}
	f.Fuzz(func(t *testing.T, seed uint64, body []byte) {
		chance := rand.New(rand.NewPCG(seed, 1))
		data, method := wellFormed(chance, body)
		got := parse(data, method, chance.IntN(len(data)), chance.IntN(len(data)))
		want, response := oracle(data, method)
		if want.err != nil {
			t.Fatalf("the oracle refuses what is well formed: %q: %v", data, want.err)
		}
		if got.String() != want.String() {
			t.Fatalf("%q to a %s\ngot  %s\nwant %s", data, method, got, want)
		}
		sameWhole(t, parseWhole(data, method, chance.IntN(len(data))), response)
	})
}

// wellFormed is an answer with that body, and the method that it answers.
func wellFormed(chance *rand.Rand, body []byte) ([]byte, string) {
	method := []string{"GET", "POST", "HEAD"}[chance.IntN(3)]
	status := []int{200, 201, 204, 302, 304, 404, 500, 599}[chance.IntN(8)]
	var b bytes.Buffer
	for range chance.IntN(3) {
		b.WriteString("HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n")
	}
	version := chance.IntN(2)
	fmt.Fprintf(&b, "HTTP/1.%d %d %s\r\n", version, status, []string{"", "OK", "Not Good At All"}[chance.IntN(3)])
	headers := []string{"X-Version: v" + strconv.Itoa(chance.IntN(9)), "Date: now", "X-Cutover-Generation: " + strconv.Itoa(1+chance.IntN(100)), "Set-Cookie: a=\xc3\xa9; b"}
	if chance.IntN(3) == 0 {
		headers = append(headers, "Connection: "+[]string{"close", "keep-alive", "Keep-Alive, x"}[chance.IntN(3)])
	}
	bodyless := method == "HEAD" || status == 204 || status == 304
	framing := chance.IntN(3)
	if version == 0 && framing == 1 {
		framing = 0
	}
	switch framing {
	case 0:
		headers = append(headers, fmt.Sprintf("Content-Length: %d", len(body)))
	case 1:
		headers = append(headers, "Transfer-Encoding: chunked")
	}
	chance.Shuffle(len(headers), func(i, j int) { headers[i], headers[j] = headers[j], headers[i] })
	b.WriteString(strings.Join(headers, "\r\n") + "\r\n\r\n")
	switch {
	case bodyless:
	case framing == 1:
		for rest := body; len(rest) > 0; {
			n := 1 + chance.IntN(len(rest))
			fmt.Fprintf(&b, "%x\r\n%s\r\n", n, rest[:n])
			rest = rest[n:]
		}
		b.WriteString("0\r\n" + []string{"", "X-Sum: 1\r\n"}[chance.IntN(2)] + "\r\n")
	default:
		b.Write(body)
	}
	return b.Bytes(), method
}

// A parser that took everything would pass for one in the comparison above, if nothing
// were refused.
func TestOracleRefuses(t *testing.T) {
	if got, _ := oracle([]byte("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi"), "GET"); !errors.Is(got.err, io.ErrUnexpectedEOF) {
		t.Errorf("got %s", got)
	}
}
