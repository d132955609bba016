package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/cutover-dev/cutover/faults/agent"
)

// stream is the rate, in bits a second, of one TCP connection from the pod, once
// it is up to speed.
func stream(ctx context.Context, driver string, delay agent.Delay, speedUp, lasting time.Duration) (rate float64, err error) {
	l, err := newLab(ctx, driver)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	atNode, atPod, err := l.connect(ctx)
	if err != nil {
		return 0, err
	}
	defer atNode.Close()
	if err := paceByLoss(atPod); err != nil {
		return 0, err
	}
	if err := l.server.delay(l.pod, delay); err != nil {
		return 0, err
	}
	go func() {
		defer atPod.Close()
		for block := make([]byte, 1<<20); ; {
			if _, err := atPod.Write(block); err != nil {
				return
			}
		}
	}()
	if _, _, err := receive(atNode, speedUp); err != nil {
		return 0, err
	}
	bytes, took, err := receive(atNode, lasting)
	return float64(bytes) * 8 / took.Seconds(), err
}

// receive throws away what comes for so long.
func receive(conn *os.File, lasting time.Duration) (bytes int, took time.Duration, err error) {
	began := time.Now()
	for block := make([]byte, 1<<20); took < lasting; took = time.Since(began) {
		n, err := conn.Read(block)
		bytes += n
		if err != nil && !errors.Is(err, io.EOF) {
			return bytes, took, fmt.Errorf("receive the stream: %w", err)
		}
	}
	return bytes, took, nil
}

// paceByLoss has the connection paced by losses only: BBR goes by the round trips
// that it has seen, and takes a busy machine for a slow network.
func paceByLoss(conn *os.File) error {
	if err := unix.SetsockoptString(int(conn.Fd()), unix.IPPROTO_TCP, unix.TCP_CONGESTION, "reno"); err != nil {
		return fmt.Errorf("choose the stream's congestion control: %w", err)
	}
	return nil
}
