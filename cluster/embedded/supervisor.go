package embedded

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
	"os/exec"
	"path/filepath"
	"time"
)

// RunSupervisor starts the components of a node, and restarts one that ends (a
// fault may well kill it). On node 0 it also starts the further nodes, takes
// orders about them, carries connections from the host's loopback to the API server,
// and hands out sockets of the cluster's network.
func RunSupervisor(ctx context.Context, name string) error {
	n, err := parseNode(name, MaxNodes)
	if err != nil {
		return err
	}
	if n == 0 {
		listener, err := net.FileListener(os.NewFile(3, "api"))
		if err != nil {
			return err
		}
		go forward(listener, "127.0.0.1:6443")
		sockets, err := net.ListenUnix("unix", &net.UnixAddr{Name: state(insideState).sockets(), Net: "unix"})
		if err != nil {
			return err
		}
		go func() { fmt.Fprintln(os.Stderr, "supervisor: no more sockets:", handOutSockets(sockets)) }()
		if err := startFleet(); err != nil {
			return err
		}
	}
	startPrograms(ctx, n)
	<-ctx.Done()
	return ctx.Err()
}

// startPrograms starts each program of the node once the API server is as far as
// the program needs it.
func startPrograms(ctx context.Context, n node) {
	waiting := map[string][]program{}
	for _, p := range programs(n) {
		waiting[p.awaits] = append(waiting[p.awaits], p)
	}
	for path, list := range waiting {
		go func() {
			if path != "" && awaitAPI(ctx, n, path) != nil {
				return
			}
			for _, p := range list {
				go keepRunning(ctx, p)
			}
		}()
	}
}

// keepRunning runs the program, and again after a pause when it ends.
func keepRunning(ctx context.Context, p program) {
	pause := time.NewTicker(time.Second)
	defer pause.Stop()
	for ctx.Err() == nil {
		err := runOnce(ctx, p)
		fmt.Fprintf(os.Stderr, "supervisor: %s ended: %v\n", p.name, err)
		select {
		case <-ctx.Done():
		case <-pause.C:
		}
	}
}

func runOnce(ctx context.Context, p program) error {
	log, err := os.OpenFile(filepath.Join(insideState, "logs", p.name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	command := exec.CommandContext(ctx, filepath.Join(insidePrograms, p.name), p.arguments...)
	command.Stdout, command.Stderr = log, log
	return command.Run()
}

// awaitAPI returns once the API server answers the path with 200. It asks often:
// this is on the way to a node that is Ready.
func awaitAPI(ctx context.Context, n node, path string) error {
	certificate, err := tls.LoadX509KeyPair(pki("kubelet.crt"), pki("kubelet.key"))
	if err != nil {
		return err
	}
	ca, err := os.ReadFile(pki("ca.crt"))
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	client := &http.Client{Timeout: time.Second, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{certificate}},
	}}
	defer client.CloseIdleConnections()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, n.apiServer()+path, nil)
		if err != nil {
			return err
		}
		if response, err := client.Do(request); err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}

// forward carries every connection of the listener to the address, until the
// listener is closed.
func forward(listener net.Listener, address string) {
	for {
		outside, err := listener.Accept()
		if err != nil {
			if !errors.Is(err, net.ErrClosed) {
				fmt.Fprintln(os.Stderr, "supervisor: accept:", err)
			}
			return
		}
		go func() {
			defer outside.Close()
			inside, err := net.DialTimeout("tcp", address, 5*time.Second) //nolint:noctx // bounded by its time-out
			if err != nil {
				return
			}
			defer inside.Close()
			done := make(chan struct{}, 2)
			carry := func(to, from net.Conn) {
				_, _ = io.Copy(to, from)
				if half, ok := to.(*net.TCPConn); ok {
					_ = half.CloseWrite()
				}
				done <- struct{}{}
			}
			go carry(outside, inside)
			go carry(inside, outside)
			<-done
			<-done
		}()
	}
}
