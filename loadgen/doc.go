// Package loadgen sends the load: an arrival plan made from a seed, and an attack
// that releases every arrival at its intended instant whether or not earlier ones
// have been answered (open loop), records what became of each, and says which
// version answered.
package loadgen
