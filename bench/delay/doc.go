// Command delay measures how exact, how fast and how cheap the agent's delays are,
// and writes artifacts/bench-delay.json.
//
// The path is the real one: a driver in a process of its own in a node's network
// namespace, as the agent is, and pods behind veths. Every delay that netem can do
// too is measured with netem in the same run, where the kernel has it.
package main
