package main

import (
	"strconv"

	"github.com/cutover-dev/cutover/verdict"
)

// ours are the fields that the judgement of a record says to differ.
func ours(c *counted) []int {
	var named []int
	for _, f := range verdict.JudgeDiff(c.diff()).Differing {
		i, _ := strconv.Atoi(f.Field) // it is a number by construction
		named = append(named, i)
	}
	return named
}

// The limits that Diffy has if nobody says otherwise, in per cent.
const (
	diffyRelative = 20
	diffyAbsolute = 0.03
)

// diffys are the fields that Diffy's rule says to differ: the candidate's answer and the
// primary's are not the same more often than the primary's and the secondary's are, by more
// than a fifth of both together, and in more than 0.03 % of the requests.
func diffys(c *counted) []int {
	var named []int
	for i, t := range c.fields {
		raw := float64(t.candidate + t.baseline[0] + t.all)
		noise := float64(t.baseline[0] + t.baseline[1] + t.all)
		if raw > noise && 100*(raw-noise)/(raw+noise) > diffyRelative && 100*(raw-noise)/float64(c.requests) > diffyAbsolute {
			named = append(named, i)
		}
	}
	return named
}
