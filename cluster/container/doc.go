// Package container runs single containers on the engine of this machine, beside the
// clusters there: what a scenario depends on, and the registry.
//
// testcontainers-go makes them and waits for them. Removing is not left to it: its
// reaper would be another image to pull, and would take what is to outlive this
// process. Each container and each of its volumes carries labels instead, by which
// [Remove] finds them in whatever process.
package container
