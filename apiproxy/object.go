package apiproxy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"
)

// object is what a body tells of the object in it.
type object struct {
	kind string
	meta metav1.ObjectMeta
	// fields are all of it; nil if the body is in a form that is not read that far.
	fields map[string]any
}

// errUnread is of a body in a form that this package does not read: whoever needs to
// know asks the API server for the object as JSON.
var errUnread = errors.New("a body of this form is not read")

// decodeObject reads the object in a body of any kind, built in or not.
func decodeObject(contentType string, body []byte) (object, error) {
	media, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		return object{}, errUnread
	}
	switch media {
	case runtime.ContentTypeJSON, string(types.MergePatchType), string(types.StrategicMergePatchType):
		return decodeJSON(body)
	case runtime.ContentTypeYAML, string(types.ApplyYAMLPatchType):
		if body, err = yaml.YAMLToJSON(body); err != nil {
			return object{}, err
		}
		return decodeJSON(body)
	case runtime.ContentTypeProtobuf:
		return decodeProtobuf(body)
	}
	return object{}, errUnread
}

func decodeJSON(body []byte) (object, error) {
	var head metav1.PartialObjectMetadata
	if err := json.Unmarshal(body, &head); err != nil {
		return object{}, err
	}
	o := object{kind: head.Kind, meta: head.ObjectMeta}
	return o, json.Unmarshal(body, &o.fields)
}

// protobufMagic begins every object of the API in protobuf.
const protobufMagic = "k8s\x00"

// decodeProtobuf reads kind and metadata: the envelope says the one, and every kind
// has the other as its first field.
func decodeProtobuf(body []byte) (object, error) {
	envelope, err := open(body)
	if err != nil {
		return object{}, err
	}
	o := object{kind: envelope.Kind}
	if o.kind == "Status" || strings.HasSuffix(o.kind, "List") {
		return o, nil // their metadata is that of a list
	}
	metadata, err := field(envelope.Raw, 1)
	if err != nil {
		return object{}, err
	}
	return o, o.meta.Unmarshal(metadata)
}

func open(body []byte) (runtime.Unknown, error) {
	var envelope runtime.Unknown
	rest, ok := bytes.CutPrefix(body, []byte(protobufMagic))
	if !ok {
		return envelope, errors.New("it does not begin as protobuf of the API does")
	}
	return envelope, envelope.Unmarshal(rest)
}

// field is the content of a message's field of that number; nil if it has none.
func field(message []byte, number protowire.Number) ([]byte, error) {
	for len(message) > 0 {
		found, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return nil, fmt.Errorf("protobuf: %w", protowire.ParseError(n))
		}
		message = message[n:]
		if found == number && kind == protowire.BytesType {
			content, n := protowire.ConsumeBytes(message)
			return content, protowire.ParseError(min(n, 0))
		}
		if n = protowire.ConsumeFieldValue(found, kind, message); n < 0 {
			return nil, fmt.Errorf("protobuf: %w", protowire.ParseError(n))
		}
		message = message[n:]
	}
	return nil, nil
}

// dryRun reports whether the body of a deletion or an eviction asks for a dry run. One
// that cannot be read asks for nothing: the API server refuses it.
func dryRun(body []byte) bool {
	var options metav1.DeleteOptions
	if envelope, err := open(body); err == nil {
		raw := envelope.Raw
		if envelope.Kind == "Eviction" {
			raw, _ = field(raw, 2)
		}
		return options.Unmarshal(raw) == nil && len(options.DryRun) > 0
	}
	var eviction policyv1.Eviction
	if yaml.Unmarshal(body, &eviction) == nil && eviction.DeleteOptions != nil {
		options = *eviction.DeleteOptions
	} else if yaml.Unmarshal(body, &options) != nil {
		return false
	}
	return len(options.DryRun) > 0
}

// meaning is what of an object counts as changed: neither what the API server keeps
// for itself, nor, unless the status was written, what controllers report.
func (o object) meaning(status bool) map[string]any {
	meant := map[string]any{}
	for key, value := range o.fields {
		if key != "metadata" && (key != "status" || status) {
			meant[key] = value
		}
	}
	metadata, _ := o.fields["metadata"].(map[string]any)
	for key, value := range metadata {
		if key != "resourceVersion" && key != "managedFields" && key != "generation" {
			meant["metadata."+key] = value
		}
	}
	return meant
}
