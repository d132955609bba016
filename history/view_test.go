package history

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

const testSLO = 500 * time.Millisecond

// known is a request that is answered after latency, counted from the present.
func known(clock Clock, seq int64, version Version, latency time.Duration) Request {
	done := clock.Now()
	return Request{
		Seq: seq, Intended: done - Micros(latency.Microseconds()), Sent: done, Done: done,
		Status: 200, Expected: true, Version: version,
	}
}

func TestWindowCountsEachRequestOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock := NewClock()
		v := newView(clock, testSLO)
		var windows []Window
		from := Micros(0)
		read := func() {
			to := clock.Now()
			windows = append(windows, v.window(from, to))
			from = to
		}
		// A request every 7 ms, answered after 3 ms up to 1.2 s, read every 100 ms.
		for seq := range int64(400) {
			r := Request{Seq: seq, Intended: clock.Now(), Sent: clock.Now(), Done: Never}
			v.began(r)
			go func() {
				time.Sleep(3*time.Millisecond + time.Duration(seq%13)*100*time.Millisecond)
				r.Done, r.Expected = clock.Now(), true
				v.answered(r, false)
				time.Sleep(time.Duration(seq%5) * 100 * time.Millisecond)
				r.Version = Baseline
				v.answered(r, true)
			}()
			time.Sleep(7 * time.Millisecond)
			if seq%14 == 0 {
				read()
			}
		}
		time.Sleep(5 * time.Second)
		read()
		total := 0
		for _, w := range windows {
			for _, tally := range w.Versions {
				total += tally.N
			}
		}
		if total != 400 {
			t.Errorf("adjoining windows counted %d requests, want 400", total)
		}
		if w := v.window(0, clock.Now()); w.Versions[Baseline].N != 400 {
			t.Errorf("in the end %d are the baseline's, want 400", w.Versions[Baseline].N)
		}
	})
}

func TestOverdueRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock := NewClock()
		v := newView(clock, testSLO)
		r := Request{Seq: 1, Intended: 0, Sent: 0, Done: Never}
		v.began(r)

		// Not overdue yet: nothing is known.
		time.Sleep(testSLO - time.Millisecond)
		if n := v.window(0, clock.Now()).Versions[Unattributed].N; n != 0 {
			t.Errorf("before the SLO: %d known, want 0", n)
		}
		// Overdue: an unattributed error that has waited until now.
		time.Sleep(101 * time.Millisecond)
		got := v.window(0, clock.Now()).Versions[Unattributed]
		want := Tally{N: 1, Errors: 1, Bad: 1, Unanswered: 1, Latencies: []time.Duration{600 * time.Millisecond}}
		if !equal(got, want) {
			t.Errorf("overdue: %+v, want %+v", got, want)
		}
		// Answered late and attributed: the same instant, with what is known now.
		r.Done, r.Expected, r.Version = clock.Now(), true, Candidate
		v.answered(r, true)
		time.Sleep(time.Second)
		at := Micros(testSLO.Microseconds())
		got = v.window(at, at+1).Versions[Candidate]
		want = Tally{N: 1, Bad: 1, Latencies: []time.Duration{600 * time.Millisecond}}
		if !equal(got, want) {
			t.Errorf("answered late: %+v, want %+v", got, want)
		}
	})
}

func TestAnsweredInTimeIsNotOverdue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock := NewClock()
		v := newView(clock, testSLO)
		r := Request{Seq: 1, Intended: 0, Sent: 0, Done: Never}
		v.began(r)
		time.Sleep(400 * time.Millisecond)
		r.Done, r.Expected = clock.Now(), true
		v.answered(r, false) // who answered is still being looked for
		time.Sleep(400 * time.Millisecond)
		for version, tally := range v.window(0, clock.Now()).Versions {
			if tally.N != 0 {
				t.Errorf("%q counted before it was attributed: %+v", version, tally)
			}
		}
		r.Version = Baseline
		v.answered(r, true)
		time.Sleep(time.Microsecond)
		got := v.window(0, clock.Now()).Versions[Baseline]
		if want := (Tally{N: 1, Latencies: []time.Duration{400 * time.Millisecond}}); !equal(got, want) {
			t.Errorf("%+v, want %+v", got, want)
		}
	})
}

func TestKnownVersionCountsAtTheAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock := NewClock()
		v := newView(clock, testSLO)
		v.began(Request{Seq: 1, Intended: 0, Done: Never})
		time.Sleep(10 * time.Millisecond)
		r := known(clock, 1, Candidate, 10*time.Millisecond)
		v.answered(r, false)
		time.Sleep(time.Millisecond)
		if n := v.window(0, clock.Now()).Versions[Candidate].N; n != 1 {
			t.Errorf("%d known, want 1: its version was in the answer", n)
		}
		v.answered(r, true)
		time.Sleep(time.Millisecond)
		if n := v.window(0, clock.Now()).Versions[Candidate].N; n != 1 {
			t.Errorf("%d known, want 1: the record must not count again", n)
		}
	})
}

func TestReleasedTooLateIsKnownFromThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock := NewClock()
		v := newView(clock, testSLO)
		time.Sleep(2 * time.Second)
		v.window(0, clock.Now()) // has been read: nothing may be added before
		v.began(Request{Seq: 1, Intended: 0, Done: Never})
		time.Sleep(time.Millisecond)
		if n := v.window(2_000_000, clock.Now()).Versions[Unattributed].N; n != 1 {
			t.Errorf("%d known since the last reading, want 1", n)
		}
	})
}

func TestTallyTellsErrorsFromSlowness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock := NewClock()
		v := newView(clock, testSLO)
		time.Sleep(10 * time.Second)
		good := known(clock, 1, Baseline, time.Millisecond)
		slow := known(clock, 2, Baseline, 600*time.Millisecond)
		wrong := known(clock, 3, Baseline, time.Millisecond)
		wrong.Expected = false
		unsent := Request{Seq: 4, Intended: clock.Now(), Sent: Never, Done: clock.Now()}
		for _, r := range []Request{good, slow, wrong, unsent} {
			v.answered(r, true)
		}
		w := v.window(clock.Now(), clock.Now()+1)
		base, nobody := w.Versions[Baseline], w.Versions[Unattributed]
		if base.N != 3 || base.Errors != 1 || base.Bad != 2 {
			t.Errorf("baseline %+v, want n 3, errors 1, bad 2", base)
		}
		if nobody.N != 1 || nobody.Errors != 1 || nobody.Bad != 1 {
			t.Errorf("unattributed %+v, want the unsent one as an error", nobody)
		}
	})
}

func TestServing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock := NewClock()
		v := newView(clock, testSLO)
		third := v.await(3)
		answer := known(clock, 1, Baseline, 0)
		answer.Gen = 2
		v.answered(answer, true)
		if closed(third) {
			t.Error("generation 3 is serving after an answer of generation 2")
		}
		if !closed(v.await(2)) || !closed(v.await(1)) {
			t.Error("generations 1 and 2 are not serving after an answer of generation 2")
		}
		// A later generation overtakes; attribution need not be over.
		v.began(Request{Seq: 2, Done: Never})
		answer.Seq, answer.Gen, answer.Version = 2, 4, Unattributed
		v.answered(answer, false)
		if !closed(third) {
			t.Error("generation 3 is not serving after an answer of generation 4")
		}
	})
}

func closed(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}

func equal(a, b Tally) bool {
	return a.N == b.N && a.Errors == b.Errors && a.Bad == b.Bad && a.Unanswered == b.Unanswered &&
		slices.Equal(a.Latencies, b.Latencies)
}

// BenchmarkWindow reads the last second of ten minutes at 1,000 requests a second.
func BenchmarkWindow(b *testing.B) {
	clock := NewClock()
	v := newView(clock, testSLO)
	for seq := range 600_000 {
		v.known = append(v.known, &entry{known: Micros(seq * 1000), version: Baseline})
	}
	for b.Loop() {
		v.window(599_000_000, 600_000_000)
	}
}
