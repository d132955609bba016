package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"k8s.io/apimachinery/pkg/types"

	"github.com/cutover-dev/cutover/bench/stalls"
	"github.com/cutover-dev/cutover/faults/agent"
)

// The driver's process is this binary again.
func TestMain(m *testing.M) {
	drivers["doubled"] = func() (agent.Driver, error) {
		driver, err := agent.NewQueueDriver()
		return doubled{driver}, err
	}
	if len(os.Args) > 1 && slices.Contains([]string{serveCommand, stalls.Command, agent.ExpireCommand}, os.Args[1]) {
		if err := run(context.Background(), os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// doubled is the negative control: a driver that delays by twice as much.
type doubled struct{ agent.Driver }

func (d doubled) Apply(ctx context.Context, fault types.UID, delay agent.Delay, pod agent.Pod, until time.Time) error {
	delay.Latency *= 2
	return d.Driver.Apply(ctx, fault, delay, pod, until)
}

// The bound is for any machine, busy or under the race detector: it tells a driver
// that works from one that does not, and says nothing of how exact it is.
func TestExchangesTellARightDriverFromAWrongOne(t *testing.T) {
	needsRoot(t)
	const bound = 15 // milliseconds
	for _, test := range []struct {
		why    string
		driver string
		delay  agent.Delay
		right  bool
	}{
		{"as asked", "queue", agent.Delay{Latency: 40 * time.Millisecond}, true},
		{"every draw is known", "queue", agent.Delay{Latency: 40 * time.Millisecond, Jitter: 35 * time.Millisecond, Seed: seed}, true},
		{"twice as much", "doubled", agent.Delay{Latency: 40 * time.Millisecond}, false},
		{"twice as much, under jitter", "doubled", agent.Delay{Latency: 40 * time.Millisecond, Jitter: 35 * time.Millisecond, Seed: seed}, false},
	} {
		list, err := exchanges(t.Context(), test.driver, test.delay, 30)
		if err != nil {
			t.Fatalf("%s: %v", test.why, err)
		}
		a := account(list, stalls.NewSeen())
		if len(a.all) < len(list)/2 {
			t.Errorf("%s: too few exchanges were alone on their connection: %v", test.why, a)
			continue
		}
		median := milliseconds(quantile(slices.Sorted(slices.Values(a.all)), 0.5))
		if right := median >= 0 && median <= bound; right != test.right {
			t.Errorf("%s: a median error of %.1f ms passes for right: %v", test.why, median, right)
		}
	}
}

func TestPacketsOfAQueueKeepTheirOrder(t *testing.T) {
	needsRoot(t)
	const count = 2000
	delay := agent.Delay{Latency: 20 * time.Millisecond, Jitter: 15 * time.Millisecond, Seed: seed}
	f, err := packets(t.Context(), "queue", delay, 2000, count)
	if err != nil {
		t.Fatal(err)
	}
	if f.received != count || f.overtaken != 0 || f.cpu <= 0 || f.cpu > f.took {
		t.Errorf("of %d packets %d came, %d overtaken, for %v of CPU time in %v", count, f.received, f.overtaken, f.cpu, f.took)
	}
}

// The negative control of the order.
func TestOvertakenPacketsAreCounted(t *testing.T) {
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	from, to := os.NewFile(uintptr(ends[0]), "from"), os.NewFile(uintptr(ends[1]), "to")
	defer from.Close()
	defer to.Close()
	sent := stalls.Monotonic()
	for _, number := range []uint32{0, 2, 1, 3} {
		packet := binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint32(nil, number), uint64(sent))
		if _, err := from.Write(packet); err != nil {
			t.Fatal(err)
		}
	}
	var f flow
	f.take(to, agent.Delay{}, 4)
	if f.received != 4 || f.overtaken != 1 || len(f.off) != 3 {
		t.Errorf("received %d, overtaken %d, %d on time", f.received, f.overtaken, len(f.off))
	}
}

func TestWhatVoidsAnExchange(t *testing.T) {
	const ms = int64(time.Millisecond)
	e := exchange{from: 100 * ms, to: 151 * ms, drawn: 50 * time.Millisecond, alone: true}
	for _, test := range []struct {
		why   string
		stall stalls.Stall
		void  bool
	}{
		{"over before it", stalls.Stall{From: 90 * ms, To: 99 * ms}, false},
		{"while its byte was sent", stalls.Stall{From: 90 * ms, To: 101 * ms}, true},
		{"while its packet was held: nothing was to be done", stalls.Stall{From: 110 * ms, To: 140 * ms}, false},
		{"when its packet was due", stalls.Stall{From: 140 * ms, To: 151 * ms}, true},
		{"after it", stalls.Stall{From: 152 * ms, To: 160 * ms}, false},
	} {
		a := account([]exchange{e}, stalls.NewSeen(test.stall))
		if a.stalled != map[bool]int{true: 1}[test.void] || len(a.all) != 1 {
			t.Errorf("%s: %v", test.why, a)
		}
	}
	e.alone = false
	a := account([]exchange{e}, stalls.NewSeen())
	if a.shared != 1 || len(figure(a, 0.5)) != 0 {
		t.Errorf("another packet was on its way: %v, and yet a figure", a)
	}
}

func TestTooManyVoidedLeaveNoFigure(t *testing.T) {
	good := exchange{to: int64(time.Millisecond), alone: true}
	list := slices.Repeat([]exchange{good}, 94)
	few := account(append(list, slices.Repeat([]exchange{{}}, 4)...), stalls.NewSeen())
	many := account(append(list, slices.Repeat([]exchange{{}}, 6)...), stalls.NewSeen())
	if len(figure(few, 0.5)) != 1 || len(figure(many, 0.5)) != 0 {
		t.Errorf("4 of 98 voided: %v; 6 of 100 voided: %v", figure(few, 0.5), figure(many, 0.5))
	}
	for _, row := range exact(agent.Delay{}, many, accounted{}, "", "no netem") {
		if row.Met != nil || row.Ours != nil {
			t.Errorf("%s is judged: %v", row.Target, *row.Met)
		}
	}
}

func TestFurthest(t *testing.T) {
	one := []time.Duration{4, 1, 2, 3, 5, 6, 7, 8, 9, 10}
	other := []time.Duration{1, 2, 3, 4, 7, 7, 7, 8, 9, 99} // beyond the last decile nobody looks
	if got := furthest(one, other); got != 2 {
		t.Errorf("furthest %d apart, want 2", got)
	}
	if got := furthest(one, one); got != 0 {
		t.Errorf("%d apart from itself", got)
	}
}

func needsRoot(t *testing.T) {
	t.Helper()
	l, err := newLab(t.Context(), "queue")
	if errors.Is(err, unix.EPERM) {
		t.Skip("needs root: it makes network namespaces")
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := l.close(); err != nil {
		t.Fatal(err)
	}
}
