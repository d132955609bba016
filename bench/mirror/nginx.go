package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// nginxCommand runs nginx out of a folder that packages were unpacked into, with the
// libraries that lie there.
func nginxCommand(ctx context.Context, root string, args ...string) (*exec.Cmd, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, err
	}
	program := filepath.Join(root, "usr/sbin/nginx")
	if _, err := os.Stat(program); err != nil {
		return nil, fmt.Errorf("nginx is not there, of which make bin/images/nginx unpacks Debian's package: %w", err)
	}
	loaders, _ := filepath.Glob(filepath.Join(root, "usr/lib*/ld-linux*"))
	libraries, _ := filepath.Glob(filepath.Join(root, "usr/lib/*-linux-*"))
	if len(loaders) == 0 || len(libraries) == 0 {
		return nil, fmt.Errorf("%s has no loader and libraries for nginx: unpack it with hack/debian-root", root)
	}
	cmd := exec.CommandContext(ctx, loaders[0], append([]string{"--library-path", strings.Join(libraries, ":"), program}, args...)...)
	cmd.Env = []string{}
	return cmd, nil
}

// nginxVersion is what it says itself; empty if it is not there.
func nginxVersion(ctx context.Context, root string) string {
	cmd, err := nginxCommand(ctx, root, "-v")
	if err != nil {
		return ""
	}
	said, _ := cmd.CombinedOutput() // the banner goes to standard error
	_, version, _ := strings.Cut(string(bytes.TrimSpace(said)), "/")
	return version
}

// proxies are the ways in to nginx: past which a share of the requests is mirrored, or none.
type proxies struct {
	cmd     *exec.Cmd
	stop    context.CancelFunc
	folder  string
	address map[float64]string // by the share
}

// startNginx passes on what comes to users, and mirrors it to pods.
func startNginx(ctx context.Context, root, users, pods string) (*proxies, error) {
	folder, err := os.MkdirTemp("", "bench-mirror-")
	if err != nil {
		return nil, err
	}
	p := &proxies{folder: folder, address: map[float64]string{}}
	for _, share := range shares {
		if p.address[share], err = freeAddress(ctx); err != nil {
			return nil, errors.Join(err, os.RemoveAll(folder))
		}
	}
	config := filepath.Join(folder, "nginx.conf")
	if err := os.WriteFile(config, []byte(p.config(users, pods)), 0o644); err != nil {
		return nil, errors.Join(err, os.RemoveAll(folder))
	}
	ctx, p.stop = context.WithCancel(ctx)
	if p.cmd, err = nginxCommand(ctx, root, "-e", "stderr", "-p", folder, "-c", config); err != nil {
		return nil, errors.Join(err, p.close())
	}
	p.cmd.Cancel = func() error { return p.cmd.Process.Signal(os.Interrupt) } // its workers go with it
	p.cmd.WaitDelay = 10 * time.Second
	var said bytes.Buffer
	p.cmd.Stderr = &said
	if err := p.cmd.Start(); err != nil {
		return nil, errors.Join(err, p.close())
	}
	for _, address := range p.address {
		if err := answers(ctx, address); err != nil {
			return nil, errors.Join(fmt.Errorf("nginx does not listen: %w: %s", err, said.String()), p.close())
		}
	}
	return p, nil
}

func (p *proxies) config(users, pods string) string {
	var servers strings.Builder
	for share, address := range p.address {
		if share == 0 {
			fmt.Fprintf(&servers, "    server { listen %s backlog=16384; location / { proxy_pass http://users; } }\n", address)
			continue
		}
		fmt.Fprintf(&servers, `    split_clients $request_id $chosen%[1]g { %[1]g%% 1; * ""; }
    server {
        listen %[2]s backlog=16384;
        location / { mirror /mirror; proxy_pass http://users; }
        location = /mirror {
            internal;
            if ($chosen%[1]g = "") { return 204; }
            proxy_pass http://pods$request_uri;
        }
    }
`, 100*share, address)
	}
	return fmt.Sprintf(`daemon off;
user root root;
worker_processes 2;
worker_rlimit_nofile 65536;
pid %[1]s/pid;
events { worker_connections 30000; }
http {
    access_log off;
    keepalive_requests 1000000;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    client_body_temp_path %[1]s/body;
    proxy_temp_path %[1]s/proxy;
    fastcgi_temp_path %[1]s/fastcgi;
    uwsgi_temp_path %[1]s/uwsgi;
    scgi_temp_path %[1]s/scgi;
    upstream users { server %[2]s; keepalive 256; }
    upstream pods { server %[3]s; keepalive 256; }
%[4]s}
`, p.folder, users, pods, servers.String())
}

func (p *proxies) close() error {
	p.stop()
	if p.cmd != nil && p.cmd.Process != nil {
		_ = p.cmd.Wait() // it was interrupted
	}
	return os.RemoveAll(p.folder)
}

// freeAddress is one that nobody listens at.
func freeAddress(ctx context.Context) (string, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp4", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}

// answers waits until somebody listens.
func answers(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp4", address)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-ctx.Done():
			return err
		case <-tick.C:
		}
	}
}
