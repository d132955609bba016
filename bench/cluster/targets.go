package main

import (
	benchmark "github.com/cutover-dev/cutover/bench"
)

// targets are the rows of the report. What each measures, precisely, is in the
// package's documentation.
var targets = []struct {
	of   measure
	text string
	want benchmark.Want
}{
	{apiReady, "API ready, since the start of `cluster up`", benchmark.AtMost(4, "s")},
	{nodeReady, "node Ready, since the start of `cluster up`", benchmark.AtMost(5, "s")},
	{firstPod, "first pod Ready, since the start of `cluster up`, its image loaded on the way", benchmark.AtMost(7, "s")},
	{threeReplicas, "Deployment of 3 Ready, since its creation, its image loaded before", benchmark.AtMost(4, "s")},
	{replaced, "force-deleted pod replaced by a Ready one, since the deletion", benchmark.AtMost(1.5, "s")},
	{memory, "memory (sum of PSS) with CoreDNS, Traefik and the agent running", benchmark.AtMost(0.9, "GiB")},
	{down, "down, with nothing left, since the start of `cluster down`", benchmark.AtMost(2, "s")},
	{nodeReady, "node Ready, beside kind", benchmark.Times(3, "s")},
}

// report judges what the rounds gave. broken is the error that ended them early.
func (b *bench) report(head benchmark.Head, broken error) benchmark.Report {
	missing := b.noKind
	if broken != nil {
		missing = broken.Error()
	}
	report := benchmark.Report{Head: head, Phases: gather(b.starts)}
	for _, t := range targets {
		samples := benchmark.Samples{Ours: pick(b.ours, t.of), Peer: pick(b.kind, t.of)}
		report.Rows = append(report.Rows, benchmark.Judge(t.text, t.want, samples, missing))
	}
	return report
}

// pick takes one measure out of rounds; one that did not come to it has none.
func pick(rounds []figures, of measure) []float64 {
	picked := []float64{}
	for _, got := range rounds {
		if figure, measured := got[of]; measured {
			picked = append(picked, figure)
		}
	}
	return picked
}
