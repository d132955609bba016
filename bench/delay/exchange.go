package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/cutover-dev/cutover/bench/stalls"
	"github.com/cutover-dev/cutover/faults/agent"
)

// settle exchanges come first and do not count: TCP learns the round trip in them
// and sends more than it has to.
const settle = 20

// exchange is one byte sent to the pod and its echo.
type exchange struct {
	from, to int64         // of the machine's clock
	drawn    time.Duration // 0 if it is not known
	alone    bool          // no other packet of the pod's was on its way
}

// off is how much longer it took than the delay that was drawn for its packet.
func (e exchange) off() time.Duration { return time.Duration(e.to-e.from) - e.drawn }

// exchanges has so many bytes echoed over one connection, one after another, while
// the pod is under a delay. The delay of each is known, with jitter too (but netem's): draws are
// made in the order of the pod's packets, and TCP counts the packets.
func exchanges(ctx context.Context, driver string, delay agent.Delay, count int) (_ []exchange, err error) {
	l, err := newLab(ctx, driver)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	atNode, atPod, err := l.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer atNode.Close()
	sent := make(chan uint32, 1)
	go echo(atPod, sent)
	type result struct {
		all []exchange
		err error
	}
	done := make(chan result)
	go func() {
		runtime.LockOSThread() // never unlocked: its priority ends with it
		stalls.ComeFirst()
		all, err := exchangeAll(atNode, sent, draws(driver, delay), count, func() error { return l.server.delay(l.pod, delay) })
		done <- result{all, err}
	}()
	r := <-done
	return r.all, r.err
}

// exchangeAll exchanges once without the delay, and then so often with it.
func exchangeAll(conn *os.File, sent <-chan uint32, draw func() time.Duration, count int, begin func() error) ([]exchange, error) {
	if _, err := once(conn); err != nil {
		return nil, err
	}
	last := <-sent
	drawn := last
	if err := begin(); err != nil {
		return nil, err
	}
	var all []exchange
	for i := range settle + count {
		e, err := once(conn)
		if err != nil {
			return nil, fmt.Errorf("exchange %d: %w", i, err)
		}
		upTo := <-sent
		for ; drawn < upTo; drawn++ {
			e.drawn = draw()
		}
		e.alone = upTo == last+1
		last = upTo
		if i >= settle {
			all = append(all, e)
		}
	}
	return all, nil
}

// draws are the delays that a driver gives to one packet after another. netem keeps
// its jitter to itself.
func draws(driver string, delay agent.Delay) func() time.Duration {
	if driver == "netem" && delay.Jitter > 0 {
		return func() time.Duration { return 0 }
	}
	return delay.Sequence(0)
}

func once(conn *os.File) (exchange, error) {
	one := []byte{1}
	e := exchange{from: stalls.Monotonic()}
	if _, err := conn.Write(one); err != nil {
		return e, err
	}
	_, err := io.ReadFull(conn, one)
	e.to = stalls.Monotonic()
	return e, err
}

// echo says after each echo how many packets the pod has sent so far.
func echo(conn *os.File, sent chan<- uint32) {
	runtime.LockOSThread() // never unlocked: its priority ends with it
	stalls.ComeFirst()
	defer conn.Close()
	for one := make([]byte, 1); ; {
		if _, err := io.ReadFull(conn, one); err != nil {
			return
		}
		if _, err := conn.Write(one); err != nil {
			return
		}
		info, err := unix.GetsockoptTCPInfo(int(conn.Fd()), unix.IPPROTO_TCP, unix.TCP_INFO)
		if err != nil {
			return
		}
		sent <- info.Segs_out
	}
}
