// Package chaosmesh puts Chaos Mesh into a cluster: by its own Helm chart, with Helm
// as a library, and with images that are either Chaos Mesh's published ones or made
// here of its Go module.
//
// [Local] and [Published] say where the chart and the images come from, and
// [Install] is the same for both. It returns when Chaos Mesh can be used: its kinds
// are served, its webhooks answer, and its daemon is ready on every node.
package chaosmesh
