// Package podstat reads what pods use, the moment it is asked, from their cgroups and
// processes: a kubelet's own figures are up to 20 s old.
package podstat
