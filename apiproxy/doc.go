// Package apiproxy is a Kubernetes API server to whoever releases: a proxy of the
// real one that sees, records and counts what they do, and can be told to hold,
// delay, refuse or cut off a request on its way.
//
// Writers come with tokens that [Proxy.Admit] gave them and act as the user whose
// configuration the proxy was made with; they never see that user's credentials. It
// does not matter who they are: a script that was started for the purpose, or a
// controller that runs in the cluster.
//
// What a request is about stands in its [Request]. A write that took effect is a
// step of the release, and has a number: see [Response]. Watches and upgraded
// connections (exec, attach, port-forward) pass through as they are.
package apiproxy
