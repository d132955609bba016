// Package stats is the mathematics behind verdicts and gates: quantiles, exact
// binomial and rank tests, lifetimes that were not watched to their end, change points of
// sequences of good and bad, and tests that may be looked at after every request. It knows nothing of clusters and takes no
// randomness.
//
// A sequential test gives the logarithm of an e-value: a number whose expectation is at
// most 1 while nothing is wrong, so that it ever reaches 1/α with a chance of at most α
// (Ville's inequality), however often it is looked at.
package stats
