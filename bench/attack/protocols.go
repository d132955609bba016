package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/cutover-dev/cutover/bench"
	"github.com/cutover-dev/cutover/bench/stalls"
	"github.com/cutover-dev/cutover/loadgen"
)

// streamRate is in requests a second, evenly spaced.
const streamRate = 5000

// protocolRows are about HTTP/2 and gRPC: when requests are handed to their connection, by
// the tool's own record, and whether its books are right. The server is package net/http's:
// what it stamps is later than what came.
func protocolRows(ctx context.Context, l *lab, s sizes) (rows []bench.Row, err error) {
	lab, err := newLab(ctx, "streams", l.watched, l.peersAt)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, lab.close()) }()
	for _, protocol := range []string{loadgen.H2C, loadgen.GRPC} {
		began := stalls.Monotonic()
		var ours, peer, read tails
		var all sums
		for round := range s.rounds {
			j := job{Rate: streamRate, Protocol: protocol, Lasting: s.lasting, Seed: int64(round + 1)}
			for _, role := range turns(round) {
				if role == "vegeta" && protocol == loadgen.GRPC {
					continue
				}
				o, was, err := lab.run(ctx, role, manner{Room: j.room()}, j)
				if err != nil {
					return nil, err
				}
				released := join(j.planned(), o, ownStamps(o), l.watched)
				if role == "vegeta" {
					peer.add(released)
					continue
				}
				ours.add(released)
				read.add(join(j.planned(), o, was, l.watched))
				all = all.plus(account(j.planned(), o, was, false))
			}
		}
		name := fmt.Sprintf("over %s at %d/s", protocol, streamRate)
		released := bench.Judge("p99 of the release error by the tool's own record, "+name+"; beside vegeta's", bench.AtMost(100, "µs"),
			bench.Samples{Ours: ours.p99, Peer: peer.p99}, "")
		beside := "vegeta " + peer.String()
		if protocol == loadgen.GRPC {
			beside = "vegeta does not speak it"
		}
		released.Because = fmt.Sprintf("%s: ours %s; as the server reads them: %s; %s; %s", name, ours, read, beside, l.told(began))
		books := bench.Judge("requests that the books do not account for, "+name, bench.AtMost(0, "requests"), bench.Samples{Ours: []float64{float64(all.wrong)}}, "")
		books.Because = name + ": " + all.String()
		rows = append(rows, released, books)
	}
	return rows, nil
}

// ownStamps are what a sink would have seen that reads requests as the tool sends them.
func ownStamps(o outcome) (own seen) {
	for i, sent := range o.Sent {
		if sent != never {
			own.Seq, own.At = append(own.Seq, int64(i)), append(own.At, sent)
		}
	}
	return own
}

// call is the one that the sink answers: nothing is asked, and nothing said.
func call(spec loadgen.Spec) (loadgen.Spec, error) {
	empty := protodesc.ToFileDescriptorProto(emptypb.File_google_protobuf_empty_proto)
	name := new(".google.protobuf.Empty")
	service := &descriptorpb.FileDescriptorProto{
		Name: new("sink.proto"), Package: new("bench"), Syntax: new("proto3"), Dependency: []string{empty.GetName()},
		Service: []*descriptorpb.ServiceDescriptorProto{{
			Name:   new("Sink"),
			Method: []*descriptorpb.MethodDescriptorProto{{Name: new("Ask"), InputType: name, OutputType: name}},
		}},
	}
	set, err := proto.Marshal(&descriptorpb.FileDescriptorSet{File: []*descriptorpb.FileDescriptorProto{empty, service}})
	if err != nil {
		return spec, err
	}
	descriptors, err := loadgen.ReadDescriptors(bytes.NewReader(set))
	if err != nil {
		return spec, err
	}
	spec.Requests = []loadgen.RequestSpec{{GRPC: &loadgen.GRPCSpec{Method: "bench.Sink/Ask"}}}
	return spec.Describing(descriptors)
}
