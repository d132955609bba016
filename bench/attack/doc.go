// Command attack measures the load generator beside others: how late it releases requests,
// whether its books are complete, how much load one processor can send, what it says of a
// server that stands still, and what it takes when nobody answers. It writes
// artifacts/bench-attack.json.
//
// The tool has one processor and the server another. What the tool says of its own
// lateness counts for nothing: the server stamps every request with the machine's clock as
// it reads it, and what was intended is compared with that. The server, each run of a tool
// and the watch for stalls are this program again, in processes of their own. All of it
// stays on loopback addresses.
package main
