package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/kind/pkg/apis/config/v1alpha4"
	kindcluster "sigs.k8s.io/kind/pkg/cluster"
	"sigs.k8s.io/kind/pkg/cluster/nodeutils"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/cluster/image"
)

// kindVersion is the one in go.mod.
const kindVersion = "v0.33.0"

// kind is the peer, used as a library.
type kind struct {
	docker docker
	image  string // of its nodes
	dir    string // for kubeconfigs
}

func (k kind) provider() *kindcluster.Provider {
	return kindcluster.NewProvider(kindcluster.ProviderWithDocker())
}

func (k kind) kubeconfig(name string) string { return filepath.Join(k.dir, name+".kubeconfig") }

func (k kind) start(_ context.Context, name string, s *story) (starting, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	up := &kindStarting{kind: k, cluster: name, port: port, ended: make(chan error, 1)}
	s.begin(time.Now())
	go func() {
		err := k.provider().Create(name,
			kindcluster.CreateWithV1Alpha4Config(&v1alpha4.Cluster{Networking: v1alpha4.Networking{APIServerPort: int32(port)}}),
			kindcluster.CreateWithNodeImage(k.image), kindcluster.CreateWithKubeconfigPath(k.kubeconfig(name)),
			kindcluster.CreateWithDisplayUsage(false), kindcluster.CreateWithDisplaySalutation(false))
		s.mark(returned, time.Now())
		up.ended <- err
	}()
	return up, nil
}

// clear implements product. Where there is no such cluster kind has nothing to say.
func (k kind) clear(_ context.Context, name string) error {
	return k.provider().Delete(name, k.kubeconfig(name))
}

// freePort is one that nobody listens on. It is chosen here so that the API server
// can be asked before kind says where it is.
func freePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it listens at once
	if err != nil {
		return 0, err
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port, nil
}

type kindStarting struct {
	kind
	cluster string
	port    int
	ended   chan error
}

// node is the name of the cluster's only container.
func node(cluster string) string { return cluster + "-control-plane" }

// config reads the administrator's credentials out of the node as soon as kubeadm
// has written them, which is long before kind is done. Kubernetes 1.29 and later
// have these.
func (s *kindStarting) config(ctx context.Context) (config *rest.Config, err error) {
	pid := 0
	err = wait.PollUntilContextCancel(ctx, 100*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		pid = s.docker.number(ctx, "inspect", "--format", "{{.State.Pid}}", node(s.cluster))
		return pid > 0, nil
	})
	if err != nil {
		return nil, fmt.Errorf("kind's node %s does not start: %w", node(s.cluster), err)
	}
	path := fmt.Sprintf("/proc/%d/root/etc/kubernetes/super-admin.conf", pid)
	last := errors.New("not looked at")
	err = wait.PollUntilContextCancel(ctx, askEvery, true, func(context.Context) (bool, error) {
		config, last = credentials(path, s.port)
		return last == nil, nil
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", path, last, err)
	}
	return config, nil
}

// credentials are those of a kubeconfig, for the API server at a port of this
// machine.
func credentials(kubeconfig string, port int) (*rest.Config, error) {
	data, err := os.ReadFile(kubeconfig)
	if err != nil {
		return nil, err
	}
	config, err := clientcmd.RESTConfigFromKubeConfig(data)
	if err != nil {
		return nil, err
	}
	config.Host = "https://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	config.QPS = -1 // as for ours
	return config, nil
}

func (s *kindStarting) finish(ctx context.Context) (running, error) {
	select {
	case err := <-s.ended:
		if err != nil {
			return nil, err
		}
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	config, err := credentials(s.kubeconfig(s.cluster), s.port)
	if err != nil {
		return nil, err
	}
	return &kindRunning{kind: s.kind, cluster: s.cluster, config: config}, nil
}

type kindRunning struct {
	kind
	cluster string
	config  *rest.Config
}

var _ cluster.Cluster = (*kindRunning)(nil)

func (r *kindRunning) Name() string       { return r.cluster }
func (r *kindRunning) Provider() string   { return "kind" }
func (r *kindRunning) REST() *rest.Config { return rest.CopyConfig(r.config) }
func (r *kindRunning) Kubeconfig() string { return r.kubeconfig(r.cluster) }

func (r *kindRunning) Facts(context.Context) (cluster.Facts, error) {
	return cluster.Facts{Nodes: 1}, nil
}

func (r *kindRunning) Dial(context.Context, string) (net.Conn, error) {
	return nil, errors.New("the benchmark does not dial into kind's network")
}

// LoadImage implements cluster.Cluster, as `kind load image-archive` does.
func (r *kindRunning) LoadImage(_ context.Context, reference string, img v1.Image) error {
	nodes, err := r.provider().ListNodes(r.cluster)
	if err != nil {
		return err
	}
	for _, node := range nodes {
		read, write := io.Pipe()
		go func() { write.CloseWithError(image.WriteArchive(write, reference, img)) }()
		err := nodeutils.LoadImageArchive(node, read)
		read.CloseWithError(err)
		if err != nil {
			return fmt.Errorf("load image %s into %s: %w", reference, node, err)
		}
	}
	return nil
}

func (r *kindRunning) Close(ctx context.Context) error { return r.clear(ctx, r.cluster) }

func (r *kindRunning) processes() ([]int, error) {
	id, err := r.docker(context.Background(), "inspect", "--format", "{{.Id}}", node(r.cluster))
	if err != nil {
		return nil, err
	}
	return membersOf("/proc", id)
}

func (r *kindRunning) down(ctx context.Context) (time.Duration, error) {
	began := time.Now()
	err := r.clear(ctx, r.cluster)
	return time.Since(began), err
}

// membersOf lists the processes that stand in a cgroup which names the container, or
// below one: the node's own and those of its pods.
func membersOf(proc, container string) ([]int, error) {
	paths, err := filepath.Glob(filepath.Join(proc, "[0-9]*", "cgroup"))
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, path := range paths {
		groups, err := os.ReadFile(path)
		if err != nil || !strings.Contains(string(groups), container) {
			continue // it ended, or is somebody else's
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err != nil {
			return nil, err
		}
		pids = append(pids, pid)
	}
	if len(pids) == 0 {
		return nil, fmt.Errorf("no process stands in a cgroup of container %s", container)
	}
	return pids, nil
}
