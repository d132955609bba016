// Package stats is the mathematics behind verdicts and gates: quantiles, exact
// binomial tests and change points of sequences of good and bad. It knows nothing
// of releases, takes no randomness and keeps no state.
package stats
