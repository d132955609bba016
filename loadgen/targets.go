package loadgen

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strings"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

// ReadTargets reads a file of targets as vegeta does, in its HTTP or its JSON format, in
// order. Body files (@FILE) are looked for from where the targets file is. The error
// names the file as name, and the number of the target.
func ReadTargets(name string, in io.Reader) ([]RequestSpec, error) {
	data, err := io.ReadAll(io.LimitReader(in, maxRecording+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if len(data) > maxRecording {
		return nil, fmt.Errorf("%s is larger than %d MiB: cut it", name, maxRecording>>20)
	}
	next, err := targeterOf(data, filepath.Dir(name))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	var requests []RequestSpec
	var host string
	for size := 0; ; {
		var target vegeta.Target
		err := next(&target)
		if errors.Is(err, vegeta.ErrNoTargets) {
			break
		}
		size += len(target.Body)
		request, to, err := fromTarget(&target, err)
		switch {
		case err == nil && len(requests) > 0 && !strings.EqualFold(to, host):
			err = fmt.Errorf("is to %s, and the ones before to %s: all of the load goes to one service", to, host)
		case err == nil && size > maxRecording:
			err = fmt.Errorf("the bodies come to more than %d MiB: leave some out", maxRecording>>20)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: target %d: %w", name, len(requests)+1, err)
		}
		host = to
		requests = append(requests, request)
	}
	if len(requests) == 0 {
		return nil, fmt.Errorf("%s: no targets", name)
	}
	return requests, nil
}

// targeterOf tells the formats apart by how they begin. vegeta's readers end without an
// error at a line that they find too long, and at a last one that has no end: neither is
// shown to them.
func targeterOf(data []byte, folder string) (vegeta.Targeter, error) {
	if bytes.HasPrefix(bytes.TrimSpace(data), []byte("{")) {
		return vegeta.NewJSONTargeter(bytes.NewReader(append(data, '\n')), nil, nil), nil
	}
	var text bytes.Buffer
	number := 0
	for line := range bytes.Lines(data) {
		number++
		if len(line) >= bufio.MaxScanTokenSize {
			return nil, fmt.Errorf("line %d is longer than %d KiB: write the body to a file of its own, as @FILE", number, bufio.MaxScanTokenSize>>10)
		}
		if file, is := bytes.CutPrefix(bytes.TrimSpace(line), []byte("@")); is && !filepath.IsAbs(string(file)) {
			line = []byte("@" + filepath.Join(folder, string(file)) + "\n")
		}
		text.Write(line)
	}
	return vegeta.NewHTTPTargeter(&text, nil, nil), nil
}

// fromTarget is a target as a request to the service, and the host that it names.
func fromTarget(t *vegeta.Target, err error) (RequestSpec, string, error) {
	if err != nil {
		return RequestSpec{}, "", err
	}
	host, path, err := pathOf(t.URL)
	if err != nil {
		return RequestSpec{}, "", err
	}
	r := RequestSpec{
		Method: t.Method, Path: path, Body: string(t.Body), Weight: 1, Headers: map[string]string{},
		Write: isWrite(t.Method),
	}
	for name, values := range t.Header {
		if slices.ContainsFunc(values, func(v string) bool { return http.CanonicalHeaderKey(name) == "Host" && v != "" }) {
			return RequestSpec{}, "", errors.New("header Host is set by the load itself: leave it out")
		}
		r.Headers[name] = strings.Join(values, ", ")
	}
	if err := (RecordingFilter{Secrets: true}).headers(&r); err != nil {
		return RequestSpec{}, "", err
	}
	return r, host, r.validate()
}
