package agent

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"
)

func TestQueueDelaysAnIdleConnectionPrecisely(t *testing.T) {
	n := newNode(t)
	p := n.pod(2)
	p.serve(t, echo)
	conn := n.dial(p)
	if before := roundTrip(t, conn); before > 30*time.Millisecond {
		t.Fatalf("%v without any fault", before)
	}
	d := n.driver()
	asked := 50 * time.Millisecond
	apply(t, d, "fault-one", Delay{Latency: asked}, p, time.Minute)
	var errs []time.Duration
	for range 40 {
		errs = append(errs, roundTrip(t, conn)-asked)
	}
	slices.Sort(errs)
	median := errs[len(errs)/2]
	t.Logf("asked %v: median error %v, least %v, most %v", asked, median, errs[0], errs[len(errs)-1])
	if errs[0] < 0 || median > 10*time.Millisecond {
		t.Errorf("median error %v, least %v; want 0 to 10ms even on a busy machine", median, errs[0])
	}

	heal(t, d, "fault-one")
	if after := roundTrip(t, conn); after > asked/2 {
		t.Errorf("%v after healing", after)
	}
	if sets, err := d.table.sets(); len(sets) != 0 || err != nil {
		t.Errorf("left behind: %v, %v", sets, err)
	}
}

func TestQueueDelaysOnlyItsPods(t *testing.T) {
	n := newNode(t)
	slow, well := n.pod(2), n.pod(3)
	slow.serve(t, echo)
	well.serve(t, echo)
	d := n.driver()
	apply(t, d, "fault-one", Delay{Latency: 200 * time.Millisecond}, slow, time.Minute)
	if got := roundTrip(t, n.dial(well)); got > 100*time.Millisecond {
		t.Errorf("a pod that is no target took %v", got)
	}
	if got := roundTrip(t, n.dial(slow)); got < 200*time.Millisecond {
		t.Errorf("the target took %v", got)
	}
}

func TestKernelEndsTheFaultWhileItsOwnerIsStopped(t *testing.T) {
	n := newNode(t)
	p := n.pod(2)
	p.serve(t, echo)
	conn := n.dial(p)
	d := n.driver()
	apply(t, d, "fault-one", Delay{Latency: 20 * time.Millisecond}, p, 1500*time.Millisecond)
	began := time.Now()
	roundTrip(t, conn)
	// Neither reads nor answers, as under SIGSTOP.
	queue := d.queues[d.faults["fault-one"][p.as.UID]]
	queue.mu.Lock()
	held := roundTrip(t, conn) // comes back when the rule has stopped matching and TCP tries again
	healed := time.Since(began)
	free := roundTrip(t, conn)
	queue.mu.Unlock()
	t.Logf("held %v, free again after %v, then %v", held, healed, free)
	if healed < 1400*time.Millisecond {
		t.Errorf("free after %v already: nothing was held", healed)
	}
	if free > 15*time.Millisecond {
		t.Errorf("%v after the fault's time", free)
	}
}

func TestDeadAgentsQueueIsBypassedAndSwept(t *testing.T) {
	n := newNode(t)
	p := n.pod(2)
	p.serve(t, echo)
	conn := n.dial(p)
	d := n.driver()
	apply(t, d, "fault-one", Delay{Latency: 300 * time.Millisecond}, p, time.Minute)
	link := d.faults["fault-one"][p.as.UID]
	if err := d.queues[link].close(); err != nil {
		t.Fatal(err)
	}
	delete(d.queues, link)
	if got := roundTrip(t, conn); got > 100*time.Millisecond {
		t.Errorf("%v with nobody at the queue", got)
	}
	next := n.driver()
	if sets, _ := next.table.sets(); len(sets) != 1 {
		t.Fatalf("sets = %v, want what the dead agent left", sets)
	}
	if err := next.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if sets, err := next.table.sets(); len(sets) != 0 || err != nil {
		t.Errorf("left behind: %v, %v", sets, err)
	}
	apply(t, next, "fault-one", Delay{Latency: 100 * time.Millisecond}, p, time.Minute)
	if got := roundTrip(t, conn); got < 100*time.Millisecond {
		t.Errorf("%v: the next agent does not resume the fault", got)
	}
}

func TestQueueKeepsTheOrderUnderJitterAndLosesNothingWhenAnotherFaultEnds(t *testing.T) {
	n := newNode(t)
	p, other := n.pod(2), n.pod(3)
	d := n.driver()
	apply(t, d, "fault-one", Delay{Latency: 100 * time.Millisecond, Jitter: 90 * time.Millisecond, Seed: 7}, p, time.Minute)
	apply(t, d, "fault-two", Delay{Latency: time.Millisecond}, other, time.Minute)
	const count = 200
	receiver := n.receive(p, count)
	heal(t, d, "fault-two")
	wait(t, receiver.SetReadDeadline, 10*time.Second)
	packet := make([]byte, 4)
	for want := range uint32(count) {
		if _, _, err := receiver.ReadFrom(packet); err != nil {
			t.Fatalf("packet %d of %d: %v", want, count, err)
		}
		if got := binary.BigEndian.Uint32(packet); got != want {
			t.Fatalf("packet %d came in place of %d", got, want)
		}
	}
}

// The reason for the one shared table: if this fails, the kernel has become
// kinder, and each fault may have a table of its own.
func TestKernelDropsWhatQueuesHoldWhenAnyHookGoes(t *testing.T) {
	n := newNode(t)
	p := n.pod(2)
	d := n.driver()
	apply(t, d, "fault-one", Delay{Latency: 100 * time.Millisecond}, p, time.Minute)
	conn, err := d.table.conn()
	if err != nil {
		t.Fatal(err)
	}
	foreign := conn.AddTable(&nftables.Table{Name: "foreign", Family: nftables.TableFamilyIPv4})
	conn.AddChain(&nftables.Chain{
		Name: "input", Table: foreign, Type: nftables.ChainTypeFilter,
		Hooknum: nftables.ChainHookInput, Priority: nftables.ChainPriorityFilter,
	})
	if err := conn.Flush(); err != nil {
		t.Fatal(err)
	}
	receiver := n.receive(p, 1)
	conn.DelTable(foreign)
	if err := conn.Flush(); err != nil {
		t.Fatal(err)
	}
	wait(t, receiver.SetReadDeadline, 300*time.Millisecond)
	if _, _, err := receiver.ReadFrom(make([]byte, 4)); err == nil {
		t.Error("the packet has survived the end of a hook")
	}
}

// receive has the pod send so many numbered packets to the node, which listens.
func (n *node) receive(from netnsPod, count uint32) (receiver net.PacketConn) {
	n.t.Helper()
	inNetns(n.t, n, func() (err error) {
		receiver, err = net.ListenPacket("udp4", "10.9.255.1:9")
		return err
	})
	n.t.Cleanup(func() { receiver.Close() })
	inNetns(n.t, from, func() error {
		conn, err := net.Dial("udp4", "10.9.255.1:9")
		if err != nil {
			return err
		}
		defer conn.Close()
		for i := range count {
			if _, err := conn.Write(binary.BigEndian.AppendUint32(nil, i)); err != nil {
				return err
			}
		}
		return nil
	})
	return receiver
}

func TestQueueCarriesAStream(t *testing.T) {
	n := newNode(t)
	p := n.pod(2)
	p.serve(t, func(conn net.Conn) {
		paceByLoss(t, conn)
		block := make([]byte, 1<<20)
		for {
			if _, err := conn.Write(block); err != nil {
				return
			}
		}
	})
	d := n.driver()
	apply(t, d, "fault-one", Delay{Latency: 20 * time.Millisecond}, p, time.Minute)
	conn := n.dial(p)
	began := time.Now()
	wait(t, conn.SetDeadline, 2*time.Second)
	got, _ := io.Copy(io.Discard, conn)
	rate := float64(got) * 8 / time.Since(began).Seconds() / 1e6
	t.Logf("%.0f Mbit/s at 20ms", rate)
	if rate < 20 { // a throttled sender gets 2
		t.Errorf("%.0f Mbit/s: the queue throttles its senders", rate)
	}
}

// paceByLoss has the connection paced by losses only: BBR goes by the round trips
// that it has seen, and takes a busy machine for a slow network.
func paceByLoss(t *testing.T, conn net.Conn) {
	raw, err := conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Error(err)
		return
	}
	var set error
	err = raw.Control(func(fd uintptr) { set = unix.SetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION, "reno") })
	if err := errors.Join(err, set); err != nil {
		t.Error(err)
	}
}

func TestQueueRefusesWhatItCannotTellApart(t *testing.T) {
	n := newNode(t)
	p := n.pod(2)
	d := n.driver()
	until := time.Now().Add(time.Minute)
	foreign := p.as
	foreign.IP = foreign.IP.Next().Next()
	if err := d.Apply(t.Context(), "fault-one", Delay{}, foreign, until); err == nil {
		t.Error("a pod without a route was delayed")
	}
}

func TestDelaysOfTwoFaultsAddUpAndEndOneByOne(t *testing.T) {
	n := newNode(t)
	p := n.pod(2)
	p.serve(t, echo)
	conn := n.dial(p)
	d := n.driver()
	apply(t, d, "fault-one", Delay{Latency: 200 * time.Millisecond}, p, time.Minute)
	apply(t, d, "fault-two", Delay{Latency: 400 * time.Millisecond}, p, time.Minute)
	apply(t, d, "fault-three", Delay{Latency: 800 * time.Millisecond}, p, 5*time.Second)
	before := time.Minute // the last step's delay, which a busy machine must not be taken for
	for _, step := range []struct {
		why   string
		least time.Duration
		do    func()
	}{
		{"all three", 1400 * time.Millisecond, func() {}},
		{"the third is over by itself, and the kernel's set is empty of it", 600 * time.Millisecond, func() { awaitEmpty(t, d, "fault-three") }},
		{"the second is healed", 200 * time.Millisecond, func() { heal(t, d, "fault-two") }},
		{"the first is healed, and the third's object too", 0, func() { heal(t, d, "fault-one"); heal(t, d, "fault-three") }},
	} {
		step.do()
		roundTrip(t, conn) // what was held before goes first
		if got := roundTrip(t, conn); got < step.least || got >= before {
			t.Errorf("%s: %v, want %v and a little", step.why, got, step.least)
		}
		before = step.least
	}
	if len(d.queues) != 0 {
		t.Errorf("%d queues are left", len(d.queues))
	}
}

// awaitEmpty waits until the kernel has forgotten the members of a fault's set.
func awaitEmpty(t *testing.T, d *queueDriver, fault string) {
	t.Helper()
	conn, err := d.table.conn()
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		members, err := conn.GetSetElements(d.table.set(setName(uid(fault))))
		if err != nil {
			t.Fatal(err)
		}
		if len(members) == 0 {
			return
		}
	}
	t.Fatal("the kernel still has the fault's members")
}

// A newborn pod joins its fault with a queue and a sequence of delays of its own.
func TestNewbornPodJoinsAndKeepsItsOwnOrder(t *testing.T) {
	n := newNode(t)
	first, newborn := n.pod(2), n.pod(3)
	newborn.serve(t, echo)
	d := n.driver()
	apply(t, d, "fault-one", Delay{Latency: 3 * time.Second}, first, time.Minute)
	n.receive(first, 1) // held for long
	apply(t, d, "fault-one", Delay{Latency: 100 * time.Millisecond}, newborn, time.Minute)
	conn := n.dial(newborn)
	if got := roundTrip(t, conn); got < 100*time.Millisecond || got > 2*time.Second {
		t.Errorf("%v: it is not delayed, or waits behind another pod's packets", got)
	}
	heal(t, d, "fault-one")
	if got := roundTrip(t, conn); got > 90*time.Millisecond || len(d.queues) != 0 {
		t.Errorf("%v after healing, %d queues are left", got, len(d.queues))
	}
}

func apply(t *testing.T, d Driver, fault string, delay Delay, p netnsPod, lasting time.Duration) {
	t.Helper()
	if err := d.Apply(t.Context(), uid(fault), delay, p.as, time.Now().Add(lasting)); err != nil {
		t.Fatal(err)
	}
}

func heal(t *testing.T, d Driver, fault string) {
	t.Helper()
	if err := d.Heal(t.Context(), uid(fault)); err != nil {
		t.Fatal(err)
	}
}
