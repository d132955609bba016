// Package release moves traffic from a baseline to a candidate: strategies, one
// file each, and the routers they shift traffic with. A strategy knows its steps
// and nothing of faults or gates; whoever runs it supplies a [Stepper] that does.
//
// An [Installation] is the app's two versions in a namespace, a [Router] divides
// the traffic between them, and [Pods] says which version an address belongs to.
// [New] puts a strategy on top; [StepNames] knows its steps without a cluster.
package release
