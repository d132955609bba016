package apiproxy

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	certutil "k8s.io/client-go/util/cert"
	"sigs.k8s.io/yaml"

	"github.com/cutover-dev/cutover/history"
)

// Proxy stands before an API server.
type Proxy struct {
	server    *url.URL
	transport http.RoundTripper // with the user's credentials
	upgrades  http.RoundTripper // the same, of HTTP/1.1: no other can be upgraded
	reverse   *httputil.ReverseProxy
	authority []byte // PEM, for writers to know the proxy by
	identity  tls.Certificate
	key       []byte // of the hashes in the record
	clock     history.Clock
	sink      history.Sink

	mu          sync.Mutex
	interceptor Interceptor
	writers     map[[sha256.Size]byte]string // by the hash of their token
	kinds       map[string]string            // by group, version and resource
	requests    int64
	steps       int
}

// New makes a proxy of the API server that config reaches, for writers to act as the
// user of config. Each answered request becomes a [history.APIRequest] of the sink.
func New(config *rest.Config, clock history.Clock, sink history.Sink) (*Proxy, error) {
	server, _, err := rest.DefaultServerUrlFor(config)
	if err != nil {
		return nil, fmt.Errorf("the API server's address: %w", err)
	}
	p := &Proxy{server: server, clock: clock, sink: sink, interceptor: Pass{}, writers: map[[sha256.Size]byte]string{}, kinds: map[string]string{}}
	if p.transport, err = rest.TransportFor(config); err != nil {
		return nil, fmt.Errorf("the way to the API server: %w", err)
	}
	upgradable := rest.CopyConfig(config)
	upgradable.NextProtos = []string{"http/1.1"}
	if p.upgrades, err = rest.TransportFor(upgradable); err != nil {
		return nil, fmt.Errorf("the way to the API server: %w", err)
	}
	certificate, key, err := certutil.GenerateSelfSignedCertKey("127.0.0.1", []net.IP{net.IPv6loopback}, []string{"localhost"})
	if err != nil {
		return nil, fmt.Errorf("the proxy's own certificate: %w", err)
	}
	p.authority = certificate
	if p.identity, err = tls.X509KeyPair(certificate, key); err != nil {
		return nil, err
	}
	p.key = make([]byte, sha256.Size)
	if _, err := rand.Read(p.key); err != nil {
		return nil, err
	}
	p.reverse = &httputil.ReverseProxy{
		Rewrite: p.rewrite, Transport: roundTripper(p.forward), FlushInterval: -1, // watches are told at once
		ModifyResponse: p.answered, ErrorHandler: p.unanswered, ErrorLog: log.New(io.Discard, "", 0),
	}
	return p, nil
}

// Intercept has the interceptor told of each request from now on. Steps are counted
// from 1 again: what came before was no part of the release.
func (p *Proxy) Intercept(by Interceptor) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.interceptor, p.steps = by, 0
}

// Admit lets a writer in and returns its token.
func (p *Proxy) Admit(writer string) (token string, err error) {
	random := make([]byte, 32)
	if _, err := rand.Read(random); err != nil {
		return "", err
	}
	token = hex.EncodeToString(random)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.writers[sha256.Sum256([]byte(token))] = writer
	return token, nil
}

// Kubeconfig is the file that brings a writer with that token to the proxy, which
// listens at address, in the given namespace. It is JSON, which is YAML too, for
// writers in languages that read only that.
func (p *Proxy) Kubeconfig(address, token, namespace string) ([]byte, error) {
	const name = "cutover"
	config := clientcmdapi.NewConfig()
	config.Clusters[name] = &clientcmdapi.Cluster{Server: "https://" + address, CertificateAuthorityData: p.authority}
	config.AuthInfos[name] = &clientcmdapi.AuthInfo{Token: token}
	config.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: name, Namespace: namespace}
	config.CurrentContext = name
	file, err := clientcmd.Write(*config)
	if err != nil {
		return nil, err
	}
	return yaml.YAMLToJSON(file)
}

// Serve serves writers until ctx ends, and then cuts them off. The listener's host is
// 127.0.0.1, ::1 or localhost to them.
func (p *Proxy) Serve(ctx context.Context, listener net.Listener) error {
	server := &http.Server{
		Handler: p, ReadHeaderTimeout: 10 * time.Second, ErrorLog: log.New(io.Discard, "", 0),
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{p.identity}, MinVersion: tls.VersionTLS12},
	}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.ServeTLS(listener, "", ""); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("the API proxy: %w", err)
	}
	return nil
}

// exchange is a request and what is known of it so far.
type exchange struct {
	Request
	query  url.Values
	body   []byte // of a write
	was    state  // of what a write may change
	began  history.Micros
	by     Interceptor
	ruling Ruling
}

type exchangeKey struct{}

func exchangeOf(r *http.Request) *exchange { return r.Context().Value(exchangeKey{}).(*exchange) }

// largestBody is more than any API server takes.
const largestBody = 16 << 20

// ServeHTTP takes a request through its stages: who, what, the interceptor's ruling,
// and the API server.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer p.noteMistake()
	writer, ok := p.writerOf(r)
	if !ok {
		refuse(w, http.StatusUnauthorized, "the token is none that this proxy gave out: use the kubeconfig that KUBECONFIG names")
		return
	}
	x, err := p.receive(r, writer)
	if err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	x.ruling = x.by.Before(r.Context(), x.Request)
	switch {
	case !x.ruling.wait(r.Context()) || x.ruling.Drop:
		p.tell(x, Response{Because: "its connection was cut before it was passed on"})
		panic(http.ErrAbortHandler) // net/http's way to cut a connection
	case x.ruling.Fail != 0:
		p.tell(x, Response{Status: x.ruling.Fail, Because: "it was refused before it was passed on"})
		refuse(w, x.ruling.Fail, "injected by cutover")
		return
	}
	if x.isWrite() {
		x.was = p.before(r.Context(), x)
	}
	p.reverse.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), exchangeKey{}, x)))
}

// noteMistake records a panic of a handler, which net/http only cuts the connection
// for: to the writer that looks like a failing API server.
func (p *Proxy) noteMistake() {
	v := recover()
	if v == nil {
		return
	}
	if v != http.ErrAbortHandler { //nolint:errorlint // it is panicked with as it is
		p.sink.Event(history.NewEvent(p.clock.Now(), history.Broken{Because: fmt.Sprint("the API proxy: ", v)}))
	}
	panic(v)
}

func (p *Proxy) writerOf(r *http.Request) (writer string, ok bool) {
	token, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !bearer {
		return "", false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	writer, ok = p.writers[sha256.Sum256([]byte(token))]
	return writer, ok
}

// receive reads what a request tells of itself.
func (p *Proxy) receive(r *http.Request, writer string) (*exchange, error) {
	x := &exchange{Request: parse(r), query: r.URL.Query(), began: p.clock.Now()}
	x.Writer = writer
	if x.Resource != "" {
		x.Kind = p.kindOf(r.Context(), x.Request)
	}
	if x.isWrite() {
		body, err := io.ReadAll(io.LimitReader(r.Body, largestBody))
		if err != nil {
			return nil, fmt.Errorf("the body could not be read: %w", err)
		}
		x.body = body
		r.Body = io.NopCloser(bytes.NewReader(body))
		if x.Name == "" && x.Verb == "create" {
			sent, _ := decodeObject(r.Header.Get("Content-Type"), body) // nameless if it cannot be read
			x.Name = sent.meta.Name
		}
		x.DryRun = x.DryRun || (strings.HasPrefix(x.Verb, "delete") || x.Subresource == "eviction") && dryRun(body)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.requests++
	x.Number, x.by = p.requests, p.interceptor
	if x.isWrite() && x.unnumbered() == "" {
		x.Next = p.steps + 1
	}
	return x, nil
}

// rewrite directs a request to the API server. The writer's token stays here.
func (p *Proxy) rewrite(r *httputil.ProxyRequest) {
	r.SetURL(p.server)
	r.Out.Header.Del("Authorization")
	if exchangeOf(r.In).isWrite() {
		r.Out.Header.Del("Accept-Encoding") // the answer is read here, too
	}
}

func (p *Proxy) forward(r *http.Request) (*http.Response, error) {
	if r.Header.Get("Upgrade") != "" {
		return p.upgrades.RoundTrip(r)
	}
	return p.transport.RoundTrip(r)
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// answered looks at an answer on its way back.
func (p *Proxy) answered(r *http.Response) error {
	ctx, x := r.Request.Context(), exchangeOf(r.Request)
	response := Response{}
	if x.isWrite() {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return err
		}
		r.Body.Close()
		r.Body = io.NopCloser(bytes.NewReader(body))
		response = p.judge(ctx, x, r, body)
	}
	response.Status = r.StatusCode
	p.tell(x, response)
	x.by.After(ctx, x.Request, response)
	return nil
}

// judge says whether a write was a step, and numbers it.
func (p *Proxy) judge(ctx context.Context, x *exchange, r *http.Response, body []byte) Response {
	if r.StatusCode < 200 || r.StatusCode > 299 {
		return Response{Because: "it was refused"}
	}
	if x.Name == "" { // the API server made one up
		made, _ := decodeObject(r.Header.Get("Content-Type"), body)
		x.Name = made.meta.Name
	}
	response := p.effect(ctx, x, r.Header.Get("Content-Type"), body)
	if why := x.unnumbered(); why != "" {
		response.Because = why
	}
	if response.Because == "" {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.steps++
		response.Step = p.steps
	}
	return response
}

// unanswered is the end of a request that the API server did not answer.
func (p *Proxy) unanswered(w http.ResponseWriter, r *http.Request, err error) {
	x := exchangeOf(r)
	response := Response{Because: "no answer: " + err.Error()}
	p.tell(x, response)
	x.by.After(r.Context(), x.Request, response)
	refuse(w, http.StatusBadGateway, "the API server did not answer: "+err.Error())
}

func (p *Proxy) tell(x *exchange, response Response) {
	told := history.APIRequest{
		Number: x.Number, Writer: x.Writer, Began: x.began, Verb: x.Verb, Group: x.Group, Resource: x.Resource, Subresource: x.Subresource,
		Namespace: x.Namespace, Object: x.Object(), DryRun: x.DryRun,
		Status: response.Status, Step: response.Step, Because: response.Because, Injected: x.ruling.String(), Before: response.Before, After: response.After,
	}
	if x.isWrite() {
		told.Body = p.account(x.Request, x.body)
	}
	p.sink.Event(history.NewEvent(p.clock.Now(), told))
}
