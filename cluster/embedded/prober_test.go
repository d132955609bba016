package embedded

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"testing"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// proberVariable makes a prober of the test's program: it runs as a pod, and says
// what can be reached from there.
const proberVariable = "CUTOVER_TEST_PROBER"

const proberPort = "8080"

func TestMain(m *testing.M) {
	if os.Getenv(proberVariable) != "" {
		fmt.Fprintln(os.Stderr, probe())
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// attempt is what came of dialling once.
type attempt struct {
	Failed string
	Took   time.Duration
}

func probe() error {
	fmt.Println("prober listens")
	http.HandleFunc("/dial", func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		result := attempt{}
		conn, err := net.DialTimeout("tcp", r.FormValue("to"), 10*time.Second)
		if err == nil {
			conn.Close()
		} else {
			result.Failed = err.Error()
		}
		result.Took = time.Since(began)
		_ = json.NewEncoder(w).Encode(result)
	})
	// As its service account: address, token and authority are what every pod gets.
	http.HandleFunc("/api", func(w http.ResponseWriter, _ *http.Request) {
		version, err := versionByServiceAccount()
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		fmt.Fprint(w, version)
	})
	http.HandleFunc("/host", func(w http.ResponseWriter, _ *http.Request) {
		host, _ := os.Hostname()
		fmt.Fprint(w, host)
	})
	return http.ListenAndServe(":"+proberPort, nil)
}

func versionByServiceAccount() (string, error) {
	config, err := rest.InClusterConfig()
	if err != nil {
		return "", err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return "", err
	}
	version, err := client.Discovery().ServerVersion()
	if err != nil {
		return "", err
	}
	return version.GitVersion, nil
}

// ask asks the prober at the address, from outside the cluster.
func ask(ctx context.Context, c *Cluster, address, query string) (*http.Response, error) {
	client := http.Client{Timeout: 15 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext:       func(ctx context.Context, _, to string) (net.Conn, error) { return c.Dial(ctx, to) },
	}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(address, proberPort)+query, nil)
	if err != nil {
		return nil, err
	}
	return client.Do(request)
}
