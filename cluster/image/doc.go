// Package image makes the container images that clusters run, with or without a
// container engine and with or without a registry.
//
// [Build] turns what a scenario calls an image into one:
//
//	ko://./apps/shop                     a Go program of the module that holds the folder
//	ko://example.com/app/cmd/app         the same, named by import path
//	ko://example.com/app/cmd/app@v1.2.3  a program of any published module
//	oci-archive:FILE                     what `skopeo copy … oci-archive:FILE` wrote
//	docker-archive:FILE                  what `docker save -o FILE` wrote
//	ghcr.io/acme/app:1.2.3               a registry's
//
// [FromBinary] wraps a program that is already built, with the libraries that it is
// dynamically linked with. [Pack] makes an image of folders, and [WriteOCIArchive] a
// file of that. The digest of an image is a function of its content alone, and its
// name in a cluster carries the digest: the same source is the same image, and a
// changed one never meets a stale copy in a node's store.
//
// Layers are not compressed. Nearly every image goes to a cluster on the same
// machine, where gzip would cost seconds on both sides and save nothing.
package image
