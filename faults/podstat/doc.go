// Package podstat reads what pods use from their cgroups, the moment it is asked: a
// kubelet's own figures are up to 20 s old.
package podstat
