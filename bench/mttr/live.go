package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/cutover-dev/cutover/bench"
	"github.com/cutover-dev/cutover/bench/stalls"
	"github.com/cutover-dev/cutover/history"
	"github.com/cutover-dev/cutover/loadgen"
)

const (
	liveConfirm = time.Second
	scraping    = 5 // seconds; those who scrape every 10 or 15 take each second or third
)

// liveManners are those of the virtual outages whose requests come at the same distance.
func liveManners() []manner {
	var live []manner
	for _, m := range manners {
		if m.even {
			m.name += ", in real time"
			live = append(live, m)
		}
	}
	return live
}

// schedule draws outages of 0.2 to 2 s, of all manners as often as each other and mixed. One
// that flaps is 2 or 3 bursts. Between two there is more than twice the time that confirms a
// recovery.
func schedule(n int, random *rand.Rand) []outage {
	kinds := liveManners()
	at, all := 2.0, make([]outage, n)
	for place, i := range random.Perm(n) {
		o := outage{manner: kinds[i%len(kinds)]}
		bursts, longest := 1, 10.0
		if o.flaps {
			bursts, longest = 2+random.IntN(2), 3
		}
		for range bursts {
			long := 0.2 * math.Pow(longest, random.Float64())
			o.bursts = append(o.bursts, stretch{at, at + long})
			at += long + 0.3 + 0.3*random.Float64()
		}
		at = o.end() + 2.2 + random.Float64()
		all[place] = o
	}
	return all
}

// live is what became of a schedule.
type live struct {
	outages  []outage
	requests []history.Request // in order of intended arrival
	stalls   []history.Stall
	late     time.Duration // by which requests were released, at p99
	probes   []look
	scrapes  []scrape
}

// scrape is what the counters were at an instant.
type scrape struct {
	at float64
	counters
}

// record is the sink of the load.
type record struct {
	mu   sync.Mutex
	live *live
}

func (r *record) Request(q history.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.live.requests = append(r.live.requests, q)
}

func (r *record) Event(e history.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if stall, ok := history.Decode[history.Stall](e); ok {
		r.live.stalls = append(r.live.stalls, stall)
	}
	if ended, ok := history.Decode[history.LoadEnded](e); ok {
		r.live.late = time.Duration(ended.ReleaseErrorP99Us) * time.Microsecond
	}
}

// measureLive takes 4 s for each outage.
func measureLive(ctx context.Context, s sizes) ([]bench.Row, error) {
	in, out, err := startService(ctx)
	if err != nil {
		return nil, err
	}
	l, err := watchLive(ctx, s.seed, s.live, in, out)
	if err != nil {
		return nil, err
	}
	return l.rows(), nil
}

// watchLive has a service behind in and out go through outages, under load and watched by all
// the others.
func watchLive(ctx context.Context, seed uint64, n int, in io.WriteCloser, out io.Reader) (*live, error) {
	defer in.Close() // which ends the service
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return nil, fmt.Errorf("hear where the service is: %w", err)
	}
	address = strings.TrimSpace(address)
	clock := history.NewClock()
	s := script{Zero: stalls.Monotonic() - 1000*int64(clock.Now()), Seed: seed}
	l := &live{outages: schedule(n, rand.New(rand.NewPCG(seed, 77)))}
	for _, o := range l.outages {
		s.Outages = append(s.Outages, scripted{Share: o.share, Slows: o.slows, Bursts: o.bursts})
	}
	if err := json.NewEncoder(in).Encode(s); err != nil {
		return nil, fmt.Errorf("tell the service its outages: %w", err)
	}
	until := l.outages[n-1].end() + 1.5 + liveConfirm.Seconds()
	watching, stop := context.WithDeadline(ctx, clock.Time(micros(until)))
	defer stop()
	all, watching := errgroup.WithContext(watching)
	all.Go(func() error { return l.attack(watching, seed, address, clock) })
	all.Go(func() error { l.probe(watching, "http://"+address+"/", clock); return nil })
	all.Go(func() error {
		every(watching, scraping*time.Second, func() { l.scrape(watching, "http://"+address+"/counters", clock) })
		return nil
	})
	if err := all.Wait(); err != nil {
		return nil, err
	}
	l.scrape(ctx, "http://"+address+"/counters", clock) // what happened since the last time
	if len(l.scrapes) < 2 || len(l.requests) == 0 {
		return nil, errors.New("the service did not answer: see what it says above")
	}
	slices.SortFunc(l.requests, func(a, b history.Request) int { return cmp.Compare(a.Intended, b.Intended) })
	return l, context.Cause(ctx)
}

func (l *live) attack(ctx context.Context, seed uint64, address string, clock history.Clock) error {
	attack := loadgen.Attack{
		Spec: loadgen.Spec{
			Rate: loadgen.Rate{Count: rate, Per: time.Second}, Arrivals: loadgen.Constant, Timeout: history.Duration(2 * time.Second),
			SLO:      history.SLO{Latency: history.Duration(liveSlow), Availability: promised},
			Requests: []loadgen.RequestSpec{{Path: "/"}},
		},
		Seed: int64(seed), RunID: "bench", Host: "service", Clock: clock, Sink: &record{live: l},
		Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, address)
		},
	}
	return attack.Run(ctx)
}

// probe asks once a second, as a prober does, and takes what is slow or fails for bad.
func (l *live) probe(ctx context.Context, url string, clock history.Clock) {
	every(ctx, time.Second, func() {
		at := clock.Now()
		_, status, err := get(ctx, url, liveSlow)
		if ctx.Err() == nil {
			l.probes = append(l.probes, look{at: float64(at) / 1e6, bad: err != nil || status >= 400})
		}
	})
}

// scrape reads the counters.
func (l *live) scrape(ctx context.Context, url string, clock history.Clock) {
	s := scrape{at: float64(clock.Now()) / 1e6}
	body, _, err := get(ctx, url, scraping*time.Second)
	if err == nil && json.Unmarshal(body, &s.counters) == nil {
		l.scrapes = append(l.scrapes, s)
	}
}

// every calls do at once, and again each period, until the context ends.
func every(ctx context.Context, period time.Duration, do func()) {
	ticks := time.NewTicker(period)
	defer ticks.Stop()
	for {
		do()
		select {
		case <-ticks.C:
		case <-ctx.Done():
			return
		}
	}
}

func get(ctx context.Context, url string, within time.Duration) (body []byte, status int, err error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, 0, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, 0, err
	}
	defer response.Body.Close()
	body, err = io.ReadAll(response.Body)
	return body, response.StatusCode, err
}

// around is the stretch of time in which an outage is the only one: up to half-way to its
// neighbours.
func (l *live) around(i int) stretch {
	s := stretch{0, math.Inf(1)}
	if i > 0 {
		s.From = (l.outages[i-1].end() + l.outages[i].onset()) / 2
	}
	if i+1 < len(l.outages) {
		s.To = (l.outages[i].end() + l.outages[i+1].onset()) / 2
	}
	return s
}

// void reports whether the load generator stood still at any time between two instants.
func (l *live) void(from, to float64) bool {
	return slices.ContainsFunc(l.stalls, func(s history.Stall) bool {
		return float64(s.From)/1e6 <= to && from <= float64(s.To)/1e6
	})
}

// history is the record of a run in which an outage is the only one.
func (l *live) history(i int) history.History {
	part := l.around(i)
	index := func(at float64) int {
		found, _ := slices.BinarySearchFunc(l.requests, at, func(r history.Request, at float64) int { return cmp.Compare(float64(r.Intended)/1e6, at) })
		return found
	}
	h := recordOf(l.requests[index(part.From):index(part.To)], liveSlow, liveConfirm)
	for _, s := range l.stalls {
		h.Events = append(h.Events, history.NewEvent(s.To, s))
	}
	return h
}

// probed is what the prober saw of an outage.
func (l *live) probed(i int) seen {
	part := l.around(i)
	return between(slices.DeleteFunc(slices.Clone(l.probes), func(p look) bool { return p.at < part.From || p.at >= part.To }), 1, 0)
}

// reading is one of the scrapes, or what would have followed on the last: nothing happens any
// more.
func (l *live) reading(i int) scrape {
	last := len(l.scrapes) - 1
	s := l.scrapes[min(i, last)]
	s.at += float64(max(i-last, 0) * scraping)
	return s
}

// scraped is what who scrapes every so often would see of an outage if it were the only one:
// the others' bad requests are not counted.
func (l *live) scraped(i, every int) seen {
	var looks []look
	step := every / scraping
	for at := i%step + step; at < len(l.scrapes)+2*step; at += step {
		now, before := l.reading(at), l.reading(at-step)
		bad := now.Bad[i] - before.Bad[i] + now.Background - before.Background
		looks = append(looks, look{at: now.at, bad: float64(bad) > (1-promised)*float64(now.N-before.N)})
	}
	return between(looks, float64(every), float64(every))
}

// tallies are what all made of the outages of a manner.
func (l *live) tallies(kind manner) (tallies [observers]tally, outages int) {
	for i, o := range l.outages {
		if o.name != kind.name {
			continue
		}
		outages++
		for who, s := range [observers]seen{ours: judged(l.history(i)), prober: l.probed(i), scrape10: l.scraped(i, 10), scrape15: l.scraped(i, 15)} {
			tallies[who].add(o, s, l.void)
		}
	}
	return tallies, outages
}

// rows are what is wanted of it, as in virtual time.
func (l *live) rows() []bench.Row {
	var rows []bench.Row
	var instants, nearly, lengths held
	void := 0
	for _, kind := range liveManners() {
		tallies, outages := l.tallies(kind)
		us := tallies[ours]
		rows = append(rows, excused(rowsOf(kind, outages, tallies), us.voided, outages)...)
		instants, nearly, lengths, void = instants.plus(us.instants), nearly.plus(us.nearly), lengths.plus(us.lengths), void+us.voided
	}
	// A dozen outages of each manner are too few to count how often 95 % hold.
	share := func(what string, h held) bench.Row {
		return bench.Judge(fmt.Sprintf("intervals of 95 %% that hold %s, %d outages, all in real time", what, len(l.outages)),
			bench.AtLeast(covered, "%"), bench.Samples{Ours: h.percent()}, fmt.Sprintf("%s; requests were released %s late at p99", alone, l.late))
	}
	return append(rows, excused([]bench.Row{
		share("the true instant", instants),
		share(fmt.Sprintf("the true instant or miss it by %g ms at most, for requests are on their way", onTheWay), nearly),
		share("the true MTTR", lengths),
	}, void, len(l.outages))...)
}

// excused adds to the rows what does not count.
func excused(rows []bench.Row, void, outages int) []bench.Row {
	for i := range rows {
		if void > 0 {
			rows[i].Because = strings.TrimPrefix(fmt.Sprintf("%s; during %d of the %d outages the load generator stood still for 20 ms or more, and what that touches does not count", rows[i].Because, void, outages), "; ")
		}
	}
	return rows
}
