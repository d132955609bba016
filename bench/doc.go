// Package bench holds what all benchmarks of the project share: a row for each
// target, with what was wanted, what was measured, what the peer did in the same
// run, and whether the target was met.
//
// A benchmark is a main program in a folder below this one. It writes a [Report] as
// JSON and prints it as a table. Figures are medians. What could not be measured is
// null, and the row says why.
package bench
