// Package gateway is the gateway that runs share: Traefik as a pod, serving the
// Gateway API. [Install] puts it into a cluster, [Endpoint] says where it answers,
// and [ParseAccessLine] reads from its log which backend served a request.
package gateway
