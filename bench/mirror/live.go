package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cutover-dev/cutover/bench"
)

// liveSizes are how much is measured in time.
type liveSizes struct {
	seed    int64
	rounds  int           // of loads of which some are mirrored
	lasting time.Duration // of each load
	freezes int           // rounds in which what is mirrored to is frozen
	frozen  time.Duration // of each load while it is
	nginx   string        // its folder
}

const usersRate = 2000 // per second

// shares of the users' requests that are mirrored: none, what a scenario has if it says
// nothing, and all.
var shares = []float64{0, 0.1, 1}

// lab are the processes that answer.
type lab struct {
	users, pods *server
	nginx       *proxies // nil where it cannot be had
	missing     string   // why
}

func newLab(ctx context.Context, s liveSizes) (*lab, error) {
	users, err := startServer(ctx, "users")
	if err != nil {
		return nil, err
	}
	pods, err := startServer(ctx, "pods")
	if err != nil {
		return nil, errors.Join(err, users.close())
	}
	l := &lab{users: users, pods: pods}
	if l.nginx, err = startNginx(ctx, s.nginx, users.addresses[0], pods.addresses[2]); err != nil {
		l.missing = err.Error()
	}
	return l, nil
}

func (l *lab) close() error {
	err := errors.Join(l.users.close(), l.pods.close())
	if l.nginx != nil {
		err = errors.Join(err, l.nginx.close())
	}
	return err
}

// whileFrozen does something while the pods are frozen, which they are for so long.
func (l *lab) whileFrozen(lasting time.Duration, do func() (outcome, error)) (outcome, error) {
	if err := l.pods.freeze(); err != nil {
		return outcome{}, err
	}
	thawed := make(chan error, 1)
	time.AfterFunc(lasting, func() { thawed <- l.pods.thaw() })
	o, err := do()
	return o, errors.Join(err, <-thawed)
}

// measured are the p99 of users' requests, in milliseconds, round by round.
type measured struct {
	mirrored map[float64][]float64 // by the share, in which there is 0
	before   []float64             // as long as frozen, and nothing is mirrored
	frozen   []float64             // all is, to pods that are frozen
	unbooked int64
	compared int64
	dropped  int64
}

// way is where the load goes when a share of it is to be mirrored, and the share that the
// load generator itself compares.
type way func(share float64) (to string, compared float64)

// send measures a load that goes a way.
func (m *measured) send(ctx context.Context, seed int64, l *lab, by way, share float64, lasting time.Duration) (outcome, error) {
	to, compared := by(share)
	what := load{seed: seed, rate: usersRate, share: compared, lasting: lasting}
	o, err := what.send(ctx, to, l.pods.addresses)
	m.unbooked += o.unbooked(what)
	m.compared += o.diff.Compared
	for _, n := range o.diff.Dropped {
		m.dropped += n
	}
	return o, err
}

// mirror measures each share once. What is sent is the same for all.
func (m *measured) mirror(ctx context.Context, seed int64, lasting time.Duration, l *lab, by way) error {
	turn := len(m.mirrored[0])
	for i := range shares {
		share := shares[(i+turn)%len(shares)] // what came first comes later in the next round
		o, err := m.send(ctx, seed, l, by, share, lasting)
		if err != nil {
			return err
		}
		m.mirrored[share] = append(m.mirrored[share], o.p99())
	}
	return nil
}

// freeze measures a load of which nothing is mirrored, and one of which all is, while the
// pods are frozen.
func (m *measured) freeze(ctx context.Context, seed int64, lasting time.Duration, l *lab, by way) error {
	before, err := m.send(ctx, seed, l, by, 0, lasting)
	if err != nil {
		return err
	}
	frozen, err := l.whileFrozen(lasting, func() (outcome, error) { return m.send(ctx, seed, l, by, 1, lasting) })
	m.before, m.frozen = append(m.before, before.p99()), append(m.frozen, frozen.p99())
	return err
}

// added are the microseconds that mirroring adds, round by round.
func (m *measured) added(share float64) []float64 {
	var us []float64
	for i, with := range m.mirrored[share] {
		us = append(us, 1000*(with-m.mirrored[0][i]))
	}
	return us
}

// change is by how many per cent the p99 is off while the pods are frozen, round by round.
func (m *measured) change() []float64 {
	var percent []float64
	for i, frozen := range m.frozen {
		percent = append(percent, 100*(frozen/m.before[i]-1))
	}
	return percent
}

func liveRows(ctx context.Context, s liveSizes) (rows []bench.Row, err error) {
	l, err := newLab(ctx, s)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	ours, peer := measured{mirrored: map[float64][]float64{}}, measured{mirrored: map[float64][]float64{}}
	// What comes first pays for all that is done once.
	if _, err := (load{seed: s.seed, rate: usersRate, share: 1, lasting: 2 * warmup}).send(ctx, l.users.addresses[0], l.pods.addresses); err != nil {
		return nil, err
	}
	type tool struct {
		m  *measured
		by way
	}
	tools := []tool{{&ours, func(share float64) (string, float64) { return l.users.addresses[0], share }}}
	if l.nginx != nil {
		tools = append(tools, tool{&peer, func(share float64) (string, float64) { return l.nginx.address[share], 0 }})
	}
	for round := range max(s.rounds, s.freezes) {
		s.seed++
		for _, tool := range tools {
			if round < s.rounds {
				err = tool.m.mirror(ctx, s.seed, s.lasting, l, tool.by)
			}
			if err == nil && round < s.freezes {
				err = tool.m.freeze(ctx, s.seed, s.frozen, l, tool.by)
			}
			if err != nil {
				return nil, err
			}
		}
	}
	for _, share := range shares[1:] {
		target := fmt.Sprintf("added to the p99 of %d requests/s by comparing %g %% of them; beside nginx, mirroring as many", usersRate, 100*share)
		rows = append(rows, bench.Judge(target, bench.AtMost(100, "µs"), bench.Samples{Ours: ours.added(share), Peer: peer.added(share)}, l.missing))
	}
	whileFrozen := fmt.Sprintf("p99 of %d requests/s while what is mirrored to is frozen for %v, all of them mirrored", usersRate, s.frozen)
	books := bench.Judge(fmt.Sprintf("requests of %d that are neither compared nor dropped with a reason, or are both", ours.compared+ours.dropped), bench.AtMost(0, "requests"),
		bench.Samples{Ours: []float64{float64(ours.unbooked)}}, "nginx does not say what became of what it mirrors")
	haproxy := bench.Judge("added to the p99 by mirroring; haproxy", bench.AtMost(100, "µs"), bench.Samples{}, "haproxy mirrors nothing itself: it takes an agent of somebody else's, over SPOE")
	rows = append(rows, haproxy,
		bench.Judge("change of the "+whileFrozen+"; beside nginx", bench.AtMost(5, "%"), bench.Samples{Ours: ours.change(), Peer: peer.change()}, l.missing),
		bench.Judge(whileFrozen+"; beside nginx", bench.Times(100, "ms"), bench.Samples{Ours: ours.frozen, Peer: peer.frozen}, l.missing), books)
	memory, err := memoryRows(ctx, s, l)
	return append(rows, memory...), err
}
