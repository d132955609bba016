// Shop is a small service to release: a cart that is read and orders that are
// written. It is as good or as bad as its environment says, so that scenarios can
// tell a version from another and have one misbehave.
//
//	GET  /cart    200 and a cart, as JSON
//	POST /orders  201 and the order, as JSON
//	POST /judge   a webhook for gates: whether a candidate has failed too much
//	PUT  /ledger/KEY  201, and keeps the key; GET finds it, or says 404
//	GET  /moved   302 to /cart
//	GET  /metrics requests and their durations, for Prometheus
//	GET  /ready   200 when it wants traffic, 503 when it does not
//	GET  /live    200 as long as it runs
//	shop.Carts/Get  a cart, as a unary call of gRPC; its descriptors are in shop.pb
//
// It speaks HTTP/1.1 and, with clients that know of it beforehand, HTTP/2 without TLS.
//
// `shop check PATH` asks the shop on this machine, and exits with 1 if it does not answer well.
//
// The environment:
//
//	PORT         the port it listens on; 8080
//	VERSION      told in every answer as X-Version; without one, answers tell nothing
//	LATENCY      how long it thinks before it answers, such as 200ms; 0s
//	AT_ONCE      how many requests it can think about at once, the others wait; any number
//	ERROR_RATE   the share of answers that are 500 instead, such as 5%; 0%
//	SEED         of the chance that chooses them, together with the host's name; 1
//	BLACK_HOLE   true: accepts carts and orders and never answers them, yet stays ready; false
//	READY        false: never wants traffic; true
//	START_DELAY  how long it takes to start listening, such as 10s; 0s
//	WARM_UP      how long it listens before it can serve, such as 10s: 503 until then; 0s
//	COLD         how many requests it answers with 503 before it can serve; 0
//	SEAT         a file that shops share: the first that is asked for anything takes it, all others answer 503; none
//	STORE        host:port of a Redis that counts the orders and keeps the ledger; without one, each shop has its own
//	TOTAL        what it says that the cart costs, which is 7
//
// LATENCY, AT_ONCE, ERROR_RATE, BLACK_HOLE and STORE leave /ready, /metrics and /judge alone; nothing changes /live. On SIGTERM it takes no new
// connections, finishes the requests in flight and ends; what hangs in the black
// hole is cut off after 5 s.
package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// lastCall is how long requests in flight have to finish.
const lastCall = 5 * time.Second

func main() {
	config, err := readConfig(os.Getenv)
	switch {
	case err != nil:
	case len(os.Args) == 3 && os.Args[1] == "check":
		err = check(config, os.Args[2])
	default:
		err = serve(config)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "shop:", err)
		os.Exit(1)
	}
}

// check asks the shop on this machine for a path.
func check(config config, path string) error {
	ctx, cancel := context.WithTimeout(context.Background(), lastCall)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://127.0.0.1:"+config.port+path, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("GET %s: %s", path, response.Status)
	}
	return nil
}

func newServer(config config) *http.Server {
	spoken := new(http.Protocols)
	spoken.SetHTTP1(true)
	spoken.SetUnencryptedHTTP2(true)
	return &http.Server{Addr: ":" + config.port, Handler: newShop(config), ReadHeaderTimeout: 10 * time.Second, Protocols: spoken}
}

// serve runs the shop until it is told to end.
func serve(config config) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	select {
	case <-time.After(config.startDelay):
	case <-ctx.Done():
		return nil
	}
	server := newServer(config)
	failed := make(chan error, 1)
	go func() { failed <- server.ListenAndServe() }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	finish, cancel := context.WithTimeout(context.Background(), lastCall)
	defer cancel()
	if err := server.Shutdown(finish); errors.Is(err, context.DeadlineExceeded) {
		return server.Close()
	} else if err != nil {
		return err
	}
	return nil
}
