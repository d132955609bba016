package experiment

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"sync/atomic"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/gates"
	"github.com/cutover-dev/cutover/history"
	"github.com/cutover-dev/cutover/safety"
)

// newPolicy makes the gates of the scenario and the policy that decides by them.
func (r *run) newPolicy(spec gates.Spec) (*policy, error) {
	state, err := cluster.StateDir()
	if err != nil {
		return nil, err
	}
	all, err := gates.New(spec, gates.Place{
		Grace:     spec.Every.D() / 2,
		Values:    r.gateValues,
		Dial:      r.dialService,
		Folder:    r.scenario.Root(),
		Reach:     r.reachVersions,
		Processes: r.marked,
		Jobs:      jobs{run: r, made: new(atomic.Int64)},
		Approvals: gates.ApprovalsFolder(state, r.id),
		Asked:     func(asked history.ApprovalAsked) { r.tell(asked) },
	})
	return &policy{gates: all, spec: spec, live: r.record, sink: r.record}, err
}

// gateValues are what the texts of gates may name, as far as it is known by now.
func (r *run) gateValues() gates.Values {
	v := gates.Values{Run: r.id, Scenario: r.scenario.Metadata.Name, Namespace: r.namespace, Service: r.scenario.App.Service, Port: r.httpPort()}
	v.Baseline, v.BaselineService = r.app.Names(history.Baseline)
	v.Candidate, v.CandidateService = r.app.Names(history.Candidate)
	v.BaselineHash, _ = r.pods.Hash(history.Baseline)
	v.CandidateHash, _ = r.pods.Hash(history.Candidate)
	return v
}

func (r *run) httpPort() string { return strconv.Itoa(r.scenario.App.Ports["http"]) }

// dialService connects to a port of a Service as a node of the cluster does.
func (r *run) dialService(ctx context.Context, namespace, name, port string) (net.Conn, error) {
	var service corev1.Service
	if err := r.client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, &service); err != nil {
		return nil, fmt.Errorf("the Service %s/%s: %w", namespace, name, err)
	}
	if ip := service.Spec.ClusterIP; ip != "" && ip != corev1.ClusterIPNone {
		return r.Cluster.Dial(ctx, net.JoinHostPort(ip, port))
	}
	return nil, fmt.Errorf("the Service %s/%s has no address of its own: name one that is not headless", namespace, name)
}

// reachVersions opens a port of this machine for each version, which leads to one of
// its ready pods.
func (r *run) reachVersions(ctx context.Context) (urls map[history.Version]string, stop func(), err error) {
	urls = map[history.Version]string{}
	var open []func()
	stop = func() {
		for _, end := range open {
			end()
		}
	}
	for _, v := range []history.Version{history.Baseline, history.Candidate} {
		address, end, err := forward(ctx, func(ctx context.Context) (net.Conn, error) {
			pod, err := r.readyPod(ctx, v)
			if err != nil {
				return nil, err
			}
			return r.Cluster.Dial(ctx, pod)
		})
		if err != nil {
			stop()
			return nil, func() {}, err
		}
		open = append(open, end)
		urls[v] = "http://" + address
	}
	return urls, stop, nil
}

// readyPod is ip:port of a version's ready pod. A Service may have pods of both.
func (r *run) readyPod(ctx context.Context, v history.Version) (string, error) {
	addresses, err := r.podAddresses(ctx, v)
	if err == nil && len(addresses) == 0 {
		err = fmt.Errorf("the %s has no ready pod", v)
	}
	if err != nil {
		return "", err
	}
	return addresses[0], nil
}

// forward hands connections to a port of this machine's loopback on to what dial
// reaches, until end.
func forward(ctx context.Context, dial func(context.Context) (net.Conn, error)) (address string, end func(), err error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		for {
			in, err := listener.Accept()
			if err != nil {
				return
			}
			go join(ctx, in, dial)
		}
	}()
	return listener.Addr().String(), func() { cancel(); listener.Close() }, nil
}

// join copies both ways until both are done or ctx ends. A dial that fails resets
// the connection, which is what the caller would have met in there.
func join(ctx context.Context, in net.Conn, dial func(context.Context) (net.Conn, error)) {
	defer in.Close()
	out, err := dial(ctx)
	if err != nil {
		if tcp, ok := in.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // it is closed anyway
		}
		return
	}
	defer out.Close()
	defer context.AfterFunc(ctx, func() { in.Close(); out.Close() })()
	done := make(chan struct{})
	go func() {
		defer close(done)
		pour(out, in)
	}()
	pour(in, out)
	<-done
}

// pour copies one way and passes on that no more comes.
func pour(to, from net.Conn) {
	_, _ = io.Copy(to, from) // whoever is left notices
	if half, ok := to.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
}

// kindProcesses are the processes of a gate's command, on this machine.
const kindProcesses = "gate-command"

type processesParams struct {
	Mark string `json:"mark"`
}

func killProcesses(ctx context.Context, params json.RawMessage) error {
	var p processesParams
	if err := json.Unmarshal(params, &p); err != nil {
		return err
	}
	return gates.KillMarked(ctx, p.Mark)
}

// marked runs do through the ledger. Whatever do has started is gone afterwards.
func (r *run) marked(ctx context.Context, mark string, do func(context.Context) error) error {
	params, err := json.Marshal(processesParams{Mark: mark})
	if err != nil {
		return err
	}
	undo, err := r.ledger.Do(ctx, safety.Action{Kind: kindProcesses, Params: params}, do)
	return errors.Join(err, undo(context.WithoutCancel(ctx)))
}

// makeApprovals makes the folder in which people answer, if a gate asks some.
func (r *run) makeApprovals(ctx context.Context) error {
	if r.scenario.Gate == nil || r.scenario.Gate.Approval == nil {
		return nil
	}
	state, err := cluster.StateDir()
	if err != nil {
		return err
	}
	path := gates.ApprovalsFolder(state, r.id)
	params, err := json.Marshal(scratchParams{Path: path})
	if err != nil {
		return err
	}
	_, err = r.ledger.Do(ctx, safety.Action{Kind: kindScratch, Params: params}, func(context.Context) error { return os.Mkdir(path, 0o700) })
	return err
}

// Approvals lists the runs that wait for a person.
func Approvals() ([]gates.Request, error) {
	state, err := cluster.StateDir()
	if err != nil {
		return nil, err
	}
	return gates.Open(state)
}

// Approve answers one of them.
func Approve(request gates.Request, response gates.Response) error {
	state, err := cluster.StateDir()
	if err != nil {
		return err
	}
	return gates.Respond(state, request, response)
}
