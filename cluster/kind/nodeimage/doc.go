// Package nodeimage builds the image of kind's nodes where none can be pulled: from
// Debian packages, the programs that the embedded cluster runs too, and our own
// files in kind-config/node. What the control plane runs is in the node's containerd
// already, so that nothing is pulled or imported when a node starts.
package nodeimage
