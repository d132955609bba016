package dependencies

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/cutover-dev/cutover/cluster/container"
	"github.com/cutover-dev/cutover/cluster/image"
	"github.com/cutover-dev/cutover/history"
	"github.com/cutover-dev/cutover/safety"
)

// RunLabel carries the run's id on every container and volume of a run.
const RunLabel = "dev.cutover.run"

// nameLabel carries a dependency's name.
const nameLabel = "dev.cutover.dependency"

// Place is where dependencies run, and for whom.
type Place struct {
	Run     string // its id
	Network string // of the engine, which the cluster's nodes are in
	Ledger  *safety.Ledger
	Ledgers string                 // the folder that it is in; see [Sweep]
	Images  map[string]image.Image // built, by what the scenario calls them
	// Dial opens a connection as the pods would.
	Dial func(ctx context.Context, address string) (net.Conn, error)
	// Ready is told of each that is.
	Ready func(history.Dependency)
}

// Running are the dependencies that were started, the last of them perhaps not ready.
type Running struct {
	Values     Values
	containers map[string]*container.Container // by name
}

// Start starts them one after the other, in their order, each once the one above it is
// ready. With an error it returns those that were made, for their logs. They are
// undone through the ledger.
func Start(ctx context.Context, specs []Spec, place Place) (Running, error) {
	running := Running{Values: Values{}, containers: map[string]*container.Container{}}
	for _, s := range specs {
		began := time.Now()
		c, err := place.start(ctx, s, running.Values)
		if c != nil {
			running.containers[s.Name] = c
		}
		if err != nil {
			return running, fmt.Errorf("dependency %s: %w", s.Name, err)
		}
		running.Values.add(s, c.Address)
		digest, err := place.Images[s.Image].Digest()
		if err != nil {
			return running, fmt.Errorf("dependency %s: %w", s.Name, err)
		}
		place.Ready(history.Dependency{Name: s.Name, Image: s.Image, Digest: digest.String(), Address: c.Address, Ports: s.Ports,
			TookMs: float64(time.Since(began).Microseconds()) / 1000})
	}
	return running, nil
}

// start starts one and returns when pods can use it.
func (p Place) start(ctx context.Context, s Spec, values Values) (*container.Container, error) {
	request, err := p.request(s, values)
	if err != nil {
		return nil, err
	}
	params, err := json.Marshal(labelled{request.Labels})
	if err != nil {
		return nil, err
	}
	var c *container.Container
	var failed error
	_, err = p.Ledger.Do(ctx, safety.Action{Kind: kindContainer, Params: params}, func(ctx context.Context) error {
		c, failed = container.Start(ctx, request)
		return failed
	})
	if err != nil {
		return c, cmp.Or(failed, err) // without the ledger's words, if it was not the ledger
	}
	return c, p.reach(ctx, s, c.Address)
}

func (p Place) request(s Spec, values Values) (container.Request, error) {
	env, inEnv := values.FillMap(s.Env)
	files, inFiles := values.FillMap(s.Files)
	command, inCommand := values.FillList(s.Command)
	args, inArgs := values.FillList(s.Args)
	request := container.Request{
		Name: "cutover-" + p.Run + "-" + s.Name, Image: p.Images[s.Image], Network: p.Network,
		Labels: map[string]string{container.OwnerLabel: p.Ledgers, RunLabel: p.Run, nameLabel: s.Name},
		Env:    env, Command: command, Args: args, Files: files,
		Ready: container.Ready{Log: s.Wait.Log, Times: s.Wait.Times, Exec: s.Wait.Exec, Timeout: s.Wait.Timeout.D()},
	}
	for _, name := range slices.Sorted(maps.Keys(s.Ports)) {
		request.Ports = append(request.Ports, container.Port{Number: s.Ports[name]})
	}
	if s.Wait.HTTP != nil {
		request.Ready.Path, request.Ready.Port = s.Wait.HTTP.Path, container.Port{Number: s.port(*s.Wait.HTTP)}
	}
	return request, errors.Join(inEnv, inFiles, inCommand, inArgs)
}

// reach dials every port as pods do: that this machine reaches them says nothing of
// the cluster.
func (p Place) reach(ctx context.Context, s Spec, host string) error {
	ctx, cancel := context.WithTimeout(ctx, reachWithin)
	defer cancel()
	for _, name := range slices.Sorted(maps.Keys(s.Ports)) {
		address := net.JoinHostPort(host, strconv.Itoa(s.Ports[name]))
		conn, err := p.Dial(ctx, address)
		if err != nil {
			return fmt.Errorf("it is ready, and cannot be reached from the cluster at %s: is there a firewall between the containers of network %s? %w", address, p.Network, err)
		}
		conn.Close()
	}
	return nil
}

const reachWithin = 10 * time.Second

// Logs are the logs of those that were made, by name. What cannot be had is left out.
func (r Running) Logs(ctx context.Context) map[string][]byte {
	logs := map[string][]byte{}
	for name, c := range r.containers {
		if log, err := c.Log(ctx); err == nil {
			logs[name] = log
		}
	}
	return logs
}
