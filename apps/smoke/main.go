// Smoke is a test of the shop for a Job in the cluster: it orders and looks at the
// cart of the candidate, and ends with 0 if both are right, with 1 if not, and with
// 126 if it gets no answer to judge by.
//
// Its arguments: --total, what a cart must cost. From the environment it takes
// CUTOVER_CANDIDATE_URL, which a gate of cutover sets.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"
)

// Exit codes beside 0.
const (
	exitBad   = 1
	exitNoUse = 126
)

// within bounds the whole test.
const within = 10 * time.Second

func main() {
	total := flag.Int("total", 7, "what a cart must cost")
	flag.Parse()
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	err := smoke(ctx, os.Getenv("CUTOVER_CANDIDATE_URL"), *total)
	var wrong wrongError
	switch {
	case err == nil:
		fmt.Println("a cart and an order are right")
	case errors.As(err, &wrong):
		fmt.Println(err)
		os.Exit(exitBad)
	default:
		fmt.Println(err)
		os.Exit(exitNoUse)
	}
}

// wrongError is an answer that is not right, as opposed to none.
type wrongError string

func (e wrongError) Error() string { return string(e) }

func smoke(ctx context.Context, url string, total int) error {
	var cart struct{ Total int }
	if err := ask(ctx, http.MethodGet, url+"/cart", "", http.StatusOK, &cart); err != nil {
		return err
	}
	if cart.Total != total {
		return wrongError(fmt.Sprintf("the cart costs %d, and must cost %d", cart.Total, total))
	}
	var order struct{ Order int }
	if err := ask(ctx, http.MethodPost, url+"/orders", `{"sku":1}`, http.StatusCreated, &order); err != nil {
		return err
	}
	if order.Order < 1 {
		return wrongError("the order has no number")
	}
	return nil
}

// ask sends a request and reads the answer, which must have the status.
func ask(ctx context.Context, method, url, body string, status int, into any) error {
	request, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != status {
		return wrongError(fmt.Sprintf("%s %s: %d, and must be %d", method, url, response.StatusCode, status))
	}
	if err := json.NewDecoder(response.Body).Decode(into); err != nil {
		return wrongError(fmt.Sprintf("%s %s: %v", method, url, err))
	}
	return nil
}
