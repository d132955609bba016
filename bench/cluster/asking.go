package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"

	"github.com/cutover-dev/cutover/cluster/embedded"
)

// askEvery is how often a server that does not answer yet is asked. Nothing can be
// watched before it does, and this is the most that a figure can be late by.
const askEvery = 5 * time.Millisecond

// awaitAPI returns when the API server has answered that it is ready. A connection
// that is accepted early is simply waited for: it is answered when the server serves.
func awaitAPI(ctx context.Context, config *rest.Config) (time.Time, error) {
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return time.Time{}, err
	}
	defer client.CloseIdleConnections()
	return awaitOK(ctx, client, config.Host+"/readyz")
}

// awaitEtcd returns when the cluster's etcd has answered that it is healthy. It is
// asked inside the cluster's network, with the API server's certificate.
func awaitEtcd(ctx context.Context, c *embedded.Cluster) (time.Time, error) {
	pki := filepath.Join(filepath.Dir(c.Kubeconfig()), "pki")
	certificate, err := tls.LoadX509KeyPair(filepath.Join(pki, "etcd-client.crt"), filepath.Join(pki, "etcd-client.key"))
	if err != nil {
		return time.Time{}, err
	}
	authority, err := os.ReadFile(filepath.Join(pki, "etcd-ca.crt"))
	if err != nil {
		return time.Time{}, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	transport := &http.Transport{
		DialContext:     func(ctx context.Context, _, address string) (net.Conn, error) { return c.Dial(ctx, address) },
		TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{certificate}},
	}
	defer transport.CloseIdleConnections()
	return awaitOK(ctx, &http.Client{Transport: transport}, "https://127.0.0.1:2379/health")
}

func awaitOK(ctx context.Context, client *http.Client, url string) (at time.Time, err error) {
	last := errors.New("it was not asked")
	err = wait.PollUntilContextCancel(ctx, askEvery, true, func(ctx context.Context) (bool, error) {
		last = ask(ctx, client, url)
		at = time.Now()
		return last == nil, nil
	})
	if err != nil {
		return at, fmt.Errorf("%s does not answer: %w (%w)", url, last, err)
	}
	return at, nil
}

func ask(ctx context.Context, client *http.Client, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return errors.New(response.Status)
	}
	return nil
}
