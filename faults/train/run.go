package train

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Run sends the train to those pods that this network reaches by an interface of
// their own, which are those of this node, all at once.
func Run(ctx context.Context, plan Plan) ([]Result, error) {
	results := []Result{}
	failures := make([]error, len(plan.Pods))
	var mu sync.Mutex
	var running sync.WaitGroup
	for i, pod := range plan.Pods {
		near, err := isNear(pod)
		if err != nil {
			return nil, err
		}
		if !near {
			continue
		}
		conn, err := listen(ctx) // here: a socket is of the network of the thread that opens it
		if err != nil {
			failures[i] = err
			continue
		}
		running.Go(func() {
			result, err := send(ctx, conn, plan, pod)
			failures[i] = err
			mu.Lock()
			defer mu.Unlock()
			results = append(results, result)
		})
	}
	running.Wait()
	return results, errors.Join(failures...)
}

// isNear is true of an address that is reached without a gateway in between.
func isNear(pod netip.Addr) (bool, error) {
	if !pod.Is4() {
		return false, fmt.Errorf("pod address %s: measuring anything but IPv4 is not supported yet", pod)
	}
	routes, err := netlink.RouteGet(pod.AsSlice())
	if errors.Is(err, unix.EHOSTUNREACH) || errors.Is(err, unix.ENETUNREACH) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("find the way to pod address %s: %w", pod, err)
	}
	return len(routes) > 0 && routes[0].Gw == nil, nil
}

// train is one on its way.
type train struct {
	plan Plan
	pod  netip.Addr
	conn *net.IPConn
	echo echo

	mu     sync.Mutex
	result Result
	back   []bool // by number
	began  time.Time
	last   time.Time // when something came back
}

// send makes the train to one pod, and closes the socket.
func send(ctx context.Context, conn *net.IPConn, plan Plan, pod netip.Addr) (Result, error) {
	defer conn.Close()
	t := &train{plan: plan, pod: pod, conn: conn, back: make([]bool, plan.Count), result: Result{Pod: pod}}
	if _, err := rand.Read(t.echo.mark[:]); err != nil {
		return t.result, err
	}
	receiving := make(chan struct{})
	go func() {
		defer close(receiving)
		t.receive()
	}()
	t.began = time.Now()
	t.last = t.began
	err := t.depart(ctx)
	t.await(ctx)
	conn.Close()
	<-receiving
	t.result.Took = t.last.Sub(t.began)
	return t.result, err
}

// received is how many bytes the kernel keeps for us while we are not running.
const received = 32 << 20

// listen opens a raw socket that gets echo replies only.
func listen(ctx context.Context) (*net.IPConn, error) {
	packet, err := new(net.ListenConfig).ListenPacket(ctx, "ip4:icmp", "0.0.0.0")
	if err != nil {
		return nil, fmt.Errorf("open a raw socket (that takes CAP_NET_RAW): %w", err)
	}
	conn := packet.(*net.IPConn)
	raw, err := conn.SyscallConn()
	if err == nil {
		err = raw.Control(func(fd uintptr) {
			allButReplies := ^(1 << typeReply)
			_ = unix.SetsockoptInt(int(fd), unix.SOL_RAW, icmpFilter, allButReplies) // they are left out below, too
			if unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, received) != nil {
				_ = conn.SetReadBuffer(received) // as much as an ordinary user may
			}
		})
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("set up a raw socket: %w", err), conn.Close())
	}
	return conn, nil
}

// icmpFilter is ICMP_FILTER of linux/icmp.h.
const icmpFilter = 1

// beat is how often the echoes that are due are sent.
const beat = time.Millisecond

// depart sends the echoes at their rate. What is late goes four times as fast, and
// not all at once: that would be a flood that queues drop from.
func (t *train) depart(ctx context.Context) error {
	to := &net.IPAddr{IP: t.pod.AsSlice()}
	out := make([]byte, headerSize+t.plan.Size)
	ticker := time.NewTicker(beat)
	defer ticker.Stop()
	atOnce := 4 + 4*int(beat.Seconds()*float64(t.plan.Rate))
	for n := 0; n < t.plan.Count; {
		due := t.plan.First + 1 + int(time.Since(t.began).Seconds()*float64(t.plan.Rate))
		due = min(due, max(t.plan.First, n)+atOnce, t.plan.Count)
		for ; n < due; n++ {
			t.echo.write(out, uint32(n))
			_, err := t.conn.WriteTo(out, to)
			if errors.Is(err, unix.ENOBUFS) {
				continue // never sent
			}
			if err != nil {
				return fmt.Errorf("send an echo to pod address %s: %w", t.pod, err)
			}
			t.mu.Lock()
			t.result.Sent++
			t.mu.Unlock()
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// await waits until everything is back, or for as long as the plan says after the
// last that came.
func (t *train) await(ctx context.Context) {
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for departed := time.Now(); ; {
		t.mu.Lock()
		quiet, all := time.Since(t.last), t.result.Whole+t.result.Damaged >= t.result.Sent
		t.mu.Unlock()
		rest := min(t.plan.Wait, 10*beat) // a second copy comes right after the first
		if !all {
			rest = t.plan.Wait
		}
		if quiet >= rest && time.Since(departed) >= rest {
			return
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// receive counts what comes back until the socket is closed.
func (t *train) receive() {
	in := make([]byte, 1<<16)
	for {
		n, from, err := t.conn.ReadFrom(in)
		if err != nil {
			return
		}
		if ip, isIP := from.(*net.IPAddr); isIP && t.pod == addrOf(ip) {
			t.count(in[:n], time.Now())
		}
	}
}

func addrOf(ip *net.IPAddr) netip.Addr {
	addr, _ := netip.AddrFromSlice(ip.IP)
	return addr.Unmap()
}

func (t *train) count(reply []byte, at time.Time) {
	if len(reply) < headerSize || reply[0] != typeReply {
		return
	}
	damaged := checksum(reply) != 0
	number, ours := t.echo.read(reply)
	if !ours && (!damaged || len(reply) != headerSize+t.plan.Size) {
		return // somebody else's
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last = at
	switch {
	case damaged:
		t.result.Damaged++
	case int(number) >= len(t.back):
	case t.back[number]:
		t.result.Again++
	default:
		t.back[number] = true
		t.result.Whole++
	}
}

// echo writes and reads one train's echoes.
type echo struct{ mark [8]byte } // random

const (
	typeRequest = 8
	typeReply   = 0
	headerSize  = 8
	leastSize   = 8 + 4 // the mark and the number
	mostSize    = 1400  // fits into one packet of any pod network
)

// write makes the number-th echo of out.
func (e *echo) write(out []byte, number uint32) {
	out[0], out[1] = typeRequest, 0
	binary.BigEndian.PutUint16(out[2:], 0)
	copy(out[4:6], e.mark[:2]) // the identifier
	binary.BigEndian.PutUint16(out[6:], uint16(number))
	copy(out[headerSize:], e.mark[:])
	binary.BigEndian.PutUint32(out[headerSize+8:], number)
	for i := headerSize + leastSize; i < len(out); i++ {
		out[i] = byte(i)
	}
	binary.BigEndian.PutUint16(out[2:], checksum(out))
}

// read is the number of an echo, if it is of this train.
func (e *echo) read(reply []byte) (number uint32, ours bool) {
	if len(reply) < headerSize+leastSize || [8]byte(reply[headerSize:headerSize+8]) != e.mark {
		return 0, false
	}
	return binary.BigEndian.Uint32(reply[headerSize+8:]), true
}

// checksum is the Internet's: 0 over a message that has its own and is whole.
func checksum(message []byte) uint16 {
	var sum uint32
	for ; len(message) >= 2; message = message[2:] {
		sum += uint32(binary.BigEndian.Uint16(message))
	}
	if len(message) == 1 {
		sum += uint32(message[0]) << 8
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
