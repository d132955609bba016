// Command mttr measures how exactly the onset and the end of an outage are read from a
// record, by the code that judges every run, beside what a prober would say and what a
// monitoring that scrapes counters would. It writes artifacts/bench-mttr.json.
//
// Time is virtual: a service is bad from one known instant to another, 1,000 requests a
// second come to it, and nothing here waits for a clock. The same seed gives the same figures
// on every machine. What a real load generator and a real network add is not in them.
package main
