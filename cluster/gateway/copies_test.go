package gateway

import (
	"context"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// said is what Traefik 3.6 says of itself, as far as it is of interest.
const said = `# HELP traefik_config_reloads_total Config reloads
# TYPE traefik_config_reloads_total counter
traefik_config_reloads_total 5
# HELP traefik_service_requests_total How many HTTP requests processed on a service, partitioned by status code, protocol, and method.
# TYPE traefik_service_requests_total counter
traefik_service_requests_total{code="200",method="GET",protocol="http",service="run-1-shop-candidate-8080@kubernetescrd"} 40
traefik_service_requests_total{code="200",method="HEAD",protocol="http",service="run-1-shop-candidate-8080@kubernetescrd"} 2
traefik_service_requests_total{code="500",method="GET",protocol="http",service="run-1-shop-candidate-8080@kubernetescrd"} 3
traefik_service_requests_total{code="502",method="GET",protocol="http",service="run-1-shop-candidate-8080@kubernetescrd"} 1
traefik_service_requests_total{code="200",method="GET",protocol="http",service="run-1-shop-baseline-8080@kubernetescrd"} 400
traefik_service_requests_total{code="200",method="GET",protocol="http",service="run-1-shop-candidate-http-8080@kubernetesgateway"} 7
traefik_service_requests_total{code="200",method="GET",protocol="http",service="run-2-shop-candidate-8080@kubernetescrd"} 9
`

func TestCopies(t *testing.T) {
	for _, row := range []struct {
		comment string
		status  int
		body    string
		want    Answers
		err     string
	}{
		// copies to this run's candidate, not its users' requests nor others' copies
		{"counted", 200, said, Answers{200: 42, 500: 3, 502: 1}, ""},
		// nothing was copied yet
		{"none", 200, "", Answers{}, ""},
		// it was installed before it was asked for metrics
		{"an older gateway", 404, "404 page not found", nil, "an older cutover"},
		// something else answers there
		{"no metrics", 200, "<html>", nil, "read the gateway's metrics"},
	} {
		t.Run(row.comment, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Host != "10.0.0.2:8001" || r.URL.Path != "/metrics" {
					t.Errorf("asked %s for %s", r.Host, r.URL)
				}
				w.WriteHeader(row.status)
				_, _ = w.Write([]byte(row.body))
			}))
			defer server.Close()
			dial := func(ctx context.Context, _ string) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, "tcp", server.Listener.Addr().String())
			}
			c := builder(t).WithObjects(pod("gateway", "10.0.0.2", corev1.ConditionTrue)).Build()
			got, err := Copies(t.Context(), c, dial, "run-1", "shop-candidate", 8080)
			if (err == nil) != (row.err == "") || err != nil && !strings.Contains(err.Error(), row.err) {
				t.Fatalf("got error %v, want %q", err, row.err)
			}
			if !maps.Equal(got, row.want) {
				t.Errorf("got %v, want %v", got, row.want)
			}
		})
	}
}
