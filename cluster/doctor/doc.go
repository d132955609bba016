// Package doctor says what this machine can and cannot do for a cluster: what was
// found, what that means, and what to do about it.
//
// It changes nothing. What can only be known by trying, such as whether the kernel
// has netem, is tried in namespaces that vanish with the thread that made them.
package doctor
