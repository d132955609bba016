package loadgen

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/cutover-dev/cutover/history"
)

func byGoroutines(a *Attack, spec Spec, notes *inbox) (courier, error) {
	return newGoroutines(a, spec, notes), nil
}

// TestCouriersAgree has whoever carries requests here and package net/http carry the same
// to a server that treats each as its number has it, and compares what became of them.
func TestCouriersAgree(t *testing.T) {
	handler := func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		number, _ := strings.CutPrefix(r.Header.Get(requestIDHeader), "run-")
		seq, _ := strconv.Atoi(number)
		w.Header().Set("X-Version", "v"+strconv.Itoa(seq%2))
		w.Header().Set(generationHeader, number)
		switch seq % 7 {
		case 0:
			http.Error(w, "no "+number, http.StatusInternalServerError)
		case 1:
			panic(http.ErrAbortHandler)
		case 2:
			<-r.Context().Done()
		case 3:
			_, _ = w.Write(make([]byte, 2*keptBody)) // chunked
		case 4:
			_, _ = io.WriteString(w, "some")
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		case 5:
			w.Header().Set("Connection", "close")
		}
	}
	versions := &Versions{}
	versions.Learn("v0", history.Baseline)
	versions.Learn("v1", history.Candidate)
	change := func(a *Attack) {
		impatient(a)
		a.Spec.Arrivals = Constant
		a.Spec.Requests = []RequestSpec{{Method: "POST", Path: "/{{.ID}}", Body: "x", Write: true}, {Path: "/"}}
		a.Attribution = &Attribution{Source: VersionSource{Header: "X-Version"}, Versions: versions}
	}
	known := map[int64]history.Request{}
	for _, r := range attackBy(t, byGoroutines, serve(t, handler), change).requests {
		known[r.Seq] = r
	}
	both := 0
	for _, got := range attack(t, serve(t, handler), change).requests {
		want, ok := known[got.Seq]
		if !ok {
			continue
		}
		both++
		if (got.Err == "") != (want.Err == "") || (got.Err == "timeout") != (want.Err == "timeout") {
			t.Errorf("request %d failed with %q, want %q", got.Seq, got.Err, want.Err)
		}
		for _, r := range []*history.Request{&got, &want} {
			r.Intended, r.Sent, r.Done, r.Err = 0, 0, 0, ""
		}
		if got != want {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
	}
	if both < 7 {
		t.Errorf("only %d requests can be compared", both)
	}
}

func TestGoroutinesHaveTheSameLimits(t *testing.T) {
	dial := serve(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	sink := attackBy(t, byGoroutines, dial, func(a *Attack) { impatient(a); a.Spec.Connections = 5 })
	turnedAway := 0
	for _, r := range sink.requests {
		if r.Err == "not sent: all 5 connections were in use" && !r.Sent.Happened() && r.Done == r.Intended {
			turnedAway++
		} else if !timedOut(r) {
			t.Errorf("%+v", r)
		}
	}
	if turnedAway == 0 {
		t.Error("none was turned away")
	}
}
