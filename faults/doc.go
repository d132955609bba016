// Package faults damages a release on purpose, in Chaos Mesh's own words: one file
// a fault. A fault is injected, proven by measuring at its target, and undone.
// The node agent that does the damage where Chaos Mesh cannot is in faults/agent.
package faults
