package apiproxy

import (
	"net/http"
	"net/url"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

func TestRequestsAreNamedAsPeopleDo(t *testing.T) {
	for _, c := range []struct{ method, address, want string }{
		{"PATCH", "/api/v1/namespaces/ns/services/shop", "patch services/shop"},
		{"GET", "/api/v1/namespaces/ns/services", "list services"},
		{"GET", "/api/v1/namespaces/ns/services?watch=1", "watch services"},
		{"GET", "/api/v1/namespaces/ns/pods/p", "get pods/p"},
		{"POST", "/apis/apps/v1/namespaces/ns/deployments", "create deployments"},
		{"PATCH", "/apis/apps/v1/namespaces/ns/deployments/shop/scale", "patch deployments/shop scale"},
		{"DELETE", "/apis/apps/v1/namespaces/ns/deployments", "deletecollection deployments"},
		{"DELETE", "/api/v1/namespaces/ns", "delete namespaces/ns"},
		// What opens a connection, by either method.
		{"POST", "/api/v1/namespaces/ns/pods/p/exec", "exec pods/p"},
		{"GET", "/api/v1/namespaces/ns/pods/p/portforward", "port-forward pods/p"},
		{"PUT", "/api/v1/namespaces/ns/services/shop/proxy/cart", "proxy services/shop"},
		// No resource's.
		{"GET", "/version", "get /version"},
		{"GET", "/apis/apps/v1", "get /apis/apps/v1"},
		{"GET", "/", "get /"},
	} {
		address, err := url.Parse(c.address)
		if err != nil {
			t.Fatal(err)
		}
		if got := parse(&http.Request{Method: c.method, URL: address}).String(); got != c.want {
			t.Errorf("%s %s: %q, want %q", c.method, c.address, got, c.want)
		}
	}
}

func TestDryRunsOfDeletions(t *testing.T) {
	options := inEnvelope(t, "DeleteOptions", &metav1.DeleteOptions{DryRun: []string{metav1.DryRunAll}})
	for _, c := range []struct {
		why, body string
		want      bool
	}{
		{"nothing", "", false},
		{"a deletion", `{"kind":"DeleteOptions","dryRun":["All"]}`, true},
		{"an eviction", `{"kind":"Eviction","deleteOptions":{"dryRun":["All"]}}`, true},
		{"a deletion in protobuf", options, true},
		{"another one", `{"kind":"DeleteOptions","gracePeriodSeconds":0}`, false},
		{"rubbish", "k8s\x00\xff\xff", false},
	} {
		if got := dryRun([]byte(c.body)); got != c.want {
			t.Errorf("%s: %v, want %v", c.why, got, c.want)
		}
	}
}

// inEnvelope is a message as the API sends it.
func inEnvelope(t testing.TB, kind string, message interface{ Marshal() ([]byte, error) }) string {
	t.Helper()
	raw, err := message.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	envelope := runtime.Unknown{TypeMeta: runtime.TypeMeta{APIVersion: "v1", Kind: kind}, Raw: raw}
	data, err := envelope.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return protobufMagic + string(data)
}

func TestMetadataIsReadInAnyForm(t *testing.T) {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p", ResourceVersion: "7"}}
	for _, c := range []struct{ contentType, body, kind, name, version string }{
		{"application/json", `{"kind":"Pod","metadata":{"name":"p","resourceVersion":"7"}}`, "Pod", "p", "7"},
		{"application/json; charset=utf-8", `{"kind":"Canary","metadata":{"name":"p"}}`, "Canary", "p", ""},
		{"application/apply-patch+yaml", "kind: Pod\nmetadata: {name: p}", "Pod", "p", ""},
		{"application/vnd.kubernetes.protobuf", inEnvelope(t, "Pod", pod), "Pod", "p", "7"},
		{"application/vnd.kubernetes.protobuf", inEnvelope(t, "Status", &metav1.Status{Status: "Success"}), "Status", "", ""},
		{"application/vnd.kubernetes.protobuf", inEnvelope(t, "PodList", &corev1.PodList{Items: []corev1.Pod{*pod}}), "PodList", "", ""},
	} {
		got, err := decodeObject(c.contentType, []byte(c.body))
		if err != nil || got.kind != c.kind || got.meta.Name != c.name || got.meta.ResourceVersion != c.version {
			t.Errorf("%s %q: %+v, %v", c.contentType, c.body, got, err)
		}
	}
	// Negative control: what is not read is not guessed.
	for _, c := range []struct{ contentType, body string }{
		{"application/cbor", "\xd9\xd9\xf7"}, {"application/json-patch+json", "[]"}, {"", "{}"}, {"application/json", "["},
	} {
		if got, err := decodeObject(c.contentType, []byte(c.body)); err == nil {
			t.Errorf("%s %q: read as %+v", c.contentType, c.body, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, path := range []string{"/", "/api/v1/namespaces/ns/pods/p/exec", "/apis/apps/v1/watch/deployments", "/api/v1/proxy/x", "//api//v1", "/apis/g/v1/proxy/namespaces"} {
		f.Add("GET", path, "watch=true&dryRun=All")
	}
	f.Fuzz(func(t *testing.T, method, path, query string) {
		r := parse(&http.Request{Method: method, URL: &url.URL{Path: path, RawQuery: query}})
		if r.String() == "" {
			t.Error("a request without a name")
		}
		if r.isWrite() && r.Resource == "" {
			t.Errorf("%+v writes nothing", r)
		}
	})
}

func FuzzDecodeObject(f *testing.F) {
	f.Add("application/json", []byte(`{"kind":"Pod","metadata":{"name":"p"}}`))
	f.Add("application/yaml", []byte("metadata: {name: p}"))
	f.Add("application/vnd.kubernetes.protobuf", []byte(inEnvelope(f, "Pod", &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p"}})))
	f.Fuzz(func(t *testing.T, contentType string, body []byte) {
		o, err := decodeObject(contentType, body)
		if err != nil && o.fields != nil && len(o.fields) > 0 {
			t.Errorf("fields %v beside error %v", o.fields, err)
		}
		o.meaning(false)
		dryRun(body)
	})
}
