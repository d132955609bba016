// Command mirror measures what it costs users that their requests are also sent to pods of
// both versions whose answers are compared, and how reliably what differs is told from what
// differs anyway. It writes artifacts/bench-mirror.json.
//
// The first is measured on this machine's loopback: users' requests come to a server in a
// process of its own, and the pods are another process, which can be frozen. Beside it
// stands nginx, which mirrors what it passes on. The second is in virtual time: fields
// differ by chance as they do in real answers, and one of them is wrong now and then. Beside
// it stands the rule by which Diffy decides, made anew from what is published of it.
package main
