package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/cutover-dev/cutover/bench/stalls"
	"github.com/cutover-dev/cutover/faults/agent"
	"github.com/cutover-dev/cutover/faults/agent/nettest"
)

// flow is what became of packets that a pod sent at a steady rate.
type flow struct {
	sent, received, overtaken int
	off                       []time.Duration // of each packet: later than it was due
	took, cpu                 time.Duration   // cpu is the driver's process's
}

// share is how much of one processor the driver's process took.
func (f flow) share() float64 { return f.cpu.Seconds() / f.took.Seconds() }

// packets has the pod send so many numbered packets, evenly spaced.
func packets(ctx context.Context, driver string, delay agent.Delay, rate, count int) (f flow, err error) {
	l, err := newLab(ctx, driver)
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	receiver, sender, err := l.datagrams()
	if err != nil {
		return f, err
	}
	defer receiver.Close()
	defer sender.Close()
	if err := l.server.delay(l.pod, delay); err != nil {
		return f, err
	}
	before, err := l.server.cpu()
	if err != nil {
		return f, err
	}
	began := time.Now()
	taken, sending := make(chan struct{}), make(chan error)
	go func() { f.take(receiver, delay, count); close(taken) }()
	go func() { sending <- send(sender, rate, count) }()
	err = <-sending
	<-taken
	f.took = time.Since(began)
	after, cpuErr := l.server.cpu()
	f.sent, f.cpu = count, after-before
	return f, errors.Join(err, cpuErr)
}

// datagrams are a socket of the pod's that sends to one of the node's.
func (l *lab) datagrams() (receiver, sender *os.File, err error) {
	var at *net.UDPConn
	err = l.node.Do(func() (err error) {
		at, err = net.ListenUDP("udp4", &net.UDPAddr{IP: net.ParseIP(nettest.NodeIP), Port: 9})
		return err
	})
	if err != nil {
		return nil, nil, fmt.Errorf("listen on the node: %w", err)
	}
	to := at.LocalAddr().(*net.UDPAddr)
	_ = at.SetReadBuffer(8 << 20) // what is lost for lack of it is counted
	if receiver, err = blocking(at); err != nil {
		return nil, nil, err
	}
	var from *net.UDPConn
	err = l.pod.Do(func() (err error) {
		from, err = net.DialUDP("udp4", nil, to)
		return err
	})
	if err == nil {
		sender, err = blocking(from)
	}
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("send from the pod: %w", err), receiver.Close())
	}
	return receiver, sender, nil
}

// send numbered packets with the time at which they were sent.
func send(conn *os.File, rate, count int) error {
	runtime.LockOSThread() // never unlocked: its priority ends with it
	stalls.ComeFirst()
	packet := make([]byte, 12)
	began := stalls.Monotonic()
	for i := range count {
		stalls.SleepUntil(began + int64(i)*int64(time.Second)/int64(rate))
		binary.BigEndian.PutUint32(packet, uint32(i))
		binary.BigEndian.PutUint64(packet[4:], uint64(stalls.Monotonic()))
		if _, err := conn.Write(packet); err != nil && !errors.Is(err, unix.ENOBUFS) {
			return fmt.Errorf("send packet %d: %w", i, err)
		}
	}
	return nil
}

// take receives up to so many packets. No packet is due before one that was sent
// before it.
func (f *flow) take(conn *os.File, delay agent.Delay, count int) {
	runtime.LockOSThread() // never unlocked: its priority ends with it
	stalls.ComeFirst()
	f.off = make([]time.Duration, 0, count)
	draw := delay.Sequence(0)
	var next uint32 // the first number that has not been seen
	var due int64
	for packet := make([]byte, 12); f.received < count; f.received++ {
		if _, err := conn.Read(packet); err != nil {
			return // what is missing is counted
		}
		now := stalls.Monotonic()
		number := binary.BigEndian.Uint32(packet)
		if number < next {
			f.overtaken++
			continue
		}
		for ; next < number; next++ {
			draw() // for one that was lost, or is late
		}
		next++
		due = max(due, int64(binary.BigEndian.Uint64(packet[4:]))+draw().Nanoseconds())
		f.off = append(f.off, time.Duration(now-due))
	}
}
