package kindconfig

import "embed"

// Single is a cluster of one node.
//
//go:embed single.yaml
var Single []byte

// Multi is a cluster of a control plane and three workers over two zones.
//
//go:embed multi.yaml
var Multi []byte

// Node holds, below node/rootfs, our own files of the node image, and beside them the
// lists of the Debian packages that it is made of.
//
//go:embed node
var Node embed.FS
