// Command mttr measures how exactly the onset and the end of an outage are read from a
// record, by the code that judges every run, beside what a prober would say and what a
// monitoring that scrapes counters would. It writes artifacts/bench-mttr.json.
//
// First, time is virtual: a service is bad from one known instant to another, 1,000 requests a
// second come to it, and nothing waits for a clock. The same seed gives the same figures on
// every machine. How often the intervals of the instants hold the truth is counted here, where
// there are enough outages for it.
//
// Then a service in a process of its own has outages in real time, by the clock that all
// processes of a machine share, and the load generator sends it as many requests over the
// network of the machine. What both add is in these figures. The prober asks the same
// service, and the scrapes are of its counters.
package main
