// Package provider is the one place that knows which sorts of clusters there are: a
// file for each, all behind [Provider]. [Choose] takes the one that fits a machine,
// [Find] the one that has a cluster of a name.
package provider
