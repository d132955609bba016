// Package stalls watches, while a benchmark measures, for the times in which the machine
// did not run what it should have. What a stall touched says nothing of what is measured.
package stalls
