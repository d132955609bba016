// Package registry runs an OCI registry beside a kind cluster, in the way that kind
// documents: a container in the nodes' network, published on this machine's loopback
// address. What was pushed to localhost:PORT from here is pulled by that name from
// the nodes.
//
// The registry is built from its Go module. It lives as long as its cluster:
// [Remove] takes it down with it, and [Clean] removes those whose clusters are gone.
package registry
