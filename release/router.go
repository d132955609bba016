package release

// NewRouter makes the router that the installation's layout asks for. The route is
// how users come in; it moves nobody unless it leads to a Service for each version.
func NewRouter(i *Installation, route *GatewayAPI, versions Versions) Router {
	switch {
	case i.Layout.InPlace, i.Layout.Entry == ByVersion:
		return route
	case i.Layout.Entry == BySelector:
		return &ServiceSelector{Installation: i, Route: route}
	default:
		return &ReplicaShare{Installation: i, Route: route, Versions: versions}
	}
}
