// Package agent is the node agent: it serves Chaos Mesh's objects where Chaos Mesh
// cannot run, with nothing but netlink. It watches NetworkChaos and PodChaos, does
// the damage to pods of its own node, in namespaces of runs only, and keeps the
// objects' status as Chaos Mesh does.
//
// A delay is done by a [Driver]: in the kernel's netem where there is one, else by
// holding packets in a queue. Either way the node ends it at its time by itself,
// with the agent stopped or dead and the API server gone.
package agent
