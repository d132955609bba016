// Package aside runs what changes the namespaces of its thread, where nobody else
// meets the change: agents and the doctor try the kernel there, and tests stand in
// the network of a pod. It needs no cluster and knows none.
package aside
