package embedded

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"time"
)

// What an order can ask for.
const (
	orderList  = "list"
	orderStop  = "stop"
	orderStart = "start"
)

// order is what the supervisor of node 0 is asked, in one line of JSON on a socket
// in the cluster's state; report is its answer.
type order struct {
	Do   string `json:"do"`
	Node string `json:"node,omitempty"`
}

type report struct {
	Running map[string]int `json:"running"` // first process of each further node that runs, as the sandbox counts
	Failed  string         `json:"failed,omitempty"`
}

// orderWithin bounds an order: a node with many pods takes a while to end.
const orderWithin = 30 * time.Second

func (s state) orders() string { return s.path("run", "orders.sock") }

// takeOrders listens for orders about the further nodes.
func (f *fleet) takeOrders(nodes int) error {
	listener, err := net.Listen("unix", state(insideState).orders()) //nolint:noctx // it listens at once
	if err != nil {
		return err
	}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				fmt.Fprintln(os.Stderr, "supervisor: orders:", err)
				return
			}
			go f.answer(conn, nodes)
		}
	}()
	return nil
}

func (f *fleet) answer(conn net.Conn, nodes int) {
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(orderWithin))
	var o order
	err := json.NewDecoder(conn).Decode(&o)
	if err == nil {
		err = f.carryOut(o, nodes)
	}
	r := report{Running: f.firsts()}
	if err != nil {
		r.Failed = err.Error()
	}
	if err := json.NewEncoder(conn).Encode(r); err != nil {
		fmt.Fprintln(os.Stderr, "supervisor: orders:", err)
	}
}

func (f *fleet) carryOut(o order, nodes int) error {
	if o.Do == orderList {
		return nil
	}
	n, err := furtherNode(o.Node, nodes)
	switch {
	case err != nil:
		return err
	case o.Do == orderStop:
		return f.stop(n)
	case o.Do == orderStart:
		return f.start(n)
	}
	return fmt.Errorf("unknown order %q", o.Do)
}

// command gives an order to a cluster's supervisor and returns when it is carried
// out.
func (s state) command(ctx context.Context, o order) (r report, err error) {
	ctx, cancel := context.WithTimeout(ctx, orderWithin)
	defer cancel()
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unix", s.orders())
	if err != nil {
		return r, fmt.Errorf("reach the supervisor of cluster %s: %w", s.name(), err)
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return r, err
	}
	if err := json.NewEncoder(conn).Encode(o); err != nil {
		return r, fmt.Errorf("order %s of cluster %s: %w", o.Do, s.name(), err)
	}
	if err := json.NewDecoder(conn).Decode(&r); err != nil {
		return r, fmt.Errorf("order %s of cluster %s: no answer: %w", o.Do, s.name(), err)
	}
	if r.Failed != "" {
		return r, errors.New(r.Failed)
	}
	return r, nil
}
