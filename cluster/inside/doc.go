// Package inside runs a program of this machine in the network of a cluster, with the
// cluster's DNS and in a process namespace of its own. So it ends as a whole, whatever
// it started and however that tried to get away: at once, when it is told to, and with
// this process, however that ends. Nothing of it has to be cleaned up.
//
// It is no security boundary: the program sees this machine's files.
package inside
