package reports

import (
	"cmp"
	"slices"

	"github.com/cutover-dev/cutover/history"
)

// Pixels of the lane of pods.
const (
	podRow = 15 // a pod, or the name of a version above its pods
	podBar = 8
)

// maxPodRows keeps a large release from pushing everything else off the screen.
const maxPodRows = 16

// podsLane is a line for each pod, from birth to end, under the name of its version.
func (s *story) podsLane() {
	all := slices.DeleteFunc(podLives(s.rec), func(l podLife) bool {
		return l.born() > s.axis.to || (l.gone.Happened() && l.gone < s.axis.from)
	})
	if len(all) == 0 {
		return
	}
	shown := chosenPods(all)
	names := shortNames(shown)
	top, y := s.y, s.y
	for i, l := range shown {
		if i == 0 || l.version != shown[i-1].version {
			if i > 0 {
				y += 5
			}
			s.text(s.axis.x0-6, y+11, "end", "muted", versionName(l.version))
			y += podRow
		}
		s.podLine(l, names[l.pod], y)
		y += podRow
	}
	if left := len(all) - len(shown); left > 0 {
		s.text(s.axis.x0+6, y+11, "start", "muted", plural(left, "more pod")+": see the table below")
		y += podRow
	}
	rows := s.podKey(shown, top)
	s.lane(max(y-top, rows), "Pods", "")
}

// chosenPods are those worth a row: those that something happened to, then the
// oldest of each version in turn.
func chosenPods(all []podLife) []podLife {
	order := make([]int, len(all))
	turn, turns := make([]int, len(all)), map[history.Version]int{}
	for i, l := range all {
		order[i] = i
		if !l.eventful() {
			turns[l.version]++
			turn[i] = turns[l.version]
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(turn[a], turn[b]) })
	order = order[:min(len(order), maxPodRows)]
	slices.Sort(order)
	chosen := make([]podLife, len(order))
	for i, at := range order {
		chosen[i] = all[at]
	}
	return chosen
}

// podHue is the colour of a version's pods.
func podHue(v history.Version) string {
	if v == history.Unattributed {
		return "other"
	}
	return string(v)
}

func (s *story) podLine(l podLife, name string, y px) {
	s.text(s.axis.x0-6, y+11, "end", "ink", podLabel(l, name))
	hue := podHue(l.version)
	end := l.gone
	if !end.Happened() {
		end = s.axis.to
	}
	for i, stage := range l.stages {
		to := end
		if i+1 < len(l.stages) {
			to = l.stages[i+1].from
		}
		if to < s.axis.from || stage.from > s.axis.to {
			continue
		}
		note := l.pod + " " + phaseWord(stage.phase) + ", " + clock(stage.from) + " to " + clock(to)
		s.podStage(stage.phase, hue, s.axis.x(stage.from), s.axis.x(to), y, note)
	}
	for _, h := range l.hits {
		s.podHit(h, y, end, l.pod)
	}
	for _, r := range l.restarts {
		if s.axis.has(r.At) {
			s.restartMark(s.axis.x(r.At), y+7, l.pod+" restarted, "+clock(r.At)+": "+orNone(r.Data.Reason))
		}
	}
	if s.axis.has(l.gone) {
		s.podEnd(s.axis.x(l.gone), y+7, hue, l.killed != "", l.pod+" "+l.ending()+", "+clock(l.gone))
	}
}

// podLabel says in a word what happened to a pod.
func podLabel(l podLife, name string) string {
	word := ""
	switch {
	case l.killed != "":
		word = "killed"
	case len(l.restarts) > 0:
		word = "restarted"
	case l.escaped:
		word = "escaped"
	}
	if word == "" {
		return shorten(name, 20)
	}
	return word + " " + shorten(name, 9)
}

// podStage draws the stages apart by their form: hollow without traffic, dashed if
// it had some before, a thread for the way out.
func (s *story) podStage(phase, hue string, x0, x1, y px, note string) {
	bar := shape{Kind: "rect", X: x0, Y: y + 3, W: max(x1-x0, 1), H: podBar, Note: note}
	switch phase {
	case "ready":
		bar.Fill = hue
	case "terminating", "gone":
		bar.Fill, bar.Y, bar.H = hue, y+6, 2
	default:
		bar.Fill, bar.Stroke, bar.Width = "paper", hue, 1.4
		bar.X, bar.Y, bar.W, bar.H = bar.X+0.7, bar.Y+0.7, max(bar.W-1.4, 0.1), bar.H-1.4
		if phase == "unready" {
			bar.Dash = "2 2"
		}
	}
	s.add(bar)
}

// podHit underlines the time under a fault.
func (s *story) podHit(h podHit, y px, end history.Micros, pod string) {
	to := min(s.faultEnd(h.fault, h.at), end)
	if to <= h.at || to < s.axis.from {
		return // hit at once: its mark is the pod's end
	}
	x0, x1 := s.axis.x(h.at), s.axis.x(to)
	s.add(shape{Kind: "rect", X: x0, Y: y + 12, W: max(x1-x0, 1.5), H: 2.4, Fill: "fault", Note: pod + " under " + faultName(s.rec, h.fault) + ", " + clock(h.at) + " to " + clock(to)})
}

// podEnd is a bar across the line, or a cross if the pod was killed.
func (s *story) podEnd(x, y px, hue string, killed bool, note string) {
	if !killed {
		s.add(shape{Kind: "path", D: newPath().move(x, y-5).down(y + 5).String(), Stroke: hue, Width: 2, Note: note})
		return
	}
	d := cross(x, y, 4.5)
	s.add(shape{Kind: "path", D: d, Stroke: "paper", Width: 6.5})
	s.add(shape{Kind: "path", D: d, Stroke: "bad", Width: 3, Note: note})
}

// restartMark is an arrow that goes round.
func (s *story) restartMark(x, y px, note string) {
	s.add(shape{Kind: "path", D: disc(x, y, 7), Fill: "paper"})
	s.add(shape{Kind: "path", D: roundArrow(x, y, 4.2), Stroke: "bad", Width: 1.8, Note: note})
}

// podKey explains the forms that occur, and returns how high it is.
func (s *story) podKey(shown []podLife, top px) px {
	row := px(0)
	say := func(label string, draw func(y px)) {
		draw(top + row*podRow)
		s.text(keyLeft+19, top+11+row*podRow, "start", "ink", label)
		row++
	}
	has := func(is func(podLife) bool) bool { return slices.ContainsFunc(shown, is) }
	for _, phase := range []string{"starting", "ready", "unready", "terminating"} {
		if has(func(l podLife) bool {
			return slices.ContainsFunc(l.stages, func(g podStage) bool { return g.phase == phase })
		}) {
			say(phaseWord(phase), func(y px) { s.podStage(phase, "muted", keyLeft, keyLeft+15, y, "") })
		}
	}
	if has(func(l podLife) bool { return l.gone.Happened() && l.killed == "" }) {
		say("gone", func(y px) { s.podEnd(keyLeft+7.5, y+7, "muted", false, "") })
	}
	if has(func(l podLife) bool { return l.killed != "" }) {
		say("killed", func(y px) { s.podEnd(keyLeft+7.5, y+7, "", true, "") })
	}
	if has(func(l podLife) bool { return len(l.restarts) > 0 }) {
		say("restarted", func(y px) { s.restartMark(keyLeft+7.5, y+7, "") })
	}
	if has(func(l podLife) bool { return slices.ContainsFunc(l.hits, s.lasts) }) {
		say("under a fault", func(y px) { s.rect(keyLeft, y+6, 15, 2.4, "fault") })
	}
	return row * podRow
}

// lasts says that a hit was of a fault that goes on.
func (s *story) lasts(h podHit) bool { return s.faultEnd(h.fault, h.at) > h.at }
