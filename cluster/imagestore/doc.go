// Package imagestore fills folders with what containerd keeps of images, by a
// throw-away containerd. A node whose containerd finds its images there does not
// import them at its start.
package imagestore
