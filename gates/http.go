package gates

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"syscall"
)

// inCluster ends the hosts that are Services of the cluster: NAME.NAMESPACE.svc.
const inCluster = ".svc"

// maxAnswer bounds what is read of an answer.
const maxAnswer = 1 << 20

// remote speaks HTTP with a source: a Service of the cluster, dialled in there, or
// whatever this machine reaches.
type remote struct {
	url     text
	headers map[string]string
	place   Place
}

// reply is an answer that came whole.
type reply struct {
	status  int
	kind    string // media type
	header  http.Header
	body    []byte
	address string // as asked
}

// do sends a request to path below the source's address. The error says what
// happened and what to do, for a reading.
func (r remote) do(ctx context.Context, method, path, contentType, body string, v Values) (reply, error) {
	base, err := r.url.fill(v)
	if err != nil {
		return reply{}, fmt.Errorf("its url: %w", err)
	}
	headers, err := fillAll(r.headers, v)
	if err != nil {
		return reply{}, fmt.Errorf("its headers: %w", err)
	}
	address := strings.TrimSuffix(base, "/") + path
	request, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(body))
	if err != nil {
		return reply{}, err
	}
	request.Header.Set("Content-Type", contentType)
	request.Header.Set("Accept", "application/json")
	for name, value := range headers {
		request.Header.Set(name, value)
	}
	client := r.client(request.URL)
	defer client.CloseIdleConnections()
	response, err := client.Do(request)
	if err != nil {
		return reply{}, fmt.Errorf("%s: %s", address, why(err))
	}
	defer response.Body.Close()
	got := reply{status: response.StatusCode, header: response.Header, address: address}
	got.kind, _, _ = strings.Cut(response.Header.Get("Content-Type"), ";")
	if got.body, err = io.ReadAll(io.LimitReader(response.Body, maxAnswer+1)); err != nil {
		return reply{}, fmt.Errorf("%s: the answer broke off: %s", address, why(err))
	}
	if len(got.body) > maxAnswer {
		return reply{}, fmt.Errorf("%s: the answer is longer than %d bytes: is it the right address?", address, maxAnswer)
	}
	return got, nil
}

// client follows no redirect: where it leads to is not the source that was named.
func (r remote) client(to *url.URL) *http.Client {
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true}
	if service, namespace, inside := serviceOf(to.Hostname()); inside {
		transport.Proxy = nil
		transport.DialContext = func(ctx context.Context, _, address string) (net.Conn, error) {
			if r.place.Dial == nil {
				return nil, errors.New("there is no cluster to reach it in")
			}
			_, port, err := net.SplitHostPort(address)
			if err != nil {
				return nil, err
			}
			return r.place.Dial(ctx, namespace, service, port)
		}
	}
	return &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// serviceOf takes NAME.NAMESPACE.svc apart.
func serviceOf(host string) (service, namespace string, inside bool) {
	host = strings.TrimSuffix(strings.TrimSuffix(host, "."), ".cluster.local")
	name, inside := strings.CutSuffix(host, inCluster)
	service, namespace, whole := strings.Cut(name, ".")
	return service, namespace, inside && whole
}

var headerName = regexp.MustCompile("^[-!#$%&'*+.^_`|~0-9A-Za-z]+$")

// validateHeaders reports what is wrong with headers.
func validateHeaders(headers map[string]string, fail func(key, format string, args ...any)) {
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		if !headerName.MatchString(name) {
			fail("headers."+name, "%q is no header name", name)
		} else if wrong := text(headers[name]).validate(); wrong != "" {
			fail("headers."+name, "%s", wrong)
		}
	}
}

// validateURL says what is wrong with an address; "" if nothing is.
func validateURL(address text) string {
	if wrong := address.validate(); wrong != "" {
		return wrong
	}
	filled, _ := address.fill(Values{Run: "x", Scenario: "x", Step: "x", Namespace: "x", Service: "x", Port: "80", Baseline: "x", Candidate: "x",
		BaselineService: "x", CandidateService: "x", BaselineHash: "x", CandidateHash: "x"})
	parsed, err := url.Parse(filled)
	switch {
	case err != nil || parsed.Host == "" || parsed.Scheme != "http" && parsed.Scheme != "https":
		return fmt.Sprintf("is %q, which is no address: write http://HOST:PORT, as this machine reaches it, or http://SERVICE.NAMESPACE.svc:PORT for a Service of the cluster", address)
	case parsed.Fragment != "":
		return "has a fragment (#…), which is never sent: leave it out"
	}
	if _, _, inside := serviceOf(parsed.Hostname()); !inside && strings.HasSuffix(strings.TrimSuffix(parsed.Hostname(), ".cluster.local"), inCluster) {
		return fmt.Sprintf("is %q: a Service of the cluster is SERVICE.NAMESPACE.svc", address)
	}
	return ""
}

// why says of a failed exchange what happened and what to do.
func why(err error) string {
	var unwrapped *url.Error
	if errors.As(err, &unwrapped) {
		err = unwrapped.Err
	}
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "the connection was refused: does it run, and is the port right?"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return "it did not answer"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET):
		return "it closed the connection without an answer"
	}
	return err.Error()
}

// json says why the body is not JSON, if its first bytes show that.
func (r reply) notJSON() error {
	switch begin := strings.TrimSpace(string(r.body[:min(len(r.body), 64)])); {
	case begin == "":
		return fmt.Errorf("%s: answered %d with nothing in it", r.address, r.status)
	case strings.HasPrefix(begin, "<") || r.kind == "text/html":
		return fmt.Errorf("%s: answered %d with HTML, a page for people: is it the right address, and is there a login or a proxy in front of it?", r.address, r.status)
	}
	return nil
}

// shortened is the beginning of what came, on one line.
func shortened(body []byte) string {
	line := strings.Join(strings.Fields(strings.ToValidUTF8(string(body), "?")), " ")
	if runes := []rune(line); len(runes) > 200 {
		return string(runes[:200]) + "…"
	}
	return line
}
