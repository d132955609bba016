package apiproxy

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"time"
)

// lookWithin bounds a look at the API server of the proxy's own.
const lookWithin = 5 * time.Second

// state is an object as the API server had it; known is false if it did not tell.
type state struct {
	known, there bool
	object
}

// before looks at what a write is about to change. What a create makes is not there.
func (p *Proxy) before(ctx context.Context, x *exchange) state {
	switch {
	case x.Verb == "deletecollection":
		return p.lookAtAny(ctx, x)
	case x.Verb == "create" && x.Subresource == "":
		return state{known: true}
	}
	return p.look(ctx, x)
}

// look asks for the object as it is now.
func (p *Proxy) look(ctx context.Context, x *exchange) state {
	path := x.Path
	if x.Verb == "create" { // a subresource that is only written, such as an eviction
		path = strings.TrimSuffix(path, "/"+x.Subresource)
	}
	body, status, err := p.get(ctx, path, nil)
	if err != nil || status != http.StatusOK && status != http.StatusNotFound {
		return state{}
	}
	if status == http.StatusNotFound {
		return state{known: true}
	}
	o, err := decodeJSON(body)
	return state{known: err == nil, there: true, object: o}
}

// lookAtAny asks whether there is anything in the collection that a deletion means.
func (p *Proxy) lookAtAny(ctx context.Context, x *exchange) state {
	query := url.Values{"limit": {"1"}}
	for _, key := range []string{"labelSelector", "fieldSelector"} {
		if values, given := x.query[key]; given {
			query[key] = values
		}
	}
	body, status, err := p.get(ctx, x.Path, query)
	if err != nil || status != http.StatusOK {
		return state{}
	}
	var list struct {
		Items []json.RawMessage `json:"items"`
	}
	err = json.Unmarshal(body, &list)
	return state{known: err == nil, there: len(list.Items) > 0}
}

// get asks the API server for JSON.
func (p *Proxy) get(ctx context.Context, path string, query url.Values) (body []byte, status int, err error) {
	ctx, cancel := context.WithTimeout(ctx, lookWithin)
	defer cancel()
	address := p.server.JoinPath(path)
	address.RawQuery = query.Encode()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address.String(), nil)
	if err != nil {
		return nil, 0, err
	}
	request.Header.Set("Accept", "application/json")
	response, err := p.transport.RoundTrip(request)
	if err != nil {
		return nil, 0, err
	}
	defer response.Body.Close()
	body, err = io.ReadAll(response.Body)
	return body, response.StatusCode, err
}

// effect compares what a write that succeeded was about, before and after, and says
// why it had none; "" if it had one. Of what cannot be compared the status is
// believed.
//
// That the version is another one is not enough: between the look before and the
// write a controller may have reported something. Nor is the answer to a deletion,
// which may be about what was being deleted already.
func (p *Proxy) effect(ctx context.Context, x *exchange, contentType string, body []byte) (response Response) {
	before := x.was
	after, err := decodeObject(contentType, body)
	if x.Verb == "create" && x.Subresource == "" {
		return Response{After: after.meta.ResourceVersion}
	}
	response = Response{Before: before.meta.ResourceVersion, After: after.meta.ResourceVersion}
	switch {
	case !before.known:
		return response
	case x.Verb == "deletecollection" || x.Verb == "delete" && !before.there:
		if !before.there {
			response.Because = unchanged
		}
		return response
	case x.Verb == "delete":
		if before.meta.DeletionTimestamp != nil && response.After == response.Before {
			response.Because = unchanged
		}
		return response
	case err != nil || x.Verb == "create" || response.After != response.Before && after.fields == nil:
		now := p.look(ctx, x)
		if !now.known {
			return response
		}
		after, response.After = now.object, now.meta.ResourceVersion
	}
	status := x.Subresource == "status" || x.Verb == "create"
	if before.there && (response.After == response.Before || reflect.DeepEqual(before.meaning(status), after.meaning(status))) {
		response.Because = unchanged
	}
	return response
}

const unchanged = "it changed nothing"

// kindOf asks the API server once for each of its groups what its resources are called.
func (p *Proxy) kindOf(ctx context.Context, r Request) string {
	path := "/apis/" + r.Group + "/" + r.Version
	if r.Group == "" {
		path = "/api/" + r.Version
	}
	p.mu.Lock()
	kind, known := p.kinds[path+"/"+r.Resource]
	p.mu.Unlock()
	if known {
		return kind
	}
	found, err := p.kindsOf(ctx, path)
	if err != nil {
		return "" // it is asked again with the next request
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	maps.Copy(p.kinds, found)
	return found[path+"/"+r.Resource]
}

func (p *Proxy) kindsOf(ctx context.Context, path string) (map[string]string, error) {
	body, status, err := p.get(ctx, path, nil)
	if err != nil {
		return nil, err
	}
	if status != http.StatusOK {
		return nil, fmt.Errorf("%s: status %d", path, status)
	}
	var list struct {
		Resources []struct {
			Name string `json:"name"`
			Kind string `json:"kind"`
		} `json:"resources"`
	}
	if err := json.Unmarshal(body, &list); err != nil {
		return nil, err
	}
	kinds := map[string]string{}
	for _, resource := range list.Resources {
		if !strings.Contains(resource.Name, "/") {
			kinds[path+"/"+resource.Name] = resource.Kind
		}
	}
	return kinds, nil
}
