package release

import "cmp"

// Layout is how the two versions of an app lie in a namespace, and where users enter.
type Layout struct {
	// InPlace: one workload serves, and its template is what is released. Otherwise
	// each version is a workload of its own.
	InPlace bool
	// Entry is what the route leads to.
	Entry Entry
}

// Entry is what the route leads to.
type Entry string

// The entries.
const (
	// ByVersion: a Service for each version, between which the route divides.
	ByVersion Entry = "a Service for each version"
	// BySelector: the app's own Service, which selects one version at a time.
	BySelector Entry = "the app's Service, which selects one version"
	// ByPods: the app's own Service, which selects the pods of both versions.
	ByPods Entry = "the app's Service, which selects both versions"
)

// The routers, as a scenario names them.
const (
	routerGateway  = "gateway"
	routerService  = "service"
	routerReplicas = "replicas"
)

// Layout is what the strategy and the router of spec, which must be valid, ask for.
func (s Spec) Layout() Layout {
	strategy := strategies[s.Strategy]
	if strategy.inPlace {
		return Layout{InPlace: true, Entry: ByPods}
	}
	switch cmp.Or(s.Router, strategy.routers[0]) {
	case routerService:
		return Layout{Entry: BySelector}
	case routerReplicas:
		return Layout{Entry: ByPods}
	default:
		return Layout{Entry: ByVersion}
	}
}
