// Package experiment runs scenarios. The whole run is one recipe, in [Run]; beside
// it stand the step tracker, which fires faults and asks the gate as the release
// moves from step to step, and the gate's policy.
//
// Everything that happens is recorded and nothing is concluded here: the verdict
// is computed from the record when it is closed.
package experiment
