package conformance

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// serving runs the pods' program on this machine.
func serving(t *testing.T) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- Serve(ctx, listener) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	return listener.Addr().String()
}

func dial(ctx context.Context, address string) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, "tcp", address)
}

// late is a connection whose answers come later.
type late struct {
	net.Conn
	by time.Duration
}

func (l late) Read(p []byte) (int, error) {
	n, err := l.Conn.Read(p)
	time.Sleep(l.by)
	return n, err
}

func of(t *testing.T, figures []Figure, quantity Quantity) Figure {
	t.Helper()
	for _, f := range figures {
		if f.Quantity == quantity {
			return f
		}
	}
	t.Fatalf("no figure of %s", quantity)
	return Figure{}
}

func TestRoundTrips(t *testing.T) {
	bystander, pod := serving(t), serving(t)
	g := gauge{func(ctx context.Context, address string) (net.Conn, error) {
		conn, err := dial(ctx, address)
		if address == pod && err == nil {
			return late{conn, 30 * time.Millisecond}, nil
		}
		return conn, err
	}}
	all := g.roundTrips(t.Context(), []string{bystander, pod})
	if f := of(t, all[0], RoundTrip); f.Value == nil || *f.Value > 20 || f.N != exchangesEach {
		t.Errorf("bystander: %+v", f)
	}
	if f := of(t, all[1], RoundTrip); f.Value == nil || *f.Value < 30 || f.N+f.Voided != exchangesEach {
		t.Errorf("pod: %+v", f)
	}
}

// What follows a stall is not counted, and a machine that does nothing but stall
// gives no figure.
func TestStallsAreVoided(t *testing.T) {
	bystander, pod := serving(t), serving(t)
	g := gauge{func(ctx context.Context, address string) (net.Conn, error) {
		conn, err := dial(ctx, address)
		if address == bystander && err == nil {
			return late{conn, stall + 5*time.Millisecond}, nil
		}
		return conn, err
	}}
	f := of(t, g.roundTrips(t.Context(), []string{bystander, pod})[1], RoundTrip)
	if f.Value != nil || f.Voided != exchangesEach {
		t.Errorf("got %+v", f)
	}
	half := roundTripOf([]float64{1, 2, 3}, 3, nil)[0]
	if half.Value == nil || *half.Value != 2 || half.Voided != 3 {
		t.Errorf("half of them are enough: %+v", half)
	}
	if most := roundTripOf([]float64{1, 2, 3}, 4, nil)[0]; most.Value != nil || !strings.Contains(most.Because, "4 of 7") {
		t.Errorf("fewer than half are not: %+v", most)
	}
}

func TestRoundTripOfADeadPod(t *testing.T) {
	bystander := serving(t)
	all := gauge{dial}.roundTrips(t.Context(), []string{bystander, "127.0.0.1:1"})
	if f := of(t, all[1], RoundTrip); f.Value != nil || !strings.Contains(f.Because, "refused") {
		t.Errorf("got %+v", f)
	}
	if f := of(t, all[0], RoundTrip); f.Value == nil {
		t.Errorf("the bystander is well: %+v", f)
	}
}

func TestConnections(t *testing.T) {
	well := serving(t)
	g := gauge{func(ctx context.Context, address string) (net.Conn, error) {
		switch address {
		case "silent":
			<-ctx.Done()
			return nil, ctx.Err()
		case "nowhere":
			return nil, unix.EHOSTUNREACH
		}
		return dial(ctx, address)
	}}
	for i, row := range []struct {
		address                   string
		answered, refused, silent int
	}{
		{well, connects, 0, 0},
		{"127.0.0.1:1", 0, connects, 0},
		{"silent", 0, 0, connects},
		// That there is no way says nothing of the pod, but that it did not answer.
		{"nowhere", 0, 0, 0},
	} {
		figures := g.connections(t.Context(), []string{row.address})[0]
		for quantity, want := range map[Quantity]int{Answered: row.answered, Refused: row.refused, Silent: row.silent} {
			if f := of(t, figures, quantity); *f.Hits != want || f.N != connects {
				t.Errorf("%d, %s: %s: %s, want %d", i, row.address, quantity, f, want)
			}
		}
	}
}

func TestThroughput(t *testing.T) {
	pod := serving(t)
	if f := (gauge{dial}).throughputs(t.Context(), []string{pod})[0][0]; f.Value == nil || *f.Value < 10 || f.N != streams {
		t.Errorf("got %+v", f)
	}
	// A stream that breaks is no slow one.
	broken := gauge{func(context.Context, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go func() {
			_, _ = io.ReadFull(theirs, make([]byte, 1))
			theirs.Close()
		}()
		return ours, nil
	}}
	if f := broken.throughputs(t.Context(), []string{"any"})[0][0]; f.Value != nil {
		t.Errorf("got %+v", f)
	}
}

func TestInside(t *testing.T) {
	seen, err := gauge{dial}.look(t.Context(), serving(t))
	if err != nil || len(seen.Qdiscs) == 0 {
		t.Errorf("got %+v, %v: the loopback interface has a queue discipline", seen, err)
	}
}

func TestParseEchoes(t *testing.T) {
	const head = "Ip: Forwarding DefaultTTL\nIp: 1 64\n"
	for _, row := range []struct {
		why, text string
		want      int // -1 if it is an error
	}{
		{"as it is", head + "Icmp: InMsgs InEchos\nIcmp: 7 5\nIcmpMsg: InType8\nIcmpMsg: 5\n", 5},
		{"another order", "Icmp: InEchos InMsgs\nIcmp: 6 7\n", 6},
		{"no such count", "Icmp: InMsgs\nIcmp: 7\n", -1},
		{"cut off", "Icmp: InMsgs InEchos\nIcmp: 7\n", -1},
		{"names only", "Icmp: InMsgs InEchos\n", -1},
		{"no number", "Icmp: InEchos\nIcmp: many\n", -1},
		{"nothing", "", -1},
	} {
		got, err := parseEchoes([]byte(row.text))
		if (err != nil) != (row.want < 0) || err == nil && got != row.want {
			t.Errorf("%s: %d, %v", row.why, got, err)
		}
	}
}

func TestParseField(t *testing.T) {
	const text = "usage_usec 1500\nuser_usec 1000\nodd\n"
	if got, err := parseField([]byte(text), "usage_usec"); err != nil || got != 1500 {
		t.Errorf("%d, %v", got, err)
	}
	for _, name := range []string{"system_usec", "odd", ""} {
		if _, err := parseField([]byte(text), name); err == nil {
			t.Errorf("%q is there", name)
		}
	}
}

func TestUsage(t *testing.T) {
	was := inside{At: time.Second, Busy: time.Second}
	now := inside{At: 5 * time.Second, Busy: 3 * time.Second, Memory: 2e6}
	figures := usageOf(was, now)
	if p, m := of(t, figures, Processor), of(t, figures, Memory); *p.Value != 0.5 || *m.Value != 2 {
		t.Errorf("%s, %s", p, m)
	}
	now.Unknown = "no such file"
	if p := of(t, usageOf(was, now), Processor); p.Value != nil || p.Because != now.Unknown {
		t.Errorf("%+v", p)
	}
}

func FuzzParseEchoes(f *testing.F) {
	f.Add([]byte("Icmp: InMsgs InEchos\nIcmp: 7 5\n"))
	f.Add([]byte("Icmp:\nIcmp:\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if n, err := parseEchoes(text); err != nil && n != 0 {
			t.Errorf("%d, and an error: %v", n, err)
		}
	})
}
