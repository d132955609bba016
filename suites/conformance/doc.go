// Package conformance says whether a fault does what its object says, by what is
// measured at the pods before, during and after it, and not by the fault's own proof.
//
// [Cases] are the rows: one at least for each kind and action that is built. A
// [Ground] is the pods that a row is tried on, and measures them. [Judge] holds the
// figures against what the row wants; it is pure, and so is the [Report]. A fault
// that is reported as injected and shows no effect has failed.
package conformance
