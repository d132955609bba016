package apiproxy

import (
	"cmp"
	"net/http"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	apirequest "k8s.io/apiserver/pkg/endpoints/request"
)

// Request is one request to the API server, before its answer.
type Request struct {
	Number int64  // among all that came through the proxy, from 1
	Writer string // whose token it carries
	// Verb is the API's: get, list, watch, create, update, patch, delete,
	// deletecollection. What opens a connection to a pod is called exec, attach,
	// port-forward or proxy; what is no resource's, by its HTTP method.
	Verb        string
	Group       string // "" of the core API
	Version     string
	Resource    string // "services"; "" if the path is no resource's
	Kind        string // "Service"; "" if the API server knows no such resource
	Subresource string
	Namespace   string // "" of what has none, and across all
	Name        string // "" of a collection, and while the API server is to make one up
	Path        string
	DryRun      bool
	// Next is the number that it gets if it turns out to be a step; 0 if it cannot be
	// one. Of writes under way at once each has the same.
	Next int
}

// String is the request as a person would name it: "patch Service/shop".
func (r Request) String() string {
	words := r.Verb + " " + r.Object()
	if r.Subresource != "" && r.Subresource != connections[r.Verb] {
		words += " " + r.Subresource
	}
	return words
}

// Object is what the request is about: "Service/shop", "Service" of a collection, or a
// path that is no resource's.
func (r Request) Object() string {
	if r.Resource == "" {
		return r.Path
	}
	object := cmp.Or(r.Kind, r.Resource)
	if r.Name != "" {
		object += "/" + r.Name
	}
	return object
}

// connections are the subresources that open a connection, by the verb they have here.
var connections = map[string]string{"exec": "exec", "attach": "attach", "port-forward": "portforward", "proxy": "proxy"}

var paths = apirequest.RequestInfoFactory{APIPrefixes: sets.NewString("api", "apis"), GrouplessAPIPrefixes: sets.NewString("api")}

// parse reads what method and address tell of a request.
func parse(r *http.Request) Request {
	info, err := paths.NewRequestInfo(r)
	if err != nil || !info.IsResourceRequest {
		return Request{Verb: strings.ToLower(r.Method), Path: r.URL.Path}
	}
	parsed := Request{
		Verb: info.Verb, Group: info.APIGroup, Version: info.APIVersion, Resource: info.Resource, Subresource: info.Subresource,
		Namespace: info.Namespace, Name: info.Name, Path: r.URL.Path,
		DryRun: slices.Contains(r.URL.Query()["dryRun"], metav1.DryRunAll),
	}
	for verb, subresource := range connections {
		if info.Subresource == subresource {
			parsed.Verb = verb
		}
	}
	return parsed
}

// writes are the verbs that can change an object.
var writes = []string{"create", "update", "patch", "delete", "deletecollection"}

func (r Request) isWrite() bool { return r.Resource != "" && slices.Contains(writes, r.Verb) }

// unnumbered says why a write is no step, whatever its effect; "" if it may be one.
// Such writes say or ask something, or are the book-keeping of tools: Helm's of its
// releases, the leases of controllers.
func (r Request) unnumbered() string {
	switch {
	case r.DryRun:
		return "dry run"
	case r.Resource == "leases" && r.Group == "coordination.k8s.io":
		return "lease"
	case r.Resource == "events" && (r.Group == "" || r.Group == "events.k8s.io"):
		return "event"
	case r.Subresource == "token", r.Resource == "tokenreviews", r.Group == "authentication.k8s.io":
		return "token request"
	case r.Group == "authorization.k8s.io":
		return "review"
	case strings.HasPrefix(r.Name, "sh.helm.release.v1.") && (r.Resource == "secrets" || r.Resource == "configmaps"):
		return "Helm's record of a release"
	}
	return ""
}
