package loadgen

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/cutover-dev/cutover/history"
)

// shopProto is, as protoc would write it:
//
//	package shop;
//	message Ask { string sku = 1; int32 n = 2; }
//	message Cart { int64 total = 1; }
//	service Carts { rpc Get(Ask) returns (Cart); rpc Watch(Ask) returns (stream Cart); }
var shopProto = &descriptorpb.FileDescriptorSet{File: []*descriptorpb.FileDescriptorProto{{
	Name: new("shop.proto"), Package: new("shop"), Syntax: new("proto3"),
	MessageType: []*descriptorpb.DescriptorProto{
		{Name: new("Ask"), Field: []*descriptorpb.FieldDescriptorProto{
			protoField("sku", 1, descriptorpb.FieldDescriptorProto_TYPE_STRING), protoField("n", 2, descriptorpb.FieldDescriptorProto_TYPE_INT32),
		}},
		{Name: new("Cart"), Field: []*descriptorpb.FieldDescriptorProto{protoField("total", 1, descriptorpb.FieldDescriptorProto_TYPE_INT64)}},
	},
	Service: []*descriptorpb.ServiceDescriptorProto{{Name: new("Carts"), Method: []*descriptorpb.MethodDescriptorProto{
		{Name: new("Get"), InputType: new(".shop.Ask"), OutputType: new(".shop.Cart")},
		{Name: new("Watch"), InputType: new(".shop.Ask"), OutputType: new(".shop.Cart"), ServerStreaming: new(true)},
	}}},
}}}

func protoField(name string, number int32, kind descriptorpb.FieldDescriptorProto_Type) *descriptorpb.FieldDescriptorProto {
	return &descriptorpb.FieldDescriptorProto{Name: &name, JsonName: &name, Number: &number, Type: &kind, Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum()}
}

func shopDescriptors(t testing.TB) Descriptors {
	t.Helper()
	data, err := proto.Marshal(shopProto)
	if err != nil {
		t.Fatal(err)
	}
	d, err := ReadDescriptors(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// shopMessage is the JSON of a message on the wire, by its name in shopProto; "" if it is
// none.
func shopMessage(t testing.TB, name protoreflect.Name, framed []byte) string {
	t.Helper()
	file, err := protodesc.NewFile(shopProto.File[0], nil)
	if err != nil {
		t.Fatal(err)
	}
	message := dynamicpb.NewMessage(file.Messages().ByName(name))
	if len(framed) < prefixed || framed[0] != 0 || int(binary.BigEndian.Uint32(framed[1:])) != len(framed)-prefixed || proto.Unmarshal(framed[prefixed:], message) != nil {
		return ""
	}
	text, err := protojson.Marshal(message)
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(text), " ", "")
}

// framed is a message on the wire.
func framed(message []byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message))), message...)
}

// calling attacks with a call.
func calling(t *testing.T, call GRPCSpec, change func(*RequestSpec)) func(*Attack) {
	t.Helper()
	return func(a *Attack) {
		a.Spec.Protocol = GRPC
		request := RequestSpec{GRPC: &call}
		if change != nil {
			change(&request)
		}
		a.Spec.Requests = []RequestSpec{request}
		spec, err := a.Spec.Describing(shopDescriptors(t))
		if err != nil {
			t.Fatal(err)
		}
		a.Spec = spec
	}
}

var getCart = GRPCSpec{Method: "shop.Carts/Get", Message: json.RawMessage(`{"sku":"a-{{.ID}}","n":3}`)}

// endWith ends a call as a server of gRPC does, after a message if there is one.
func endWith(w http.ResponseWriter, code int, text string, message []byte) {
	w.Header().Set("Content-Type", "application/grpc")
	if message != nil {
		_, _ = w.Write(framed(message))
	}
	prefix := http.TrailerPrefix
	if message == nil {
		prefix = "" // trailers-only: headers that end the answer
	}
	w.Header().Set(prefix+"Grpc-Status", strconv.Itoa(code))
	if text != "" {
		w.Header().Set(prefix+"Grpc-Message", text)
	}
}

var sevenInTotal = []byte{8, 7}

func TestCalls(t *testing.T) {
	asked := sync.Map{}
	dial, _ := serveH2(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		id := r.Header.Get("X-Request-Id")
		if got, want := shopMessage(t, "Ask", body), `{"sku":"a-`+id+`","n":3}`; got != want {
			t.Errorf("asked for %s, want %s", got, want)
		}
		if _, twice := asked.LoadOrStore(id, true); twice || r.Method != "POST" || r.URL.Path != "/shop.Carts/Get" || r.Host != "shop" ||
			r.Header.Get("Content-Type") != "application/grpc" || r.Header.Get("Te") != "trailers" || r.Header.Get("A") != "b" || r.ContentLength != int64(len(body)) {
			t.Errorf("%s %s%s with %v", r.Method, r.Host, r.URL, r.Header)
		}
		left, err := strconv.Atoi(strings.TrimSuffix(r.Header.Get("Grpc-Timeout"), "u"))
		if err != nil || left <= 0 || left > 5e6 {
			t.Errorf("grpc-timeout %q, want what is left of 5 s", r.Header.Get("Grpc-Timeout"))
		}
		endWith(w, 0, "", sevenInTotal)
		w.Header().Set(http.TrailerPrefix+"X-Version", "v1")
	})
	versions := &Versions{}
	versions.Learn("v1", history.Baseline)
	sink := attack(t, dial, func(a *Attack) {
		calling(t, getCart, func(r *RequestSpec) { r.Headers = map[string]string{"a": "b"} })(a)
		a.Spec.Rate = perSecond(500)
		a.Attribution = &Attribution{Source: VersionSource{Header: "X-Version"}, Versions: versions}
	})
	sink.each(t, "answered by the baseline, as its trailers say", func(r history.Request) bool {
		return r.Expected && r.Status == 200 && r.Err == "" && r.Name == "POST /shop.Carts/Get" && r.Attempts == 1 && r.Version == history.Baseline
	})
}

func TestCallsThatFail(t *testing.T) {
	expecting := func(codes ...int) func(*RequestSpec) {
		return func(r *RequestSpec) { r.Expect.GRPCStatus = codes }
	}
	for _, tt := range []struct {
		name   string
		expect func(*RequestSpec)
		answer http.HandlerFunc
		good   bool
		status int
		err    string
		body   string
	}{
		// How a call ends is in its trailers, or in the headers of an answer that has nothing else.
		{"a status in trailers", nil, func(w http.ResponseWriter, _ *http.Request) { endWith(w, 5, "no%20such%20cart", sevenInTotal) },
			false, 200, "grpc-status 5 (NOT_FOUND)", "no such cart"},
		{"trailers alone", nil, func(w http.ResponseWriter, _ *http.Request) { endWith(w, 14, "going down", nil) },
			false, 200, "grpc-status 14 (UNAVAILABLE)", "going down"},
		{"a status that nobody knows", nil, func(w http.ResponseWriter, _ *http.Request) { endWith(w, 99, "", nil) },
			false, 200, "grpc-status 99 (unknown)", ""},
		// What is expected is no error, and what went well is one if it is not.
		{"an expected status", expecting(0, 5), func(w http.ResponseWriter, _ *http.Request) { endWith(w, 5, "no", nil) }, true, 200, "", ""},
		{"none of those expected", expecting(5), func(w http.ResponseWriter, _ *http.Request) { endWith(w, 0, "", sevenInTotal) },
			false, 200, "grpc-status 0 (OK)", ""},
		// A gateway answers in HTTP.
		{"a gateway without a backend", nil, func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "no server", http.StatusServiceUnavailable)
		},
			false, 503, "", "no server\n"},
		{"a page", nil, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "welcome") },
			false, 200, "no grpc-status: the answer is not of gRPC, or has no end", "welcome"},
		// A call that went well has one message.
		{"no message", nil, func(w http.ResponseWriter, _ *http.Request) { endWith(w, 0, "", nil) }, false, 200, "grpc: no message in the answer", ""},
		{"two messages", nil, func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write(framed([]byte("x")))
			endWith(w, 0, "", []byte("y"))
		}, false, 200, "grpc: the body is not one message", "\x00\x00\x00\x00\x01x\x00\x00\x00\x00\x01y"},
		{"a message of 70 KiB", nil, func(w http.ResponseWriter, _ *http.Request) { endWith(w, 0, "", make([]byte, 70<<10)) }, true, 200, "", ""},
		{"a message that is too large", nil, func(w http.ResponseWriter, _ *http.Request) { endWith(w, 0, "", make([]byte, largestMessage+1)) },
			false, 200, "grpc: the message is larger than 4 MiB, which clients do not take", "*"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dial, _ := serveH2(t, tt.answer)
			attack(t, dial, func(a *Attack) { calling(t, getCart, tt.expect)(a); a.Spec.Rate = perSecond(30) }).each(t, "as it ended", func(r history.Request) bool {
				return r.Expected == tt.good && r.Status == tt.status && r.Err == tt.err && (r.Body == tt.body || tt.body == "*") && r.Sent.Happened()
			})
		})
	}
}

// A call that takes too long is given up at its timeout, which the server was told.
func TestCallsTimeOut(t *testing.T) {
	var told atomic.Value
	dial, _ := serveH2(t, func(_ http.ResponseWriter, r *http.Request) {
		told.Store(r.Header.Get("Grpc-Timeout"))
		<-r.Context().Done()
	})
	sink := attack(t, dial, func(a *Attack) { calling(t, getCart, nil)(a); impatient(a) })
	sink.each(t, "timed out", timedOut)
	if left, err := strconv.Atoi(strings.TrimSuffix(told.Load().(string), "u")); err != nil || left > 300_000 {
		t.Errorf("told %v, want 300 ms at most", told.Load())
	}
}

func TestProbeCalls(t *testing.T) {
	a := &Attack{Spec: valid()}
	calling(t, getCart, nil)(a)
	code := atomic.Int64{}
	dial, _ := serveH2(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Version", "v2")
		endWith(w, int(code.Load()), "broken", sevenInTotal)
	})
	if err := Probe(t.Context(), dial, GRPC, a.Spec.Requests[0]); err != nil {
		t.Error(err)
	}
	if version, err := ProbeVersion(t.Context(), dial, GRPC, a.Spec.Requests[0], VersionSource{Header: "X-Version"}); version != "v2" || err != nil {
		t.Errorf("version %q, %v", version, err)
	}
	code.Store(13)
	if err := Probe(t.Context(), dial, GRPC, a.Spec.Requests[0]); err == nil || !strings.Contains(err.Error(), "grpc-status 13 (INTERNAL): broken") {
		t.Errorf("error %v", err)
	}
}

func TestCallsRefused(t *testing.T) {
	for _, tt := range []struct {
		comment string
		call    GRPCSpec
		want    string
	}{
		{"no service", GRPCSpec{Method: "shop.Tills/Get"}, `load.requests[0].grpc.method "shop.Tills/Get": load.descriptors has no service "shop.Tills"`},
		{"no method", GRPCSpec{Method: "shop.Carts/Put"}, `service shop.Carts has no method "Put"`},
		{"a message", GRPCSpec{Method: "shop.Ask/Get"}, "shop.Ask is no service"},
		{"no slash", GRPCSpec{Method: "Get"}, `no service "Get"`},
		{"a stream", GRPCSpec{Method: "shop.Carts/Watch"}, "is a stream, and only unary calls are sent"},
		{"an unknown field", GRPCSpec{Method: "shop.Carts/Get", Message: json.RawMessage(`{"skus":1}`)}, "load.requests[0].grpc.message is no shop.Ask: "},
		{"another type", GRPCSpec{Method: "shop.Carts/Get", Message: json.RawMessage(`{"n":"many"}`)}, "load.requests[0].grpc.message is no shop.Ask: "},
	} {
		spec := valid()
		spec.Protocol, spec.Requests = GRPC, []RequestSpec{{GRPC: &tt.call}}
		if _, err := spec.Describing(shopDescriptors(t)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v, want %q", tt.comment, err, tt.want)
		}
	}
	for _, tt := range []struct {
		comment string
		spoil   func(*Spec)
		want    string
	}{
		{"as it is", func(*Spec) {}, ""},
		{"a path", func(s *Spec) { s.Requests[0].Path = "/cart" }, `path "/cart" is not that of grpc.method`},
		{"a body", func(s *Spec) { s.Requests[0].Body = "x" }, "body is grpc.message here"},
		{"a status of HTTP", func(s *Spec) { s.Requests[0].Expect.Status = []int{200} }, "write expect.grpcStatus"},
		{"a status that is none", func(s *Spec) { s.Requests[0].Expect.GRPCStatus = []int{17} }, "expect.grpcStatus 17 is no status of a call"},
		{"another protocol", func(s *Spec) { s.Protocol = H2C }, "grpc is written with protocol: grpc, and only then: this one is h2c"},
		{"a request of HTTP", func(s *Spec) { s.Requests = append(s.Requests, RequestSpec{Path: "/"}) }, "load.requests[1]: grpc is written with protocol: grpc"},
		{"answers compared", func(s *Spec) { s.Diff = &DiffSpec{Share: 1} }, "load.diff compares answers of HTTP"},
		{"another word", func(s *Spec) { s.Protocol = "h3" }, "use http1, h2c or grpc"},
	} {
		a := &Attack{Spec: valid()}
		calling(t, getCart, nil)(a)
		tt.spoil(&a.Spec)
		if err := a.Spec.Validate(); (err != nil) != (tt.want != "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v, want %q", tt.comment, err, tt.want)
		}
	}
	if _, err := ReadDescriptors(strings.NewReader("no descriptors")); err == nil || !strings.Contains(err.Error(), "make it with protoc") {
		t.Errorf("what is no set of descriptors: %v", err)
	}
	lacking := &descriptorpb.FileDescriptorSet{File: []*descriptorpb.FileDescriptorProto{{Name: new("a.proto"), Dependency: []string{"b.proto"}}}}
	data, _ := proto.Marshal(lacking)
	if _, err := ReadDescriptors(bytes.NewReader(data)); err == nil || !strings.Contains(err.Error(), "--include_imports") {
		t.Errorf("a set without its imports: %v", err)
	}
}

func TestGRPCTimeout(t *testing.T) {
	for left, want := range map[time.Duration]string{
		-time.Second: "0u", 0: "0u", 300 * time.Millisecond: "300000u", 99 * time.Second: "99000000u",
		100 * time.Second: "100000m", 24 * time.Hour: "86400000m", 365 * 24 * time.Hour: "99999999m",
	} {
		if got := grpcTimeout(left); got != want {
			t.Errorf("%s is %s, want %s", left, got, want)
		}
	}
}

// FuzzMessage encodes any JSON without a panic; what it encodes is one message.
func FuzzMessage(f *testing.F) {
	f.Add([]byte(`{"sku":"a","n":3}`))
	f.Add([]byte(`{"sku":null}`))
	f.Add([]byte(`{"n":1e3}`))
	d := shopDescriptors(f)
	f.Fuzz(func(t *testing.T, text []byte) {
		call := GRPCSpec{Method: "shop.Carts/Get", Message: text}
		if call.find(d.files) != nil {
			return
		}
		body, err := call.body("run-1")
		if err == nil && shopMessage(t, "Ask", body) == "" {
			t.Errorf("%q is encoded as %x", text, body)
		}
	})
}

// FuzzAnswerToCall judges anything without a panic, and takes nothing for good that does
// not say so.
func FuzzAnswerToCall(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 2, 8, 7}, "0", "")
	f.Add([]byte{}, "14", "going%20down")
	f.Add([]byte{1, 0xff, 0xff, 0xff, 0xff}, "0", "%")
	f.Fuzz(func(t *testing.T, body []byte, status, text string) {
		a := answer{trailer: http.Header{"Grpc-Status": {status}, "Grpc-Message": {text}}, body: body, size: int64(len(body))}
		expected, err := (ExpectSpec{}).judge(200, &a)
		code, _ := strconv.Atoi(status)
		if expected == (err != nil) || expected && (code != 0 || len(body) < prefixed || int(binary.BigEndian.Uint32(body[1:])) != len(body)-prefixed) {
			t.Errorf("%x with status %q: %v, %v", body, status, expected, err)
		}
	})
}
