package apiproxy

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/cutover-dev/cutover/history"
)

// apiServer keeps objects by their path, as an API server does as far as writers see.
type apiServer struct {
	mu      sync.Mutex
	objects map[string]map[string]any
	version int
	seen    []*http.Request // their headers are of interest
	// meanwhile is done between any look at an object and what comes next.
	meanwhile func()
}

const realToken = "the user's own"

func (s *apiServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "Bearer "+realToken {
		refuse(w, http.StatusUnauthorized, "who is that?")
		return
	}
	if r.Header.Get("Upgrade") != "" {
		echo(w, r)
		return
	}
	if r.URL.Query().Get("watch") != "" {
		for range 2 {
			_, _ = fmt.Fprintln(w, `{"type":"ADDED"}`)
			w.(http.Flusher).Flush()
		}
		<-r.Context().Done()
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = append(s.seen, r)
	s.answer(w, r)
}

// echo upgrades, says what it was told, and ends.
func echo(w http.ResponseWriter, r *http.Request) {
	conn, stream, err := http.NewResponseController(w).Hijack()
	if err != nil {
		refuse(w, http.StatusInternalServerError, err.Error())
		return
	}
	defer conn.Close()
	_, _ = fmt.Fprintf(stream, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n", r.Header.Get("Upgrade"))
	_ = stream.Flush()
	line, _ := stream.ReadString('\n')
	_, _ = fmt.Fprint(stream, "you said: "+line)
	_ = stream.Flush()
}

func (s *apiServer) answer(w http.ResponseWriter, r *http.Request) {
	switch path := r.URL.Path; path {
	case "/api/v1":
		_, _ = fmt.Fprint(w, `{"resources":[{"name":"services","kind":"Service"},{"name":"services/status","kind":"Service"},{"name":"secrets","kind":"Secret"},{"name":"pods","kind":"Pod"},{"name":"configmaps","kind":"ConfigMap"},{"name":"events","kind":"Event"}]}`)
		return
	case "/apis/coordination.k8s.io/v1":
		_, _ = fmt.Fprint(w, `{"resources":[{"name":"leases","kind":"Lease"}]}`)
		return
	}
	var sent map[string]any
	if body, _ := io.ReadAll(r.Body); len(body) > 0 {
		if err := json.Unmarshal(body, &sent); err != nil {
			refuse(w, http.StatusBadRequest, err.Error())
			return
		}
	}
	if pod, asked := strings.CutSuffix(r.URL.Path, "/eviction"); asked {
		s.evict(w, pod)
		return
	}
	path, dry := r.URL.Path, r.URL.Query().Has("dryRun")
	if r.Method == http.MethodPost {
		path += "/" + sent["metadata"].(map[string]any)["name"].(string)
	}
	if strings.HasSuffix(path, "s") && r.Method != http.MethodPost { // a collection
		s.collection(w, r, path)
		return
	}
	was, there := s.objects[path]
	if !there && r.Method != http.MethodPost && r.Method != http.MethodPut {
		refuse(w, http.StatusNotFound, "there is no "+path)
		return
	}
	now := was
	switch r.Method {
	case http.MethodPost, http.MethodPut:
		now = sent
	case http.MethodPatch:
		now = merge(was, sent)
	case http.MethodDelete:
		if !dry {
			delete(s.objects, path)
		}
		_, _ = fmt.Fprint(w, `{"kind":"Status","status":"Success"}`)
		return
	}
	if !dry && r.Method != http.MethodGet && !reflect.DeepEqual(was, now) {
		now = s.put(path, now)
	}
	w.Header().Set("Content-Type", "application/json")
	data, _ := json.Marshal(now)
	if strings.HasPrefix(r.Header.Get("Accept"), runtime.ContentTypeProtobuf) {
		w.Header().Set("Content-Type", runtime.ContentTypeProtobuf)
		data = inProtobuf(data)
	}
	if r.Method == http.MethodPost {
		w.WriteHeader(http.StatusCreated)
	}
	_, _ = w.Write(data)
	if r.Method == http.MethodGet && s.meanwhile != nil {
		s.meanwhile()
	}
}

// evict has a pod leave, unless its budget forbids it.
func (s *apiServer) evict(w http.ResponseWriter, pod string) {
	if s.objects[pod]["budget"] == "forbids" {
		refuse(w, http.StatusTooManyRequests, "Cannot evict pod as it would violate the pod's disruption budget.")
		return
	}
	s.put(pod, merge(s.objects[pod], map[string]any{"metadata": map[string]any{"deletionTimestamp": "2026-03-01T12:00:00Z"}}))
	w.WriteHeader(http.StatusCreated)
	_, _ = fmt.Fprint(w, `{"kind":"Status","status":"Success"}`)
}

func (s *apiServer) collection(w http.ResponseWriter, r *http.Request, path string) {
	items := []any{}
	for at, object := range s.objects {
		if strings.HasPrefix(at, path+"/") {
			items = append(items, object)
			if r.Method == http.MethodDelete {
				delete(s.objects, at)
			}
		}
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"kind": "List", "items": items})
}

// put stores an object under a new version.
func (s *apiServer) put(path string, object map[string]any) map[string]any {
	s.version++
	object = merge(object, map[string]any{"metadata": map[string]any{"resourceVersion": fmt.Sprint(s.version)}})
	s.objects[path] = object
	return object
}

func merge(into, from map[string]any) map[string]any {
	merged := maps.Clone(into)
	for key, value := range from {
		inner, both := merged[key].(map[string]any)
		if changes, ok := value.(map[string]any); ok && both {
			value = merge(inner, changes)
		}
		merged[key] = value
	}
	return merged
}

func inProtobuf(data []byte) []byte {
	service := &corev1.Service{}
	if err := json.Unmarshal(data, service); err != nil {
		panic(err)
	}
	service.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Service"}
	scheme := runtime.NewScheme()
	_ = corev1.AddToScheme(scheme)
	var out bytes.Buffer
	if err := protobuf.NewSerializer(scheme, scheme).Encode(service, &out); err != nil {
		panic(err)
	}
	return out.Bytes()
}

// record keeps what the proxy records.
type record struct {
	mu     sync.Mutex
	events []history.Event
}

func (r *record) Event(e history.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
}
func (r *record) Request(history.Request) {}

func (r *record) requests() (all []history.APIRequest) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, told := range history.All[history.APIRequest](r.events) {
		all = append(all, told.Data)
	}
	return all
}

const shop = "/api/v1/namespaces/ns/services/shop"

// stage is an API server with a proxy before it.
type stage struct {
	api    *apiServer
	proxy  *Proxy
	record *record
	config *rest.Config // a writer's
	http   *http.Client
}

func newStage(t *testing.T) *stage {
	t.Helper()
	s := &stage{api: &apiServer{objects: map[string]map[string]any{}}, record: &record{}}
	s.api.put(shop, map[string]any{"metadata": map[string]any{"name": "shop"}, "spec": map[string]any{"selector": map[string]any{"colour": "blue"}}})
	real := httptest.NewTLSServer(s.api)
	t.Cleanup(real.Close)
	var err error
	config := &rest.Config{Host: real.URL, BearerToken: realToken, TLSClientConfig: rest.TLSClientConfig{Insecure: true}}
	if s.proxy, err = New(config, history.NewClock(), s.record); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error)
	go func() { served <- s.proxy.Serve(ctx, listener) }()
	t.Cleanup(func() {
		stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	token, err := s.proxy.Admit("script")
	if err != nil {
		t.Fatal(err)
	}
	file, err := s.proxy.Kubeconfig(listener.Addr().String(), token, "ns")
	if err != nil {
		t.Fatal(err)
	}
	if s.config, err = clientcmd.RESTConfigFromKubeConfig(file); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(file), realToken) {
		t.Error("the kubeconfig gives away the user's token")
	}
	s.http, err = rest.HTTPClientFor(s.config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.http.CloseIdleConnections)
	return s
}

// send makes a request and returns its status and body.
func (s *stage) send(t *testing.T, method, path, body string, headers ...string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, s.config.Host+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := s.http.Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

const (
	green    = `{"spec":{"selector":{"colour":"green"}}}`
	proto    = "application/vnd.kubernetes.protobuf"
	newShop  = `{"metadata":{"name":"shop2"},"spec":{}}`
	services = "/api/v1/namespaces/ns/services"
	pods     = "/api/v1/namespaces/ns/pods"
	eviction = `{"apiVersion":"policy/v1","kind":"Eviction","metadata":{"name":"free"}}`
)

func TestWritesThatTookEffectAreSteps(t *testing.T) {
	for _, c := range []struct {
		why          string
		method, path string
		body         string
		headers      []string
		step         bool
		named        string
		because      string
	}{
		{why: "a patch", method: "PATCH", path: shop, body: green, step: true, named: "Service/shop"},
		{why: "its answer in protobuf", method: "PATCH", path: shop, body: green, headers: []string{"Accept", proto}, step: true, named: "Service/shop"},
		{why: "a create, whose name is in the body", method: "POST", path: services, body: newShop, step: true, named: "Service/shop2"},
		{why: "an update", method: "PUT", path: shop, body: newShop, step: true, named: "Service/shop"},
		{why: "a deletion", method: "DELETE", path: shop, step: true, named: "Service/shop"},
		{why: "a deletion of all", method: "DELETE", path: services, step: true, named: "Service"},
		{why: "an eviction", method: "POST", path: pods + "/free/eviction", body: eviction, step: true, named: "Pod/free"},
		// Negative controls: no effect.
		{why: "an eviction that a budget forbids", method: "POST", path: pods + "/bound/eviction", body: eviction, named: "Pod/bound", because: "it was refused"},
		{why: "of a pod that is leaving already", method: "POST", path: pods + "/leaving/eviction", body: eviction, because: unchanged},
		{why: "a patch to what is there already", method: "PATCH", path: shop, body: `{"spec":{"selector":{"colour":"blue"}}}`, because: unchanged},
		{why: "the same, in protobuf", method: "PATCH", path: shop, body: `{}`, headers: []string{"Accept", proto}, because: unchanged},
		{why: "a dry run", method: "PATCH", path: shop + "?dryRun=All", body: green, because: "dry run"},
		{why: "a deletion that asks for a dry run in its body", method: "DELETE", path: shop, body: `{"dryRun":["All"]}`, because: "dry run"},
		{why: "what the API server refuses", method: "PATCH", path: shop + "1", body: green, because: "it was refused"},
		{why: "a deletion of all there are, none", method: "DELETE", path: "/api/v1/namespaces/ns/configmaps", because: unchanged},
		// No steps, whatever their effect.
		{why: "a lease", method: "POST", path: "/apis/coordination.k8s.io/v1/namespaces/ns/leases", body: newShop, because: "lease"},
		{why: "an event", method: "POST", path: "/api/v1/namespaces/ns/events", body: newShop, because: "event"},
		{why: "Helm's records", method: "POST", path: "/api/v1/namespaces/ns/secrets", body: `{"metadata":{"name":"sh.helm.release.v1.shop.v1"}}`, because: "Helm's record of a release"},
	} {
		t.Run(c.why, func(t *testing.T) {
			s := newStage(t)
			s.api.put(pods+"/free", map[string]any{"metadata": map[string]any{"name": "free"}})
			s.api.put(pods+"/bound", map[string]any{"metadata": map[string]any{"name": "bound"}, "budget": "forbids"})
			s.api.put(pods+"/leaving", map[string]any{"metadata": map[string]any{"name": "leaving", "deletionTimestamp": "2026-03-01T12:00:00Z"}})
			s.send(t, c.method, c.path, c.body, c.headers...)
			told := s.record.requests()
			if len(told) != 1 {
				t.Fatalf("recorded %+v, want the one request", told)
			}
			if got := told[0]; got.Step > 0 != c.step || got.Because != c.because || c.named != "" && got.Object != c.named {
				t.Errorf("recorded %+v, want step %v of %q because %q", got, c.step, c.named, c.because)
			}
		})
	}
}

// A controller's report between the look before a write that changes nothing and the
// write itself gives the object another version.
func TestAReportInBetweenMakesNoStep(t *testing.T) {
	s := newStage(t)
	s.api.meanwhile = func() {
		s.api.put(shop, merge(s.api.objects[shop], map[string]any{"status": map[string]any{"seen": s.api.version}}))
	}
	s.send(t, "PATCH", shop, `{"spec":{"selector":{"colour":"blue"}}}`)
	if got := s.record.requests()[0]; got.Step != 0 || got.Before == got.After {
		t.Errorf("recorded %+v, want no step although the version changed", got)
	}
	s.send(t, "PATCH", shop, green)
	if got := s.record.requests()[1]; got.Step != 1 {
		t.Errorf("recorded %+v, want the first step", got)
	}
}

func TestStepsAreNumberedInOrder(t *testing.T) {
	s := newStage(t)
	s.send(t, "PATCH", shop, green)
	s.send(t, "GET", shop, "")
	s.send(t, "PATCH", shop, green) // changes nothing
	s.send(t, "DELETE", shop, "")
	var steps []int
	for _, told := range s.record.requests() {
		steps = append(steps, told.Step)
	}
	if want := []int{1, 0, 0, 2}; !reflect.DeepEqual(steps, want) {
		t.Errorf("steps %v, want %v", steps, want)
	}
}

func TestNobodyWithoutTheTokenGetsIn(t *testing.T) {
	s := newStage(t)
	for _, token := range []string{"", realToken} {
		if status, body := s.send(t, "GET", shop, "", "Authorization", "Bearer "+token); status != http.StatusUnauthorized || !strings.Contains(body, "KUBECONFIG") {
			t.Errorf("token %q: %d %s", token, status, body)
		}
	}
	if len(s.api.seen) > 0 {
		t.Error("a request without a token was passed on")
	}
}

func TestSecretsStandInTheRecordAsHashes(t *testing.T) {
	s := newStage(t)
	const path = "/api/v1/namespaces/ns/secrets"
	for _, body := range []string{
		`{"metadata":{"name":"one","annotations":{"kubectl.kubernetes.io/last-applied-configuration":"hunter2"}},"stringData":{"password":"hunter2"}}`,
		`{"metadata":{"name":"two"},"stringData":{"password":"hunter2"}}`,
		`{"metadata":{"name":"three"},"stringData":{"password":"other"}}`,
	} {
		if status, text := s.send(t, "POST", path, body); status != http.StatusCreated {
			t.Fatal(status, text)
		}
	}
	hashes := map[string]bool{}
	for _, told := range s.record.requests() {
		if strings.Contains(told.Body, "hunter2") || !strings.Contains(told.Body, "hmac-sha256:") {
			t.Errorf("recorded %s", told.Body)
		}
		var secret corev1.Secret
		if err := json.Unmarshal([]byte(told.Body), &secret); err != nil {
			t.Fatal(err)
		}
		hashes[secret.StringData["password"]] = true
	}
	if len(hashes) != 2 {
		t.Errorf("%d hashes of two passwords", len(hashes))
	}
	s.send(t, "PATCH", path+"/one", `[{"op":"replace","path":"/stringData/password","value":"hunter2"}]`, "Content-Type", "application/json-patch+json")
	if told := s.record.requests()[3]; strings.Contains(told.Body, "hunter2") {
		t.Errorf("recorded %s", told.Body)
	}
}

// ruler rules on every request, and keeps the answers.
type ruler struct {
	ruling    Ruling
	held      chan Request
	mu        sync.Mutex
	responses []Response
}

func (r *ruler) Before(_ context.Context, request Request) Ruling {
	if r.held != nil {
		r.held <- request
	}
	return r.ruling
}

func (r *ruler) After(_ context.Context, _ Request, response Response) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.responses = append(r.responses, response)
}

func (s *stage) colour() any {
	s.api.mu.Lock()
	defer s.api.mu.Unlock()
	return s.api.objects[shop]["spec"].(map[string]any)["selector"].(map[string]any)["colour"]
}

func TestARequestIsHeldUntilItIsReleased(t *testing.T) {
	s, release := newStage(t), make(chan struct{})
	by := &ruler{ruling: Ruling{Hold: release}, held: make(chan Request, 1)}
	s.proxy.Intercept(by)
	answered := make(chan int)
	go func() {
		status, _ := s.send(t, "PATCH", shop, green)
		answered <- status
	}()
	request := <-by.held
	if got := request.String(); got != "patch Service/shop" || request.Next != 1 || request.Writer != "script" {
		t.Errorf("told of %q: %+v", got, request)
	}
	if s.colour() != "blue" {
		t.Error("it was passed on while it was held")
	}
	close(release)
	if status := <-answered; status != http.StatusOK || s.colour() != "green" || by.responses[0].Step != 1 {
		t.Errorf("released: %d, the service is %v, answers %+v", status, s.colour(), by.responses)
	}
}

func TestRulings(t *testing.T) {
	for _, c := range []struct {
		why    string
		ruling Ruling
		status int
		colour string
		told   string
	}{
		{"it passes", Ruling{}, 200, "green", ""},
		{"it is late", Ruling{Delay: 20 * time.Millisecond}, 200, "green", "delayed by 20ms"},
		{"it is refused", Ruling{Fail: 503}, 503, "blue", "answered with 503 in place of the API server"},
		{"its connection is cut", Ruling{Drop: true}, 0, "blue", "cut off"},
	} {
		t.Run(c.why, func(t *testing.T) {
			s, began := newStage(t), time.Now()
			s.proxy.Intercept(&ruler{ruling: c.ruling})
			status, _ := s.send(t, "PATCH", shop, green)
			if status != c.status || s.colour() != c.colour || time.Since(began) < c.ruling.Delay {
				t.Errorf("answered %d after %s, and the service is %v", status, time.Since(began), s.colour())
			}
			if told := s.record.requests(); len(told) != 1 || told[0].Injected != c.told {
				t.Errorf("on record is %+v, want %q", told, c.told)
			}
		})
	}
}

// mistaken is an interceptor with a mistake.
type mistaken struct{ Pass }

func (mistaken) Before(context.Context, Request) Ruling { panic("a mistake of ours") }

func TestAMistakeOfOursIsNotTakenForTheAPIServers(t *testing.T) {
	s := newStage(t)
	s.proxy.Intercept(mistaken{})
	s.send(t, "GET", shop, "")
	broken := history.All[history.Broken](s.record.events)
	if len(broken) != 1 || !strings.Contains(broken[0].Data.Because, "a mistake of ours") {
		t.Errorf("recorded %+v", broken)
	}
	s.proxy.Intercept(&ruler{ruling: Ruling{Drop: true}}) // which is none
	s.send(t, "GET", shop, "")
	if broken = history.All[history.Broken](s.record.events); len(broken) != 1 {
		t.Errorf("recorded %+v", broken)
	}
}

func TestWatchesStream(t *testing.T) {
	s := newStage(t)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.config.Host+services+"?watch=true", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := s.http.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	lines := bufio.NewScanner(response.Body)
	for range 2 { // the API server says no more, and does not end
		if !lines.Scan() || lines.Text() != `{"type":"ADDED"}` {
			t.Fatalf("watched %q, %v", lines.Text(), lines.Err())
		}
	}
	if told := s.record.requests(); len(told) != 1 || told[0].Verb != "watch" {
		t.Errorf("recorded %+v", told)
	}
}

func TestUpgradedConnectionsPassThrough(t *testing.T) {
	for _, protocol := range []string{"SPDY/3.1", "websocket"} {
		t.Run(protocol, func(t *testing.T) {
			s := newStage(t)
			settings, err := rest.TLSConfigFor(s.config)
			if err != nil {
				t.Fatal(err)
			}
			settings.NextProtos = []string{"http/1.1"}
			conn, err := (&tls.Dialer{Config: settings}).DialContext(t.Context(), "tcp", strings.TrimPrefix(s.config.Host, "https://"))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			_, _ = fmt.Fprintf(conn, "POST /api/v1/namespaces/ns/pods/p/exec?command=ls HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n",
				s.config.BearerToken, protocol)
			from := bufio.NewReader(conn)
			response, err := http.ReadResponse(from, nil)
			if err != nil || response.StatusCode != http.StatusSwitchingProtocols || response.Header.Get("Upgrade") != protocol {
				t.Fatalf("%v, %+v", err, response)
			}
			_, _ = fmt.Fprintln(conn, "hello")
			if line, err := from.ReadString('\n'); line != "you said: hello\n" {
				t.Errorf("heard %q, %v", line, err)
			}
			if told := s.record.requests(); len(told) != 1 || told[0].Verb != "exec" || told[0].Object != "Pod/p" || told[0].Step != 0 {
				t.Errorf("recorded %+v", told)
			}
		})
	}
}

func TestAnAPIServerThatIsGone(t *testing.T) {
	s := newStage(t)
	s.proxy.transport = roundTripper(func(*http.Request) (*http.Response, error) { return nil, net.ErrClosed })
	status, body := s.send(t, "PATCH", shop, green)
	if status != http.StatusBadGateway || !strings.Contains(body, "did not answer") {
		t.Errorf("%d %s", status, body)
	}
	if told := s.record.requests(); len(told) != 1 || told[0].Step != 0 || told[0].Status != 0 {
		t.Errorf("recorded %+v", told)
	}
}
