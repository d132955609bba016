// Package history holds what happened in a run, and nothing about what it means:
// events, requests, the one clock both are stamped with, the live view that gates
// read while the run goes on, and the files it all ends up in.
//
// Everything above it writes through [Sink] and judges through [History]. The
// package imports none of ours, so that a record can be read, and judged again,
// by a program that knows nothing of clusters.
package history
