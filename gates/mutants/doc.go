// Package mutants makes candidates bad on purpose, to see whether a gate notices, and
// harmless ones, to see whether it keeps quiet. A mutant is a way to treat requests in
// a proxy that stands in front of any app, so that the app need not know of it.
package mutants
