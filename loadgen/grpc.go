package loadgen

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
)

// GRPCSpec is a unary call.
type GRPCSpec struct {
	Method  string          `yaml:"method" json:"method"`                       // pkg.Service/Method
	Message json.RawMessage `yaml:"message,omitempty" json:"message,omitempty"` // as JSON, in the names of load.descriptors; default an empty one

	descriptor protoreflect.MethodDescriptor `yaml:"-"` // of Method; nil if it was not looked up
	types      *dynamicpb.Types              `yaml:"-"` // that a message may name
}

// Descriptors are the services and messages of load.descriptors.
type Descriptors struct {
	Sum   string               `json:"sum"` // SHA-256 of the file
	files *protoregistry.Files // what it holds
}

// ReadDescriptors reads a set of descriptors with all that they import, as
// protoc --include_imports --descriptor_set_out and buf build write it.
func ReadDescriptors(in io.Reader) (Descriptors, error) {
	data, err := io.ReadAll(io.LimitReader(in, maxRecording))
	if err != nil {
		return Descriptors{}, err
	}
	var set descriptorpb.FileDescriptorSet
	if err := proto.Unmarshal(data, &set); err != nil {
		return Descriptors{}, fmt.Errorf("is no set of descriptors: make it with protoc --include_imports --descriptor_set_out=FILE, or buf build -o FILE: %w", err)
	}
	files, err := protodesc.NewFiles(&set)
	if err != nil {
		return Descriptors{}, fmt.Errorf("is not complete; was it made with --include_imports? %w", err)
	}
	return Descriptors{Sum: fmt.Sprintf("%x", sha256.Sum256(data)), files: files}, nil
}

// Describing is the spec with the calls of its requests looked up in the descriptors. The
// error has everything that is not found there, each with its key.
func (s Spec) Describing(d Descriptors) (Spec, error) {
	s.Schema = &d
	s.Requests = slices.Clone(s.Requests)
	var wrong []error
	for i := range s.Requests {
		r := &s.Requests[i]
		if r.GRPC == nil {
			continue
		}
		call := *r.GRPC
		if err := call.find(d.files); err != nil {
			wrong = append(wrong, fmt.Errorf("load.requests[%d].grpc.%w", i, err))
			continue
		}
		r.GRPC = &call
		*r = r.withDefaults()
	}
	return s, errors.Join(wrong...)
}

// find looks the method up. The error begins with its key.
func (g *GRPCSpec) find(files *protoregistry.Files) error {
	service, method, _ := strings.Cut(g.Method, "/")
	found, err := files.FindDescriptorByName(protoreflect.FullName(service))
	if err != nil {
		return fmt.Errorf("method %q: load.descriptors has no service %q", g.Method, service)
	}
	services, is := found.(protoreflect.ServiceDescriptor)
	if !is {
		return fmt.Errorf("method %q: %s is no service", g.Method, service)
	}
	g.descriptor = services.Methods().ByName(protoreflect.Name(method))
	switch {
	case g.descriptor == nil:
		return fmt.Errorf("method %q: service %s has no method %q", g.Method, service, method)
	case g.descriptor.IsStreamingClient() || g.descriptor.IsStreamingServer():
		return fmt.Errorf("method %q is a stream, and only unary calls are sent", g.Method)
	}
	g.types = dynamicpb.NewTypes(files)
	if _, err := g.body(idPlaceholder); err != nil {
		return fmt.Errorf("message is no %s: %w", g.descriptor.Input().FullName(), err)
	}
	return nil
}

// prefixed is how long the prefix of a message is: whether it is compressed, and its length.
const prefixed = 5

// body is the message on the wire, with the request's id where it asks for it.
func (g *GRPCSpec) body(id string) ([]byte, error) {
	if g.descriptor == nil {
		return nil, errors.New("the method was not looked up in load.descriptors")
	}
	message := dynamicpb.NewMessage(g.descriptor.Input())
	if len(g.Message) > 0 {
		text := strings.ReplaceAll(string(g.Message), idPlaceholder, id)
		if err := (protojson.UnmarshalOptions{Resolver: g.types}).Unmarshal([]byte(text), message); err != nil {
			return nil, err
		}
	}
	body, err := proto.MarshalOptions{Deterministic: true}.MarshalAppend(make([]byte, prefixed), message)
	if err != nil {
		return nil, err
	}
	binary.BigEndian.PutUint32(body[1:], uint32(len(body)-prefixed))
	return body, nil
}

// header is what every call carries.
func (g *GRPCSpec) header(header http.Header) {
	header.Set("Content-Type", "application/grpc")
	header.Set("Te", "trailers")
}

func (g *GRPCSpec) validate(r RequestSpec) error {
	service, method, ok := strings.Cut(g.Method, "/")
	switch {
	case !ok || service == "" || method == "" || strings.Contains(method, "/"):
		return fmt.Errorf("grpc.method %q: write pkg.Service/Method", g.Method)
	case g.descriptor == nil:
		return fmt.Errorf("grpc.method %q was not looked up: load.descriptors is missing", g.Method)
	case r.Path != g.path():
		return fmt.Errorf("path %q is not that of grpc.method: leave it out", r.Path)
	case r.Body != "":
		return errors.New("body is grpc.message here: leave it out")
	case r.ReadBack != nil:
		return errors.New("readBack is asked for by HTTP: not with grpc")
	case len(r.Expect.Status) > 0:
		return errors.New("expect.status is 200 of every call: write expect.grpcStatus")
	}
	for _, code := range r.Expect.GRPCStatus {
		if code < 0 || code >= len(grpcCodes) {
			return fmt.Errorf("expect.grpcStatus %d is no status of a call: 0 to %d", code, len(grpcCodes)-1)
		}
	}
	return nil
}

func (g *GRPCSpec) path() string { return "/" + g.Method }

// grpcTimeout is the time left as a call tells it: at most eight digits and a unit.
func grpcTimeout(left time.Duration) string {
	left = max(0, left)
	if micros := left.Microseconds(); micros < 1e8 {
		return strconv.FormatInt(micros, 10) + "u"
	}
	return strconv.FormatInt(min(left.Milliseconds(), 1e8-1), 10) + "m"
}

// sayTimeLeft tells the server how long its answer is waited for.
func sayTimeLeft(ctx context.Context, header http.Header) {
	if deadline, ok := ctx.Deadline(); ok {
		header.Set("Grpc-Timeout", grpcTimeout(time.Until(deadline)))
	}
}

// grpcCodes are the statuses of calls, by number.
var grpcCodes = []string{
	"OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED",
	"RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
}

// largestMessage is what clients of gRPC take if they are told nothing else.
const largestMessage = 4 << 20

// judge reports whether a call was answered as expected, and otherwise what its status
// was. What it said of it is the answer's body then, for the report.
func (e ExpectSpec) judge(status int, a *answer) (expected bool, err error) {
	if status != http.StatusOK {
		return false, nil // by a gateway, most likely, which speaks HTTP
	}
	code, text, err := a.grpcStatus()
	if err != nil {
		return false, err
	}
	wanted := slices.Contains(e.GRPCStatus, code) || len(e.GRPCStatus) == 0 && code == 0
	switch {
	case wanted && code == 0:
		err = a.wholeMessage()
		return err == nil, err
	case wanted:
		return true, nil
	}
	a.body = []byte(text)
	return false, fmt.Errorf("grpc-status %d (%s)", code, nameOfCode(code))
}

func nameOfCode(code int) string {
	if code >= 0 && code < len(grpcCodes) {
		return grpcCodes[code]
	}
	return "unknown"
}

// grpcStatus is what the call came to: told in the trailers, or in the headers of an answer
// that consists of nothing else.
func (a answer) grpcStatus() (code int, message string, err error) {
	from := a.trailer
	if from.Get("Grpc-Status") == "" {
		from = a.header
	}
	told := from.Get("Grpc-Status")
	if told == "" {
		return 0, "", errors.New("no grpc-status: the answer is not of gRPC, or has no end")
	}
	code, err = strconv.Atoi(told)
	if err != nil || code < 0 {
		return 0, "", fmt.Errorf("grpc-status %q is no number", told)
	}
	message = from.Get("Grpc-Message")
	if plain, err := url.PathUnescape(message); err == nil {
		message = plain
	}
	return code, message, nil
}

// wholeMessage checks that the body is one message, as that of a call which went well is.
func (a answer) wholeMessage() error {
	if len(a.body) < prefixed {
		return errors.New("grpc: no message in the answer")
	}
	length := int64(binary.BigEndian.Uint32(a.body[1:]))
	switch {
	case a.body[0] != 0:
		return errors.New("grpc: the message is compressed, which was not asked for")
	case length > largestMessage:
		return fmt.Errorf("grpc: the message is larger than %d MiB, which clients do not take", largestMessage>>20)
	case length != a.size-prefixed:
		return errors.New("grpc: the body is not one message")
	}
	return nil
}
