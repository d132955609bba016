package reports

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"testing"

	"github.com/cutover-dev/cutover/history"
)

func TestHowAPodEnded(t *testing.T) {
	gone := func(killed bool, reason string) []history.Event {
		return []history.Event{podSeen(1, history.Baseline, "shop-a", "ready"),
			history.NewEvent(at(9), history.PodSeen{Pod: "shop-a", Version: history.Baseline, Phase: "gone", Killed: killed, Reason: reason})}
	}
	hit := func(t float64, fault int) history.Event {
		return history.NewEvent(at(t), history.FaultInjected{Fault: fault, Pod: "shop-a"})
	}
	for _, row := range []struct {
		name   string
		events []history.Event
		want   string
	}{
		{"rollout", gone(false, ""), "terminated"},
		{"still there", gone(false, "")[:1], "there at the end"},
		{"by force", gone(true, ""), "killed: by force"},
		{"evicted", gone(true, "Evicted"), "killed: Evicted"},
		// the fault says more than what the watch of pods saw of it
		{"our kill", append(gone(true, "deleted without its grace period"), hit(9.2, 1)), "killed: pod-kill"},
		// a record from before kills were told, and a kill that grants a grace period
		{"our kill, not told", append(gone(false, ""), hit(8.9, 1)), "killed: pod-kill"},
		// negative control: it outlived what happened to it once
		{"hit long before", append(gone(false, ""), hit(4, 1)), "terminated"},
		// negative control: a fault that lasts kills nobody
		{"delayed to the end", append(gone(false, ""), hit(9, 0)), "terminated"},
		// a fault that the plan does not know
		{"unknown fault", append(gone(false, ""), hit(9, 7), hit(9, -1)), "terminated"},
	} {
		h := history.History{Events: row.events, Plan: history.Plan{Faults: []history.PlannedFault{{Name: "delay"}, {Name: "pod-kill", OneShot: true}}}}
		lives := podLives(record{h: h})
		if len(lives) != 1 || lives[0].ending() != row.want {
			t.Errorf("%s: %q, want %q", row.name, lives[0].ending(), row.want)
		}
	}
}

func TestRestartsAreCountedOnce(t *testing.T) {
	e := func(t float64, phase string, restarts int) history.Event {
		return history.NewEvent(at(t), history.PodSeen{Pod: "shop-a", Version: history.Candidate, Phase: phase, Restarts: restarts, Reason: "Error, exit code 1"})
	}
	h := history.History{Events: []history.Event{e(1, "starting", 0), e(2, "starting", 1), e(3, "ready", 1), e(4, "unready", 2), e(5, "ready", 2)}}
	l := podLives(record{h: h})[0]
	if len(l.restarts) != 2 || l.restarted() != 2 || l.restarts[1].At != at(4) {
		t.Errorf("restarts %v", l.restarts)
	}
	var phases []string
	for _, s := range l.stages {
		phases = append(phases, s.phase)
	}
	if want := []string{"starting", "ready", "unready", "ready"}; !slices.Equal(phases, want) {
		t.Errorf("stages %v, want %v", phases, want)
	}
}

// crowd is a release with more pods than there are rows; the youngest was killed.
func crowd(pods int) history.History {
	h, _ := rolledBack(4)
	for i := range pods {
		v := []history.Version{history.Baseline, history.Candidate}[i*2/pods]
		h.Events = append(h.Events, podSeen(float64(i)/1000, v, fmt.Sprintf("shop-crowd-%05d", i), "ready"))
	}
	h.Events = append(h.Events, history.NewEvent(at(9), history.PodSeen{Pod: fmt.Sprintf("shop-crowd-%05d", pods-1), Version: history.Candidate, Phase: "gone", Killed: true}))
	return h
}

func TestACrowdOfPods(t *testing.T) {
	_, r := rolledBack(4)
	h := crowd(60)
	shown := chosenPods(podLives(record{h: h, r: r}))
	by := map[history.Version]int{}
	for _, l := range shown {
		by[l.version]++
	}
	youngest := slices.ContainsFunc(shown, func(l podLife) bool { return l.pod == "shop-crowd-00059" && l.killed != "" })
	if len(shown) != maxPodRows || !youngest {
		t.Errorf("%d pods are shown, the one that was killed among them: %v", len(shown), youngest)
	}
	// To three of the candidate's something happened; the other rows are shared.
	if by[history.Baseline] != 7 || by[history.Candidate] != 9 {
		t.Errorf("shown by version: %v", by)
	}
	page := drawn(t, HTML(h, r))
	if !bytes.Contains(page, []byte(">48 more pods: see the table below<")) {
		t.Error("nobody says how many pods were left out")
	}
	if n := bytes.Count(page, []byte("<code>shop-crowd-")); n != 60 {
		t.Errorf("the table has %d of 60 pods", n)
	}
}

func TestAKillIsToldByShape(t *testing.T) {
	h, r := podTrouble()
	s := newStory(record{h: h, r: r})
	marks := map[string]string{}
	for _, shape := range s.Shapes {
		if m := regexp.MustCompile(`^shop-v\d-(\w+) (killed|terminated|restarted)`).FindStringSubmatch(shape.Note); m != nil {
			marks[m[1]] = regexp.MustCompile(`[0-9. -]+`).ReplaceAllString(shape.D, "")
		}
	}
	if marks["old7q"] == "" || marks["old7q"] == marks["abc"] || marks["abc"] == "" || marks["6gk2x"] == marks["old7q"] || marks["6gk2x"] == "" {
		t.Errorf("forms of the marks: %v", marks)
	}
}

func TestShortNames(t *testing.T) {
	for _, row := range []struct {
		pods []string
		want []string
	}{
		{[]string{"shop-75f5958c56-pzflc", "shop-75f5958c56-974cm"}, []string{"pzflc", "974cm"}}, // as a ReplicaSet names them
		{[]string{"a-0", "b-0", "b-1"}, []string{"a-0", "b-0", "1"}},                             // as StatefulSets do
		{[]string{"shop", "shop-"}, []string{"shop", "shop-"}},                                   // nothing to cut off
	} {
		lives := make([]podLife, len(row.pods))
		for i, pod := range row.pods {
			lives[i].pod = pod
		}
		names := shortNames(lives)
		for i, pod := range row.pods {
			if names[pod] != row.want[i] {
				t.Errorf("%s is called %q, want %q", pod, names[pod], row.want[i])
			}
		}
	}
}
