package loadgen

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"

	"github.com/cutover-dev/cutover/history"
)

// recorded is a record with every sort of end that a request has.
func recorded() history.History {
	rand := rand.New(rand.NewPCG(1, 1))
	h := history.History{Plan: history.Plan{Scenario: "slow", Started: "2026-05-01T10:00:00Z"}}
	for i := range 5000 {
		at := history.Micros(i * 5000)
		r := history.Request{
			Seq: int64(i), Name: "GET /cart", Intended: at, Sent: at + 20, Status: 200, Expected: true,
			Done: at.After(time.Duration(1+rand.ExpFloat64()*20_000) * time.Microsecond),
		}
		switch i % 100 {
		case 1: // not as expected
			r.Name, r.Status, r.Expected = "POST /orders", 500, false
		case 2: // no answer
			r.Status, r.Expected, r.Err, r.Done = 0, false, "timeout", at.After(time.Second)
		case 3: // half an answer
			r.Expected, r.Err, r.Done = false, "timeout", at.After(time.Second)
		case 4: // turned away
			r.Status, r.Expected, r.Err, r.Sent, r.Done = 0, false, "not sent: all 5 connections were in use", history.Never, at
		case 5: // on its way when the run was killed
			r.Status, r.Expected, r.Done = 0, false, history.Never
		}
		h.Requests = append(h.Requests, r)
	}
	return h
}

var resultDecoders = map[string]vegeta.DecoderFactory{"gob": vegeta.NewDecoder, "json": vegeta.NewJSONDecoder, "csv": vegeta.NewCSVDecoder}

// TestVegetaReadsTheRecord reads it with vegeta's decoders, and has vegeta count.
func TestVegetaReadsTheRecord(t *testing.T) {
	h := recorded()
	ours := NewHistogram()
	for _, r := range h.Requests {
		_ = ours.RecordValue(max(0, r.Latency()).Microseconds())
	}
	for encoding, decoder := range resultDecoders {
		t.Run(encoding, func(t *testing.T) {
			var file bytes.Buffer
			if err := WriteResults(&file, encoding, h); err != nil {
				t.Fatal(err)
			}
			if vegeta.DecoderFor(bytes.NewReader(file.Bytes())) == nil {
				t.Error("vegeta does not tell what this is")
			}
			var metrics vegeta.Metrics
			decode, n := decoder(&file), 0
			for ; ; n++ {
				var got vegeta.Result
				if err := decode(&got); errors.Is(err, io.EOF) {
					break
				} else if err != nil {
					t.Fatal(err)
				}
				checkResult(t, got, h.Requests[n])
				metrics.Add(&got)
			}
			metrics.Close()
			if n != len(h.Requests) || metrics.Requests != uint64(n) || metrics.StatusCodes["200"] != n*95/100 || metrics.StatusCodes["500"] != n/100 || metrics.StatusCodes["0"] != n*4/100 {
				t.Errorf("%d results of %d requests, codes %v", n, len(h.Requests), metrics.StatusCodes)
			}
			if metrics.Success != .95 || len(metrics.Errors) != 4 {
				t.Errorf("success %g, errors %q; want 0.95, and 4 errors", metrics.Success, metrics.Errors)
			}
			for quantile, theirs := range map[float64]time.Duration{50: metrics.Latencies.P50, 90: metrics.Latencies.P90, 95: metrics.Latencies.P95} {
				mine := time.Duration(ours.ValueAtQuantile(quantile)) * time.Microsecond
				if off := (mine - theirs).Abs(); off > mine/50 {
					t.Errorf("p%g is %s for vegeta, and %s for us", quantile, theirs, mine)
				}
			}
		})
	}
}

// checkResult compares with a request of the record.
func checkResult(t *testing.T, got vegeta.Result, r history.Request) {
	t.Helper()
	want := vegeta.Result{
		Attack: "slow", Seq: uint64(r.Seq), Method: strings.Fields(r.Name)[0], URL: strings.Fields(r.Name)[1],
		Timestamp: time.Date(2026, 5, 1, 10, 0, 0, 0, time.UTC).Add(time.Duration(r.Intended) * time.Microsecond),
	}
	switch {
	case !r.Done.Happened():
		want.Error = "no answer when the run ended"
	case r.Err != "":
		want.Latency, want.Error = r.Latency(), r.Err
	case !r.Expected:
		want.Latency, want.Code, want.Error = r.Latency(), uint16(r.Status), fmt.Sprintf("status %d was not expected", r.Status)
	default:
		want.Latency, want.Code = r.Latency(), uint16(r.Status)
	}
	got.Headers, got.Body = nil, nil // some decoders make empty ones
	if !got.Equal(want) {
		t.Fatalf("vegeta reads %+v, want %+v", got, want)
	}
}

func TestResultsRefused(t *testing.T) {
	h := recorded()
	empty, undated := h, h
	empty.Requests, undated.Plan.Started = nil, ""
	for _, tt := range []struct {
		comment, encoding string
		h                 history.History
		want              string
	}{
		{"an encoding that vegeta has not", "xml", h, `unknown encoding "xml": use gob, json or csv`},
		{"no requests", "gob", empty, "the record of slow holds no requests"},
		{"no plan", "gob", undated, "does not say when the run began"},
	} {
		var file bytes.Buffer
		if err := WriteResults(&file, tt.encoding, tt.h); err == nil || !strings.Contains(err.Error(), tt.want) || file.Len() > 0 {
			t.Errorf("%s: error %v after %d bytes, want %q", tt.comment, err, file.Len(), tt.want)
		}
	}
}
