// Package gateway is the gateway that runs share: Traefik as a pod, serving the
// Gateway API. [Install] puts it into a cluster, [Endpoint] says where it answers
// and which pod writes the access log that tells who served a request.
package gateway
