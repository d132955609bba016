package kind

// Network is the engine's network that the nodes are in: what else is in it can be
// reached by pods.
func (c *Cluster) Network() string { return "kind" }
