package loadgen

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// harEntry is what we need of an entry of a HAR (HTTP Archive 1.2).
type harEntry struct {
	Started time.Time `json:"startedDateTime"`
	Request struct {
		Method  string `json:"method"`
		URL     string `json:"url"`
		Headers []struct{ Name, Value string }
		Post    *struct {
			Text   string            `json:"text"`
			Params []json.RawMessage `json:"params"`
		} `json:"postData"`
	} `json:"request"`
	Response struct {
		Status int `json:"status"`
	} `json:"response"`
}

// parseHAR reads the entries of log.entries, each with the line that it begins on.
func parseHAR(data []byte) ([]once, error) {
	decoder := json.NewDecoder(bytes.NewReader(data))
	seen, lines := int64(0), 1
	line := func() int { // on which the decoder is
		lines += bytes.Count(data[seen:decoder.InputOffset()], []byte("\n"))
		seen = decoder.InputOffset()
		return lines
	}
	if err := enter(decoder, "log", "entries"); err != nil {
		return nil, atLine(line(), "no HAR: %w", err)
	}
	var found []once
	for decoder.More() {
		var raw json.RawMessage
		err := decoder.Decode(&raw)
		number := line() - bytes.Count(raw, []byte("\n")) // on which the entry begins
		if err != nil {
			return nil, atLine(number, "%w", err)
		}
		var entry harEntry
		if err := json.Unmarshal(raw, &entry); err != nil {
			return nil, atLine(number, "no entry of a HAR: %w", err)
		}
		o, err := entry.once()
		if err != nil {
			return nil, atLine(number, "%w", err)
		}
		o.line = number
		found = append(found, o)
	}
	if _, err := decoder.Token(); err != nil {
		return nil, atLine(line(), "%w", err)
	}
	return found, nil
}

// enter goes to the array that is found by these keys, one below the other.
func enter(decoder *json.Decoder, keys ...string) error {
	for _, key := range keys {
		if token, err := decoder.Token(); err != nil || token != json.Delim('{') {
			return fmt.Errorf("there is no object with a key %q", key)
		}
		for {
			token, err := decoder.Token()
			if err != nil || token == json.Delim('}') {
				return fmt.Errorf("there is no key %q", key)
			}
			if token == key {
				break
			}
			var other json.RawMessage
			if err := decoder.Decode(&other); err != nil {
				return err
			}
		}
	}
	if token, err := decoder.Token(); err != nil || token != json.Delim('[') {
		return fmt.Errorf("%s is no list", strings.Join(keys, "."))
	}
	return nil
}

func (e harEntry) once() (once, error) {
	at, err := instant(e.Started)
	if err != nil {
		return once{}, err
	}
	host, path, err := pathOf(e.Request.URL)
	if err != nil {
		return once{}, err
	}
	r := RequestSpec{Method: e.Request.Method, Path: path, Headers: map[string]string{}, Expect: expecting(e.Response.Status)}
	for _, header := range e.Request.Headers {
		switch name := http.CanonicalHeaderKey(header.Name); {
		case strings.HasPrefix(header.Name, ":"): // HTTP/2 has the method and the path there
		case r.Headers[name] == "":
			r.Headers[name] = header.Value
		case name == "Cookie":
			r.Headers[name] += "; " + header.Value
		default:
			r.Headers[name] += ", " + header.Value
		}
	}
	if post := e.Request.Post; post != nil {
		if r.Body = post.Text; r.Body == "" && len(post.Params) > 0 {
			return once{}, fmt.Errorf("the body of the %s is not in the HAR, only its parameters are", r.Method)
		}
	}
	return once{at: at, host: host, request: r}, nil
}

// parseTraefik reads an access log of Traefik, as JSON. What stands before the first
// brace of a line is a container runtime's. Traefik's own messages between are skipped.
func parseTraefik(data []byte) ([]once, error) {
	var found []once
	for number, line := range numbered(data) {
		line = line[max(bytes.IndexByte(line, '{'), 0):]
		var fields map[string]any
		if err := json.Unmarshal(line, &fields); err != nil {
			return nil, atLine(number, "no line of an access log: %w", err)
		}
		text := func(name string) string { value, _ := fields[name].(string); return value }
		if _, is := fields["RequestMethod"]; !is {
			if text("level") != "" || text("msg") != "" || text("message") != "" {
				continue
			}
			return nil, atLine(number, "no line of an access log: RequestMethod is missing")
		}
		started, err := time.Parse(time.RFC3339Nano, text("StartUTC"))
		if err != nil {
			return nil, atLine(number, "StartUTC is %q: no instant", text("StartUTC"))
		}
		at, err := instant(started)
		if err != nil {
			return nil, atLine(number, "%w", err)
		}
		_, path, err := pathOf(text("RequestPath"))
		if err != nil {
			return nil, atLine(number, "%w", err)
		}
		status, _ := fields["DownstreamStatus"].(float64)
		r := RequestSpec{Method: text("RequestMethod"), Path: path, Headers: map[string]string{}, Expect: expecting(int(status))}
		for name := range fields {
			if header, is := strings.CutPrefix(name, "request_"); is && text(name) != "" {
				r.Headers[header] = text(name)
			}
		}
		found = append(found, once{line: number, at: at, host: text("RequestHost"), request: r, noBody: true})
	}
	return found, nil
}

// commonLog is a line in the common or the combined format: host, two names, time,
// request, status, size, and perhaps referrer and user agent.
var commonLog = regexp.MustCompile(`^\S+ \S+ .*?\[([^\]]+)\] "((?:[^"\\]|\\.)*)" (\d{3}) (?:\d+|-)(?: "((?:[^"\\]|\\.)*)" "((?:[^"\\]|\\.)*)".*)?$`)

const commonTime = "02/Jan/2006:15:04:05 -0700"

// parseCommonLog reads an access log. Its times are whole seconds: the requests of a
// second are spread over it evenly. What the server could not read itself is skipped.
func parseCommonLog(data []byte) ([]once, error) {
	var found []once
	for number, line := range numbered(data) {
		parts := commonLog.FindSubmatch(line)
		if parts == nil {
			return nil, atLine(number, "no HAR, no line of Traefik's, the common or the combined log format, nor one that cutover load convert writes")
		}
		stamp, asked := string(parts[1]), string(parts[2])
		status, _ := strconv.Atoi(string(parts[3])) // three digits
		logged, err := time.Parse(commonTime, stamp)
		if err != nil {
			return nil, atLine(number, "%q is no time of an access log, such as 10/Oct/2000:13:55:36 -0700", stamp)
		}
		at, err := instant(logged)
		if err != nil {
			return nil, atLine(number, "%w", err)
		}
		words := strings.Fields(asked)
		if len(words) != 3 || !strings.HasPrefix(words[2], "HTTP/") {
			if status == http.StatusBadRequest || status == http.StatusRequestTimeout {
				continue
			}
			return nil, atLine(number, "%q is no request, such as GET / HTTP/1.1", asked)
		}
		host, path, err := pathOf(words[1])
		if err != nil {
			return nil, atLine(number, "%w", err)
		}
		r := RequestSpec{Method: words[0], Path: path, Headers: map[string]string{}, Expect: expecting(status)}
		for i, name := range []string{4: "Referer", 5: "User-Agent"} {
			if name != "" && len(parts[i]) > 0 && string(parts[i]) != "-" {
				r.Headers[name] = string(parts[i])
			}
		}
		found = append(found, once{line: number, at: at, host: host, request: r, noBody: true})
	}
	spread(found)
	return found, nil
}

// spread spreads the requests of each second over it.
func spread(all []once) {
	of := map[time.Duration]int{}
	for _, o := range all {
		of[o.at]++
	}
	before := map[time.Duration]int{}
	for i := range all {
		second := all[i].at
		all[i].at += time.Second * time.Duration(before[second]) / time.Duration(of[second])
		before[second]++
	}
}
