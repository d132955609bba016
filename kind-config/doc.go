// Package kindconfig holds what kind clusters are made of: their configurations, and
// the files of a node image that is built where no registry can be reached. They are
// embedded, so that an installed program has them.
package kindconfig
