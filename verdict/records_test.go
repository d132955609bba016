package verdict

import (
	"bytes"
	"encoding/json"
	"flag"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/cutover-dev/cutover/history"
)

var update = flag.Bool("update", false, "write the synthetic records and what is judged of all of them")

// synthetic are the records in testdata that a story tells. Records of real runs may
// lie beside them; they are judged again as well.
var synthetic = map[string]func() *story{
	"rolled-back": rolledBack,
	"promoted":    calm,
	"pod-kill-blip": func() *story {
		s := faulty(0)
		s.plan.Faults[0] = history.PlannedFault{Name: "PodChaos pod-kill", Kind: "PodChaos", Step: "weight-50", When: "live", Target: "candidate", OneShot: true}
		return s.burst(8.05, 6)
	},
	"censored-by-fault-end": func() *story { return faulty(11).outage(8, 11, timedOut) },
	"never-recovered": func() *story {
		s := faulty(0).some(0.5, 8, 99, timedOut)
		s.plan.Expect = history.Expect{MTTR: lasting(5 * time.Second), Availability: fraction(0.95)}
		return s
	},
	"flapping": func() *story {
		return faulty(17).outage(8, 9, refused).outage(10.5, 11.5, refused).outage(13, 14, refused)
	},
	"steady-state-rejected": func() *story {
		s := rolledBack().without(history.SteadyState{})
		s.at(4, history.SteadyState{N: 100, Bad: 4, P99Us: 6000, Rejected: true, Because: "4 of 100 requests were bad"})
		return s
	},
	"fault-unproven": func() *story {
		s := faulty(16).without(history.FaultProven{})
		s.at(9, history.FaultProven{Fault: 0, Pods: []string{"shop-v2-a"}, Because: "+2 ms, at least 480 ms expected"})
		return s
	},
	"answers-differ": func() *story {
		return compared(history.Diff{
			Chosen: 620, Compared: 600, Dropped: map[string]int64{"the candidate had no ready pod": 19, "the candidate did not answer": 1}, Requests: map[string]int64{"GET /cart": 400, "GET /items": 200}, Large: 2, Fields: 14,
			Odd: []history.OddField{
				{Request: "GET /cart", Field: "body.at", Candidate: 5, Baseline: 8, AllDiffer: 387, Sample: &history.OddSample{ID: "r1-4", Baseline: "1767225601", Candidate: "1767225602"}},
				{Request: "GET /cart", Field: "body.id", AllDiffer: 400},
				{Request: "GET /cart", Field: "body.total", Candidate: 21, Sample: &history.OddSample{ID: "r1-17", Baseline: "7", Candidate: "8"}},
			},
		})
	},
	"residue": func() *story {
		s := rolledBack()
		s.at(21, history.Residue{Items: []string{"qdisc netem on shop-v2-a"}})
		return s
	},
}

// TestRecords judges each saved record again. A difference is either a mistake or an
// improvement of the rules: look at it, then run with -update.
func TestRecords(t *testing.T) {
	if *update {
		for name, tell := range synthetic {
			save(t, filepath.Join("testdata", name), tell().tell())
		}
	}
	dirs, err := filepath.Glob("testdata/*/events.ndjson")
	if err != nil || len(dirs) < len(synthetic) {
		t.Fatalf("found %d records, want at least %d (%v)", len(dirs), len(synthetic), err)
	}
	for _, events := range dirs {
		dir := filepath.Dir(events)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			run := Judge(load(t, dir))
			assertSound(t, run)
			got, err := json.MarshalIndent(run, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			golden := filepath.Join(dir, "run.json")
			if *update {
				write(t, golden, append(got, '\n'))
			}
			if want := read(t, golden); !bytes.Equal(append(got, '\n'), want) {
				t.Errorf("%s differs; judged now:\n%s", golden, got)
			}
		})
	}
}

func save(t *testing.T, dir string, h history.History) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "events.ndjson"), lines(t, h.Events))
	write(t, filepath.Join(dir, "requests.ndjson"), lines(t, h.Requests))
}

func load(t *testing.T, dir string) history.History {
	t.Helper()
	h := history.History{
		Events:   parse[history.Event](t, filepath.Join(dir, "events.ndjson")),
		Requests: parse[history.Request](t, filepath.Join(dir, "requests.ndjson")),
	}
	plan, ok := history.First[history.Plan](h.Events)
	if !ok {
		t.Fatalf("%s has no plan", dir)
	}
	h.Plan = plan.Data
	return h
}

func lines[T any](t *testing.T, values []T) []byte {
	t.Helper()
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	for _, value := range values {
		if err := encoder.Encode(value); err != nil {
			t.Fatal(err)
		}
	}
	return text.Bytes()
}

func parse[T any](t *testing.T, path string) []T {
	t.Helper()
	var values []T
	for decoder := json.NewDecoder(bytes.NewReader(read(t, path))); ; {
		var value T
		switch err := decoder.Decode(&value); err {
		case nil:
			values = append(values, value)
		case io.EOF:
			return values
		default:
			t.Fatalf("%s: %v", path, err)
		}
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func write(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
}
