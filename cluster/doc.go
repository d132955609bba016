// Package cluster says what a cluster is to the rest of the program: a REST
// configuration, a way to dial its pods, and a place to load images into. The
// providers are in folders of their own; everything above this package is the
// same on all of them.
package cluster
