package gateway

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"unicode"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Answers counts answers by their status.
type Answers map[int]int64

// Count is how many have a status that is chosen.
func (a Answers) Count(chosen func(status int) bool) (n int64) {
	for status, count := range a {
		if chosen(status) {
			n += count
		}
	}
	return n
}

// Copies asks the gateway what it has had for requests that it copied to a port of a
// Service, since it was started: the answers of the pods, and its own in their place,
// 502 or 504, where it could not reach one. What is not answered yet does not count, and
// neither does what found no ready pod at all. dial connects to an address in the cluster.
func Copies(ctx context.Context, c client.Client, dial func(ctx context.Context, address string) (net.Conn, error), namespace, service string, port int) (Answers, error) {
	ip, _, _, err := Endpoint(ctx, c)
	if err != nil {
		return nil, err
	}
	// Its own connection, and its end: the gateway may be another one the next time.
	transport := &http.Transport{
		DisableKeepAlives: true,
		DialContext:       func(ctx context.Context, _, address string) (net.Conn, error) { return dial(ctx, address) },
	}
	url := "http://" + net.JoinHostPort(ip, strconv.Itoa(pingPort)) + "/metrics"
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return nil, fmt.Errorf("ask the gateway for its metrics: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the gateway gives no metrics (%s): it may have been installed by an older cutover; delete namespace %s and ClusterRole %s, and it is installed anew", response.Status, Namespace, name)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(response.Body)
	if err != nil {
		return nil, fmt.Errorf("read the gateway's metrics: %w", err)
	}
	answers, copied := Answers{}, copiedTo(namespace, service, port)
	for _, metric := range families["traefik_service_requests_total"].GetMetric() {
		labels := map[string]string{}
		for _, label := range metric.GetLabel() {
			labels[label.GetName()] = label.GetValue()
		}
		status, err := strconv.Atoi(labels["code"])
		if err == nil && labels["service"] == copied {
			answers[status] += int64(metric.GetCounter().GetValue())
		}
	}
	return answers, nil
}

// copiedTo is what Traefik calls a port of a Service that a TraefikService leads to. One
// that a route leads to is another provider's, and has another name.
func copiedTo(namespace, service string, port int) string {
	words := strings.FieldsFunc(fmt.Sprintf("%s-%s-%d", namespace, service, port), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsNumber(r) })
	return strings.Join(words, "-") + "@kubernetescrd"
}
