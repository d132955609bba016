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
	rounds  int
	lasting time.Duration // of each load
	frozen  time.Duration // of each load while what is mirrored to is frozen
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

// round measures each way once. What is sent is the same for all.
func (m *measured) round(ctx context.Context, s liveSizes, l *lab, way func(share float64) (to string, compared float64)) error {
	send := func(share float64, lasting time.Duration) (outcome, error) {
		to, compared := way(share)
		what := load{seed: s.seed, rate: usersRate, share: compared, lasting: lasting}
		o, err := what.send(ctx, to, l.pods.addresses)
		m.unbooked += o.unbooked(what)
		m.compared += o.diff.Compared
		for _, n := range o.diff.Dropped {
			m.dropped += n
		}
		return o, err
	}
	for i := range shares {
		share := shares[(i+len(m.before))%len(shares)] // what came first comes later in the next round
		o, err := send(share, s.lasting)
		if err != nil {
			return err
		}
		m.mirrored[share] = append(m.mirrored[share], o.p99())
	}
	before, err := send(0, s.frozen)
	if err != nil {
		return err
	}
	frozen, err := l.whileFrozen(s.frozen, func() (outcome, error) { return send(1, s.frozen) })
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
	for range s.rounds {
		s.seed++
		if err := ours.round(ctx, s, l, func(share float64) (string, float64) { return l.users.addresses[0], share }); err != nil {
			return nil, err
		}
		if l.nginx == nil {
			continue
		}
		if err := peer.round(ctx, s, l, func(share float64) (string, float64) { return l.nginx.address[share], 0 }); err != nil {
			return nil, err
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
