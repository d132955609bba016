// Package kind runs clusters of [kind], whose nodes are containers of this machine's
// container engine.
//
// kind's own library makes the cluster, in a process of its own: it cannot be
// stopped otherwise, and it is to find our `docker` in its PATH. That is a wrapper,
// which labels every container as ours and asks the engine for no more than it can
// grant. Everything else (waiting, loading images, reaching into the network,
// cleaning up) is done here, with contexts and confirmed.
//
// The image of the nodes is the one that `make node-image` built, if there is one;
// then nothing is pulled. Otherwise it is kind's own, or the one that KIND_NODE_IMAGE
// names.
//
// [kind]: https://kind.sigs.k8s.io
package kind
