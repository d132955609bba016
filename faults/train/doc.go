// Package train sends trains of ICMP echoes from a node's network to the pods of
// that node and counts what comes back: whole, damaged, twice, or not at all, and
// how fast. It is how faults of the network are seen at a pod without asking its
// application: the pod's kernel answers, and its answers take the way of all that
// the pod sends.
package train
