// Package embedded runs a real Kubernetes in a sandbox of namespaces on this
// machine: etcd, kube-apiserver, controller-manager, scheduler, kubelet,
// kube-proxy, containerd, runc and CNI plugins, built from their Go modules.
//
// Three processes carry a cluster. The janitor stays outside, makes the cgroups,
// starts the sandbox and removes what the kernel does not when it ends. The
// sandbox's first process makes the mounts and the network and collects orphans;
// when it dies the kernel removes everything inside. The supervisor, its only
// child, starts the components and carries the API server's connections from a
// listener that was opened on the host's loopback.
//
// A further node is a sandbox in the sandbox, which the supervisor starts: its
// first process, the machine, has namespaces of its own and a supervisor for the
// node's containerd, kubelet and kube-proxy. Its end is the node's.
//
// An ordinary user's sandbox is in a user namespace, where he is root. What he may not
// do on the machine it does without, if Kubernetes can.
//
// The sandbox keeps the host clean; it is no security boundary.
package embedded
