package loadgen

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
)

const (
	// maxHead bounds the lines before and after an answer's body, 1xx answers included.
	maxHead = 64 << 10
	// maxChunkLine bounds the line before a chunk.
	maxChunkLine = 4 << 10
)

// heard is what the record needs of an answer.
type heard struct {
	status     int // 0 until the head is complete
	generation int64
	version    []byte // the value of the header that tells it
	body       []byte // its beginning
	whole      *reply // all of it, if it is compared
}

func (h *heard) reset() {
	*h = heard{version: h.version[:0], body: h.body[:0]}
	if cap(h.body) > maxSpare {
		h.body = nil
	}
}

// maxSpare is the largest buffer that is kept for the next answer.
const maxSpare = 4 << 10

// parser reads answers of HTTP/1.1 and 1.0 (RFC 9112) from the bytes of a connection,
// in whatever pieces they come. It holds a line that has come in part, and allocates for
// nothing else, unless all of an answer is asked for.
//
// It is stricter than package net/http: what it takes, that one takes as the same. What it
// does not take are continued header lines, which RFC 9112 calls obsolete, other transfer
// codings than chunked, and any at all of HTTP/1.0.
type parser struct {
	versionHeader string // in lower case; "" if none tells
	keep          int    // bytes of the body

	into    *heard
	state   parserState
	noBody  bool   // of HEAD
	torn    []byte // the beginning of a line
	seen    int    // bytes of lines, towards maxHead
	status  int
	left    int64 // of the body or the chunk; in the head, what Content-Length says or -1
	chunked bool

	http10, sawClose, sawKeepAlive bool
	persistent                     bool // the connection can be used again after the answer
}

type parserState uint8

const (
	inStatus parserState = iota
	inHead
	inBody
	inChunkSize
	inChunkEnd
	inTrailer
	untilClose
	complete
)

// reset makes the parser expect the answer to the next request.
func (p *parser) reset(into *heard, noBody bool) {
	p.into, p.noBody = into, noBody
	p.seen, p.persistent = 0, false
	if p.torn = p.torn[:0]; cap(p.torn) > maxSpare {
		p.torn = nil
	}
	p.expectStatus()
}

// expectStatus begins an answer, which may be one of several: 1xx precede the real one.
func (p *parser) expectStatus() {
	p.state, p.left, p.chunked = inStatus, -1, false
	p.http10, p.sawClose, p.sawKeepAlive = false, false, false
}

func (p *parser) done() bool { return p.state == complete }

// feed takes what has come and returns what follows the answer. The error says that it
// is none.
func (p *parser) feed(data []byte) (rest []byte, err error) {
	for len(data) > 0 && !p.done() {
		switch p.state {
		case inBody:
			n := min(int64(len(data)), p.left)
			p.body(data[:n])
			data, p.left = data[n:], p.left-n
			if p.left == 0 {
				p.state = complete
				if p.chunked {
					p.state = inChunkEnd
				}
			}
		case untilClose:
			p.body(data)
			return nil, nil
		default:
			var line []byte
			if line, data, err = p.line(data); err != nil || line == nil {
				return data, err
			}
			if err := p.take(line); err != nil {
				return data, err
			}
		}
	}
	return data, nil
}

// end says what the end of the connection means: the end of the answer, or an error.
func (p *parser) end() error {
	switch {
	case p.state == untilClose:
		p.state = complete
		return nil
	case p.state == inStatus && p.seen == 0 && len(p.torn) == 0:
		return io.EOF
	}
	return io.ErrUnexpectedEOF
}

// body keeps the beginning of the body, or all of it.
func (p *parser) body(data []byte) {
	if p.into.whole != nil {
		_, _ = p.into.whole.Write(data)
	}
	if more := min(len(data), p.keep-len(p.into.body)); more > 0 {
		p.into.body = append(p.into.body, data[:more]...)
	}
}

// line is the next line with its end, or nil if it has not come as a whole.
func (p *parser) line(data []byte) (line, rest []byte, err error) {
	i := bytes.IndexByte(data, '\n') + 1
	part := data[:i]
	if i == 0 {
		part = data
	}
	if p.seen+len(p.torn)+len(part) > maxHead {
		return nil, nil, fmt.Errorf("the head of the answer is larger than %d KiB", maxHead>>10)
	}
	if i > 0 && len(p.torn) == 0 {
		return part, data[i:], nil
	}
	p.torn = append(p.torn, part...)
	if i == 0 {
		return nil, nil, nil
	}
	line, p.torn = p.torn, p.torn[:0]
	return line, data[i:], nil
}

// take takes a line.
func (p *parser) take(line []byte) error {
	size := len(line)
	line = line[:size-1]
	crlf := len(line) > 0 && line[len(line)-1] == '\r'
	if crlf {
		line = line[:len(line)-1]
	}
	switch p.state {
	case inChunkSize:
		return p.chunkSize(line, crlf)
	case inChunkEnd:
		if len(line) > 0 || !crlf {
			return malformed("the end of a chunk", line)
		}
		p.state = inChunkSize
		return nil
	}
	p.seen += size
	switch {
	case p.state == inStatus:
		return p.statusLine(line)
	case p.state == inTrailer && !crlf:
		return malformed("trailer", line)
	case len(line) > 0:
		return p.header(line)
	case p.state == inTrailer:
		p.state = complete
		return nil
	}
	return p.endOfHead()
}

// statusLine takes "HTTP/1.1 200 OK"; the reason may be missing, with or without the space.
func (p *parser) statusLine(line []byte) error {
	const least = len("HTTP/1.1 200")
	if len(line) < least || string(line[:7]) != "HTTP/1." || line[7] != '0' && line[7] != '1' || line[8] != ' ' || len(line) > least && line[least] != ' ' {
		return malformed("status line", line)
	}
	p.http10 = line[7] == '0'
	p.status = 0
	for _, digit := range line[9:12] {
		if digit < '0' || digit > '9' {
			return malformed("status line", line)
		}
		p.status = 10*p.status + int(digit-'0')
	}
	if p.status < 100 {
		return malformed("status line", line)
	}
	p.state = inHead
	p.into.generation, p.into.version = 0, p.into.version[:0]
	if p.into.whole != nil {
		p.into.whole.header = http.Header{} // without that of an interim answer
	}
	return nil
}

// header takes a line of the head or of the trailer.
func (p *parser) header(line []byte) error {
	if line[0] == ' ' || line[0] == '\t' {
		return fmt.Errorf("a header of the answer goes on over several lines, which is obsolete: %q", shortened(line))
	}
	colon := bytes.IndexByte(line, ':')
	if colon < 1 {
		return malformed("header", line)
	}
	name, value := line[:colon], bytes.Trim(line[colon+1:], " \t")
	for _, c := range name {
		if !tokenByte[c] {
			return malformed("header", line)
		}
	}
	for _, c := range value {
		if c < ' ' && c != '\t' || c == 0x7f {
			return malformed("header", line)
		}
	}
	if p.state == inTrailer {
		return nil
	}
	if p.into.whole != nil {
		p.into.whole.header.Add(string(name), string(value))
	}
	if len(p.into.version) == 0 && p.versionHeader != "" && isHeader(name, p.versionHeader) {
		p.into.version = append(p.into.version, value...)
	}
	switch {
	case isHeader(name, "content-length"):
		return p.contentLength(value)
	case isHeader(name, "transfer-encoding"):
		if p.chunked || p.http10 || !isHeader(value, "chunked") {
			return fmt.Errorf("the answer has a transfer encoding that is not understood: %q", shortened(value))
		}
		p.chunked = true
	case isHeader(name, "connection"):
		p.connection(value)
	case isHeader(name, lowerGeneration) && p.into.generation == 0:
		p.into.generation, _ = strconv.ParseInt(string(value), 10, 64) // what is no number is of no generation
	}
	return nil
}

const lowerGeneration = "x-cutover-generation"

func (p *parser) contentLength(value []byte) error {
	length := int64(0)
	for _, digit := range value {
		if digit < '0' || digit > '9' || length > (1<<63-10)/10 {
			return malformed("Content-Length", value)
		}
		length = 10*length + int64(digit-'0')
	}
	if len(value) == 0 || p.left >= 0 && p.left != length {
		return malformed("Content-Length", value)
	}
	p.left = length
	return nil
}

func (p *parser) connection(value []byte) {
	for more := true; more; {
		var option []byte
		option, value, more = bytes.Cut(value, []byte(","))
		option = bytes.Trim(option, " \t")
		p.sawClose = p.sawClose || isHeader(option, "close")
		p.sawKeepAlive = p.sawKeepAlive || isHeader(option, "keep-alive")
	}
}

// endOfHead says what follows the head.
func (p *parser) endOfHead() error {
	if p.status < 200 && p.status != 101 {
		p.expectStatus() // an interim answer
		return nil
	}
	p.into.status = p.status
	if p.into.whole != nil {
		length := p.left
		if p.chunked {
			length = -1
		}
		p.into.whole.begin(p.status, length)
	}
	p.persistent = !p.sawClose && (!p.http10 || p.sawKeepAlive) && p.status != 101
	switch {
	case p.noBody, p.status == 101, p.status == 204, p.status == 304:
		p.state = complete
	case p.chunked:
		p.state = inChunkSize
	case p.left > 0:
		p.state = inBody
	case p.left == 0:
		p.state = complete
	default:
		p.state, p.persistent = untilClose, false
	}
	return nil
}

// chunkSize takes the line before a chunk: a hexadecimal number, and extensions that mean
// nothing here.
func (p *parser) chunkSize(line []byte, crlf bool) error {
	digits, _, _ := bytes.Cut(line, []byte(";"))
	digits = bytes.TrimRight(digits, " \t")
	if !crlf || len(line) > maxChunkLine || len(digits) == 0 || len(digits) > 15 {
		return malformed("chunk size", line)
	}
	size := int64(0)
	for _, c := range digits {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return malformed("chunk size", line)
		}
		size = size<<4 | int64(c)
	}
	p.state, p.left = inBody, size
	if size == 0 {
		p.state = inTrailer
	}
	return nil
}

// malformed says which part of an answer is not as it must be.
func malformed(what string, line []byte) error {
	return errors.New("the answer is malformed: " + what + " " + strconv.Quote(string(shortened(line))))
}

func shortened(line []byte) []byte { return line[:min(len(line), 80)] }

// isHeader compares a name from the wire with one in lower case.
func isHeader(name []byte, lower string) bool {
	if len(name) != len(lower) {
		return false
	}
	for i, c := range name {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// tokenByte are the bytes of which names are made (RFC 9110, section 5.6.2).
var tokenByte = func() (is [256]bool) {
	for _, c := range "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz" {
		is[c] = true
	}
	return is
}()
