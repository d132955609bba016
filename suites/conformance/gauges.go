package conformance

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/cutover-dev/cutover/faults"
)

// A gauge measures pods from outside, by connections into the cluster's network.
type gauge struct {
	dial faults.Dialer
}

const (
	// exchangesEach is how many exchanges a round trip is the median of.
	exchangesEach = 30
	// stall is how long an exchange with the bystander takes only if the machine had
	// no time for it: the one that follows is not counted.
	stall = 25 * time.Millisecond
	// exchangeWithin bounds one exchange.
	exchangeWithin = 2 * time.Second
	// connects is how many connects are tried.
	connects = 5
	// silentAfter is how long an answer to a connect is waited for: the kernel tries
	// again after a second, so two were lost then.
	silentAfter = 1500 * time.Millisecond
	// streams is how many streams a throughput is the median of, each measured for
	// streamed after it has had time to find its speed.
	streams  = 3
	streamed = time.Second
	warmUp   = 300 * time.Millisecond
)

// roundTrips measures pods in turn, each right after the bystander, which comes
// first among the addresses. The figures are by pod, as the addresses are.
func (g gauge) roundTrips(ctx context.Context, addresses []string) [][]Figure {
	conns := make([]net.Conn, len(addresses))
	failures := make([]error, len(addresses))
	for i, address := range addresses {
		if conns[i], failures[i] = g.open(ctx, address, wantsEcho); failures[i] == nil {
			defer conns[i].Close()
			_, failures[i] = exchange(ctx, conns[i]) // the pod's program is at it from here on
		}
	}
	samples := make([][]float64, len(addresses))
	voided := make([]int, len(addresses))
	for range exchangesEach {
		for i := 1; i < len(addresses); i++ {
			beside := sample(ctx, conns[0], &failures[0], &samples[0])
			if beside > stall {
				voided[i]++
				continue
			}
			sample(ctx, conns[i], &failures[i], &samples[i])
		}
	}
	all := make([][]Figure, len(addresses))
	for i := range addresses {
		all[i] = roundTripOf(samples[i], voided[i], failures[i])
	}
	return all
}

// sample exchanges once, unless it has failed before.
func sample(ctx context.Context, conn net.Conn, failure *error, samples *[]float64) time.Duration {
	if *failure != nil {
		return 0
	}
	took, err := exchange(ctx, conn)
	if *failure = err; err == nil {
		*samples = append(*samples, float64(took.Microseconds())/1000)
	}
	return took
}

// roundTripOf samples, of which too many must not have been spoiled.
func roundTripOf(samples []float64, voided int, failure error) []Figure {
	all := map[Quantity]float64{RoundTrip: 0.5, RoundTripLow: 0.1, RoundTripHigh: 0.9}
	var figures []Figure
	for _, quantity := range []Quantity{RoundTrip, RoundTripLow, RoundTripHigh} {
		f := quantile(quantity, samples, all[quantity])
		switch {
		case failure != nil:
			f = unmeasured(quantity, failure.Error())
		case voided > len(samples):
			f = unmeasured(quantity, fmt.Sprintf("stalls of the machine spoiled %d of %d exchanges", voided, voided+len(samples)))
		}
		f.Voided = voided
		figures = append(figures, f)
	}
	return figures
}

// open connects and says what the connection is for.
func (g gauge) open(ctx context.Context, address string, wish byte) (net.Conn, error) {
	bounded, cancel := context.WithTimeout(ctx, exchangeWithin)
	defer cancel()
	conn, err := g.dial(bounded, address)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	if _, err := conn.Write([]byte{wish}); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

// exchange is the time of one byte to the pod and back.
func exchange(ctx context.Context, conn net.Conn) (time.Duration, error) {
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if err := conn.SetDeadline(time.Now().Add(exchangeWithin)); err != nil {
		return 0, err
	}
	one := []byte{1}
	began := time.Now()
	if _, err := conn.Write(one); err != nil {
		return 0, fmt.Errorf("exchange a byte: %w", err)
	}
	if _, err := io.ReadFull(conn, one); err != nil {
		return 0, fmt.Errorf("exchange a byte: %w", err)
	}
	return time.Since(began), nil
}

// connections tries several connects to each address at once.
func (g gauge) connections(ctx context.Context, addresses []string) [][]Figure {
	all := make([][]Figure, len(addresses))
	var running sync.WaitGroup
	for i, address := range addresses {
		running.Go(func() {
			var counts [4]int
			var mu sync.Mutex
			var trying sync.WaitGroup
			for range connects {
				trying.Go(func() {
					got := g.connect(ctx, address)
					mu.Lock()
					defer mu.Unlock()
					counts[got]++
				})
			}
			trying.Wait()
			all[i] = []Figure{
				share(Answered, counts[answered], connects), share(Refused, counts[refused], connects), share(Silent, counts[silent], connects),
			}
		})
	}
	running.Wait()
	return all
}

// What a connect can come to.
const (
	answered = iota
	refused
	silent
	impossible // there is no way to the address
)

func (g gauge) connect(ctx context.Context, address string) int {
	bounded, cancel := context.WithTimeout(ctx, silentAfter)
	defer cancel()
	conn, err := g.dial(bounded, address)
	var timeout net.Error
	switch {
	case err == nil:
		conn.Close()
		return answered
	case errors.Is(err, unix.ECONNREFUSED):
		return refused
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, unix.ETIMEDOUT), errors.As(err, &timeout) && timeout.Timeout():
		return silent
	}
	return impossible
}

// throughputs measures how fast pods send, one after the other in turn.
func (g gauge) throughputs(ctx context.Context, addresses []string) [][]Figure {
	samples := make([][]float64, len(addresses))
	failures := make([]error, len(addresses))
	for range streams {
		for i, address := range addresses {
			speed, err := g.stream(ctx, address)
			if err != nil {
				failures[i] = err
				continue
			}
			samples[i] = append(samples[i], speed)
		}
	}
	all := make([][]Figure, len(addresses))
	for i := range addresses {
		f := quantile(Throughput, samples[i], 0.5)
		if failures[i] != nil {
			f = unmeasured(Throughput, failures[i].Error())
		}
		all[i] = []Figure{f}
	}
	return all
}

// stream reads from the pod for a while: MB a second.
func (g gauge) stream(ctx context.Context, address string) (float64, error) {
	conn, err := g.open(ctx, address, wantsBytes)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	if _, err := readFor(ctx, conn, warmUp); err != nil {
		return 0, err
	}
	began := time.Now()
	bytes, err := readFor(ctx, conn, streamed)
	if err != nil {
		return 0, err
	}
	return float64(bytes) / 1e6 / time.Since(began).Seconds(), nil
}

func readFor(ctx context.Context, conn net.Conn, d time.Duration) (int64, error) {
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	if err := conn.SetReadDeadline(time.Now().Add(d)); err != nil {
		return 0, err
	}
	bytes, err := io.Copy(io.Discard, conn)
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return bytes, nil
	}
	if err == nil {
		err = io.ErrUnexpectedEOF
	}
	return bytes, fmt.Errorf("read from the pod: %w", err)
}

// look asks a pod for what only it sees.
func (g gauge) look(ctx context.Context, address string) (inside, error) {
	conn, err := g.open(ctx, address, wantsInside)
	if err != nil {
		return inside{}, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(exchangeWithin)); err != nil {
		return inside{}, err
	}
	var seen inside
	if err := json.NewDecoder(conn).Decode(&seen); err != nil {
		return inside{}, fmt.Errorf("read what the pod sees: %w", err)
	}
	return seen, nil
}
