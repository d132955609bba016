// Package release moves traffic from a baseline to a candidate: strategies, one
// file each, and the routers they shift traffic with. A strategy knows its steps
// and nothing of faults or gates; whoever runs it supplies a [Stepper] that does.
package release
