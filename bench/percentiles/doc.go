// Command percentiles measures how exact and how fast quantiles of latencies are: those of
// the histogram that the load generator keeps, and beside them those of the t-digest that
// vegeta reports, both against the sorted samples. It writes
// artifacts/bench-percentiles.json.
//
// Latencies under faults have two modes, milliseconds and the timeout, with nothing between
// them: an estimate that interpolates says what no request ever took.
package main
