// Command canary measures how soon and how reliably a worse candidate is told from the
// baseline: the sequential tests of this project, and on the same simulated requests what
// others do, made anew from what is published of them. It writes
// artifacts/bench-canary.json.
//
// Time is that of the requests, 1,000 a second: nothing here waits for a clock, and the
// same seed gives the same figures on every machine, but for the cost of an update.
package main
