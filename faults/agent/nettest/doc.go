// Package nettest plays a node and its pods for tests and benchmarks of the
// agent's drivers: network namespaces joined by veths, as a routed pod network has
// them. Nothing of it touches the machine's own network, and all of it is gone
// with the last descriptor that holds it.
package nettest
