package history

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// sample is one request of each shape, in order of intended arrival.
func sample() []Request {
	return []Request{
		// Answered well; instants at zero are instants.
		{Seq: 0, Name: "GET /cart", Intended: 0, Sent: 0, Done: 1500, Status: 200, Expected: true, Attempts: 1,
			ID: "run-0", Gen: 3, Version: Candidate, Attributed: "header", Pod: "shop-1"},
		// Answered badly, with a sample of the answer.
		{Seq: 1, Name: "POST /orders", Write: true, Intended: 1000, Sent: 1010, Done: 3000, Status: 500, Attempts: 1,
			Body: "boom \"quoted\"\n", Version: Baseline, Attributed: "access-log"},
		// Never sent.
		{Seq: 2, Name: "GET /cart", Intended: 2000, Sent: Never, Done: 2000, Err: "no connection free"},
		// Never answered.
		{Seq: 3, Name: "GET /cart", Intended: 3000, Sent: 3000, Done: Never, Attempts: 1},
	}
}

func open(t *testing.T) (*Recorder, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "run")
	r, err := Open(dir, NewClock(), testSLO)
	if err != nil {
		t.Fatal(err)
	}
	return r, dir
}

func TestRecordRoundTrip(t *testing.T) {
	r, dir := open(t)
	r.Event(NewEvent(30, StepBegan{Name: "weight-5"}))
	r.Event(NewEvent(10, Plan{Scenario: "s", Seed: 7}))
	requests := sample()
	for i := range requests {
		r.Request(requests[len(requests)-1-i]) // finished in another order than intended
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
	h, err := Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(h.Requests, requests) {
		t.Errorf("requests\n%+v\nwant\n%+v", h.Requests, requests)
	}
	if h.Plan.Scenario != "s" || len(h.Events) != 2 || h.Events[0].At != 10 {
		t.Errorf("plan %+v, events %v", h.Plan, h.Events)
	}
	files, _ := filepath.Glob(filepath.Join(dir, "*"))
	if len(files) != 2 {
		t.Errorf("files %v, want events.ndjson and requests.parquet alone", files)
	}
}

func TestKilledRunLeavesARecord(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		r, err := Open(dir, NewClock(), testSLO)
		if err != nil {
			t.Fatal(err)
		}
		r.Event(NewEvent(0, Phase{Name: "load"}))
		for _, q := range sample() {
			r.Request(q)
		}
		time.Sleep(flushEvery + time.Millisecond)
		// This is what a kill would leave: nothing below may need Close.
		h, err := Read(dir)
		if err != nil {
			t.Fatal(err)
		}
		if len(h.Events) != 1 || !reflect.DeepEqual(h.Requests, sample()) {
			t.Errorf("%d events, requests %+v", len(h.Events), h.Requests)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestReadTolerates(t *testing.T) {
	const line = `{"seq":0,"name":"GET /","intendedUs":1,"sentUs":null,"doneUs":null,"expected":false`
	tests := []struct {
		name, events, log string
		want              int    // requests
		err               string // "" for none
	}{
		{"a torn last line", "", line + "}\n" + line, 1, ""},
		{"an unknown event and unknown fields", `{"atUs":1,"type":"of-tomorrow","new":1}` + "\n", line + `,"new":[1]}` + "\n", 1, ""},
		{"an empty record", "", "", 0, ""},
		// What is broken in the middle was not torn by a kill.
		{"not a line in the middle", "", line + "\n" + line + "}\n", 0, "requests.log:1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, filepath.Join(dir, eventsFile), tt.events)
			write(t, filepath.Join(dir, requestsLog), tt.log)
			h, err := Read(dir)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("error %v, want one naming %s", err, tt.err)
				}
				return
			}
			if err != nil || len(h.Requests) != tt.want {
				t.Errorf("%d requests, error %v; want %d", len(h.Requests), err, tt.want)
			}
		})
	}
}

func TestReadOfNoRecord(t *testing.T) {
	if _, err := Read(t.TempDir()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v, want that there is none", err)
	}
}

func TestOpenNeverOverwrites(t *testing.T) {
	r, dir := open(t)
	defer r.Close()
	if _, err := Open(dir, NewClock(), testSLO); !errors.Is(err, os.ErrExist) {
		t.Errorf("error %v, want that a record is there", err)
	}
}

func TestFullDisk(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("no /dev/full here:", err)
	}
	dir := t.TempDir()
	events, err := openJournal(filepath.Join(dir, eventsFile))
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, requestsLog), "")
	r := &Recorder{dir: dir, view: newView(NewClock(), testSLO), events: events, requests: startJournal(full)}
	for range 3 {
		r.Request(sample()[0])
		time.Sleep(flushEvery)
	}
	if err := r.Err(); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("Err is %v, want no space left", err)
	}
	if r.Window(0, r.Now()+1).Versions[Candidate].N == 0 {
		t.Error("the live view went blind with the disk")
	}
	if err := r.Close(); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("Close says %v, want no space left", err)
	}
}

func TestSubscribe(t *testing.T) {
	r, _ := open(t)
	defer r.Close()
	r.Event(NewEvent(0, Phase{Name: "before"}))
	var seen []string
	r.Subscribe(func(e Event) { seen = append(seen, e.Type) })
	r.Event(NewEvent(1, StepBegan{Name: "a"}))
	r.Event(NewEvent(2, StepLive{Name: "a"}))
	if got := fmt.Sprint(seen); got != "[step-began step-live]" {
		t.Errorf("seen %s", got)
	}
}

func TestRecorderIsSafeForConcurrentUse(t *testing.T) {
	r, dir := open(t)
	var wg sync.WaitGroup
	for worker := range int64(8) {
		wg.Go(func() {
			for i := range int64(200) {
				q := Request{Seq: worker*1000 + i, Intended: r.Now(), Done: Never}
				r.Began(q)
				q.Done = r.Now()
				r.Answered(q)
				r.Request(q)
				r.Event(NewEvent(q.Done, Phase{Name: "load"}))
				r.Window(0, r.Now())
				r.Serving(i)
			}
		})
	}
	wg.Wait()
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	h, err := Read(dir)
	if err != nil || len(h.Requests) != 1600 || len(h.Events) != 1600 {
		t.Errorf("%d requests, %d events, error %v; want 1600 of each", len(h.Requests), len(h.Events), err)
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}
