package main

import (
	"bytes"
	"encoding/binary"
	"flag"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
)

var update = flag.Bool("update", false, "write shop.pb")

// described is shop.pb: what protoc would make of
//
//	syntax = "proto3";
//	package shop;
//	service Carts { rpc Get(Asked) returns (Cart); }
//	message Asked { string sku = 1; }
//	message Cart { repeated string items = 1; int64 total = 2; }
func described() *descriptorpb.FileDescriptorSet {
	field := func(name string, number int32, kind descriptorpb.FieldDescriptorProto_Type, label descriptorpb.FieldDescriptorProto_Label) *descriptorpb.FieldDescriptorProto {
		return &descriptorpb.FieldDescriptorProto{Name: &name, JsonName: &name, Number: &number, Type: &kind, Label: &label}
	}
	const (
		text     = descriptorpb.FieldDescriptorProto_TYPE_STRING
		number   = descriptorpb.FieldDescriptorProto_TYPE_INT64
		one      = descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL
		repeated = descriptorpb.FieldDescriptorProto_LABEL_REPEATED
	)
	return &descriptorpb.FileDescriptorSet{File: []*descriptorpb.FileDescriptorProto{{
		Name: new("shop.proto"), Package: new("shop"), Syntax: new("proto3"),
		MessageType: []*descriptorpb.DescriptorProto{
			{Name: new("Asked"), Field: []*descriptorpb.FieldDescriptorProto{field("sku", 1, text, one)}},
			{Name: new("Cart"), Field: []*descriptorpb.FieldDescriptorProto{field("items", 1, text, repeated), field("total", 2, number, one)}},
		},
		Service: []*descriptorpb.ServiceDescriptorProto{{
			Name:   new("Carts"),
			Method: []*descriptorpb.MethodDescriptorProto{{Name: new("Get"), InputType: new(".shop.Asked"), OutputType: new(".shop.Cart")}},
		}},
	}}}
}

func TestDescriptors(t *testing.T) {
	want, err := proto.MarshalOptions{Deterministic: true}.Marshal(described())
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("shop.pb", want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile("shop.pb"); err != nil || !bytes.Equal(got, want) {
		t.Errorf("shop.pb is not what is described (%v): run the test with -update", err)
	}
}

// over starts a shop as it is served, and returns its address and a client of HTTP/2 without TLS.
func over(t *testing.T, words ...string) (string, *http.Client) {
	t.Helper()
	config, err := readConfig(environ(words...))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(nil)
	server.Config = newServer(config)
	server.Start()
	t.Cleanup(server.Close)
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(transport.CloseIdleConnections)
	return server.URL, &http.Client{Transport: transport}
}

func TestCalls(t *testing.T) {
	files, err := protodesc.NewFiles(described())
	if err != nil {
		t.Fatal(err)
	}
	cart, err := files.FindDescriptorByName("shop.Cart")
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		comment string
		env     []string
		status  string // of the call
	}{
		{"a good one", []string{"VERSION=v1", "TOTAL=300"}, "0"},
		{"an unlucky one", []string{"VERSION=v1", "ERROR_RATE=100%"}, "13"},
		{"a cold one", []string{"VERSION=v1", "COLD=1"}, "14"},
	} {
		at, client := over(t, row.env...)
		response, err := client.Post(at+"/shop.Carts/Get", "application/grpc", bytes.NewReader(make([]byte, 5)))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		status := response.Trailer.Get("Grpc-Status") + response.Header.Get("Grpc-Status")
		if err != nil || response.StatusCode != 200 || response.ProtoMajor != 2 || status != row.status || response.Header.Get("X-Version") != "v1" {
			t.Errorf("%s: %s %s, grpc-status %q, want %s; %v, %v", row.comment, response.Proto, response.Status, status, row.status, response.Header, err)
			continue
		}
		if row.status != "0" {
			if len(body) > 0 || response.Header.Get("Grpc-Message") == "" {
				t.Errorf("%s: %q, and %q is said of it", row.comment, body, response.Header.Get("Grpc-Message"))
			}
			continue
		}
		message := dynamicpb.NewMessage(cart.(protoreflect.MessageDescriptor))
		if err := proto.Unmarshal(body[5:], message); err != nil || int(binary.BigEndian.Uint32(body[1:])) != len(body)-5 || !strings.Contains(message.String(), "300") || !strings.Contains(message.String(), "biscuits") {
			t.Errorf("%s: %q is %v (%v)", row.comment, body, message, err)
		}
	}
}

// What is asked for over HTTP is answered over both versions of it.
func TestBothVersionsOfHTTP(t *testing.T) {
	at, client := over(t)
	for major, by := range map[int]*http.Client{1: http.DefaultClient, 2: client} {
		response, err := by.Get(at + "/cart")
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != 200 || response.ProtoMajor != major {
			t.Errorf("%s over %s, want HTTP/%d", response.Status, response.Proto, major)
		}
	}
}
