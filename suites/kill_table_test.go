package suites_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// killRow is what one round came to. Times are seconds.
type killRow struct {
	N        int      `json:"n"`
	Victim   string   `json:"victim"`
	Mode     string   `json:"mode"`
	Cluster  string   `json:"cluster"`
	InstantS float64  `json:"instantS"` // of the kill, since the run was started
	Phase    string   `json:"phase"`    // what the run was doing then
	Exit     *int     `json:"exit"`     // of the run; null if it was the victim
	Verdict  string   `json:"verdict"`  // of the run; empty if it did not get that far
	BoundS   float64  `json:"boundS"`   // how long it may take until nothing is left
	TookS    *float64 `json:"tookS"`    // how long it took; null if something stayed
	Left     []string `json:"left"`
	OK       bool     `json:"ok"`
	Why      string   `json:"why"` // why it is not ok
}

func (r *killRow) bound(d time.Duration) { r.BoundS = d.Seconds() }

func (r *killRow) took(since time.Time) {
	took := time.Since(since).Seconds()
	r.TookS = &took
}

// killSummary is what all rounds with one victim came to.
type killSummary struct {
	Victim  string   `json:"victim"`
	Rounds  int      `json:"rounds"`
	OK      int      `json:"ok"`
	BoundS  float64  `json:"boundS"` // the longest
	MedianS *float64 `json:"medianS"`
	MaxS    *float64 `json:"maxS"`
}

func summarize(victim string, rows []*killRow) killSummary {
	s := killSummary{Victim: victim}
	var took []float64
	for _, row := range rows {
		if row.Victim != victim && victim != everybody {
			continue
		}
		s.Rounds++
		if row.OK {
			s.OK++
		}
		s.BoundS = max(s.BoundS, row.BoundS)
		if row.TookS != nil {
			took = append(took, *row.TookS)
		}
	}
	if len(took) > 0 {
		slices.Sort(took)
		s.MedianS, s.MaxS = &took[len(took)/2], &took[len(took)-1]
	}
	return s
}

// everybody is the summary of all rounds.
const everybody = "all"

// write leaves the rounds in artifacts/kill-test.json, and the table of
// docs/safety.md beside it.
func (t *killTest) write() {
	GinkgoHelper()
	var summaries []killSummary
	for _, victim := range t.ground.victims() {
		summaries = append(summaries, summarize(victim.name, t.rows))
	}
	summaries = append(summaries, summarize(everybody, t.rows))
	data, err := json.MarshalIndent(map[string]any{
		"schema": "cutover.kill-test/v1alpha1", "provider": sortOfCluster(), "seed": t.seed, "rows": t.rows, "summary": summaries,
	}, "", "  ")
	Expect(err).NotTo(HaveOccurred())
	Expect(os.MkdirAll(artifacts, 0o755)).To(Succeed())
	Expect(os.WriteFile(filepath.Join(artifacts, "kill-test.json"), data, 0o644)).To(Succeed())
	Expect(os.WriteFile(filepath.Join(artifacts, "kill-test.md"), []byte(killTable(summaries)), 0o644)).To(Succeed())
}

// killTable is the summary as it stands in docs/safety.md.
func killTable(summaries []killSummary) string {
	var text strings.Builder
	text.WriteString("| killed | rounds | nothing left | median | longest | bound |\n|---|---|---|---|---|---|\n")
	seconds := func(s *float64) string {
		if s == nil {
			return "–"
		}
		return fmt.Sprintf("%.1f s", *s)
	}
	for _, s := range summaries {
		bound := fmt.Sprintf("%.0f s", s.BoundS)
		if s.Victim == everybody {
			bound = ""
		}
		fmt.Fprintf(&text, "| %s | %d | %d | %s | %s | %s |\n", s.Victim, s.Rounds, s.OK, seconds(s.MedianS), seconds(s.MaxS), bound)
	}
	return text.String()
}
