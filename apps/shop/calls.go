package main

import (
	"encoding/binary"
	"net/http"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
)

// The statuses of calls that a shop gives: OK, INTERNAL and UNAVAILABLE.
const (
	callOK          = 0
	callInternal    = 13
	callUnavailable = 14
)

// isCall tells a call of gRPC from a request.
func isCall(r *http.Request) bool {
	return strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc")
}

// getCart is the call that GET /cart is over HTTP: shop.Carts/Get of shop.pb. What is asked
// for does not matter here.
func (s *shop) getCart(w http.ResponseWriter, _ *http.Request) {
	var cart []byte
	for _, item := range items {
		cart = protowire.AppendTag(cart, 1, protowire.BytesType)
		cart = protowire.AppendString(cart, item)
	}
	cart = protowire.AppendTag(cart, 2, protowire.VarintType)
	cart = protowire.AppendVarint(cart, uint64(s.total))
	answerCall(w, cart)
}

// answerCall sends one message, behind its prefix: not compressed, and how long it is. How the
// call went is told in the trailer.
func answerCall(w http.ResponseWriter, message []byte) {
	w.Header().Set("Content-Type", "application/grpc")
	_, _ = w.Write(append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message))), message...)) // the client has left: nobody to tell
	w.Header().Set(http.TrailerPrefix+"Grpc-Status", strconv.Itoa(callOK))
}

// refuse answers with an error, in the manner that the client understands. A call is answered
// in its headers alone.
func refuse(w http.ResponseWriter, r *http.Request, status int, reason string) {
	if !isCall(r) {
		http.Error(w, reason, status)
		return
	}
	code := callInternal
	if status == http.StatusServiceUnavailable {
		code = callUnavailable
	}
	w.Header().Set("Content-Type", "application/grpc")
	w.Header().Set("Grpc-Status", strconv.Itoa(code))
	w.Header().Set("Grpc-Message", reason) // of letters and spaces, which stand for themselves
}
