package main

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

// answering listens as a store that gives each order the next of the answers, and
// then closes.
func answering(t *testing.T, answers ...string) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return // the test is over
			}
			for lines := bufio.NewScanner(conn); len(answers) > 0 && asked(lines); answers = answers[1:] {
				_, _ = io.WriteString(conn, answers[0]) // the shop may have left
			}
			conn.Close()
		}
	}()
	return listener.Addr().String()
}

// asked reads one command: *2, $4, INCR, $6, orders.
func asked(lines *bufio.Scanner) bool {
	if !lines.Scan() {
		return false
	}
	words, err := strconv.Atoi(strings.TrimPrefix(lines.Text(), "*"))
	for range 2 * words {
		if !lines.Scan() {
			return false
		}
	}
	return err == nil
}

func TestLedger(t *testing.T) {
	for _, row := range []struct {
		why, request, answer string
		status               int
	}{
		{"kept in the store", "PUT /ledger/a", ":1\r\n", http.StatusCreated},
		{"there", "GET /ledger/a", ":1\r\n", http.StatusOK},
		{"not there", "GET /ledger/a", ":0\r\n", http.StatusNotFound},
		{"the store refuses to keep it", "PUT /ledger/a", "-READONLY\r\n", http.StatusServiceUnavailable},
		// Nobody knows: that is not to say that it is lost.
		{"the store is lost", "GET /ledger/a", "", http.StatusServiceUnavailable},
	} {
		method, path, _ := strings.Cut(row.request, " ")
		if w := get(t, method, path, "STORE="+answering(t, row.answer)); w.Code != row.status {
			t.Errorf("%s: got %d, %q", row.why, w.Code, w.Body)
		}
	}
	// Without a store it is the shop's own.
	alone := &own{}
	if err := alone.keep(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]bool{"a": true, "b": false} {
		if there, err := alone.has(t.Context(), key); there != want || err != nil {
			t.Errorf("%s: got %v, %v", key, there, err)
		}
	}
}

func TestOrdersAreKeptInTheStore(t *testing.T) {
	for _, row := range []struct {
		why    string
		answer string
		status int
		body   string
	}{
		{"the store counts", ":41\r\n", http.StatusCreated, "{\"order\":41}\n"},
		{"the store refuses", "-READONLY no writes here\r\n", http.StatusServiceUnavailable, "no order without the store\n"},
		{"the store talks nonsense", "hello\r\n", http.StatusServiceUnavailable, "no order without the store\n"},
		{"the store hangs up", "", http.StatusServiceUnavailable, "no order without the store\n"},
	} {
		w := get(t, "POST", "/orders", "STORE="+answering(t, row.answer))
		if w.Code != row.status || w.Body.String() != row.body {
			t.Errorf("%s: got %d, %q", row.why, w.Code, w.Body)
		}
	}
}

func TestStoreIsNeededForOrdersOnly(t *testing.T) {
	const nobody = "STORE=127.0.0.1:1"
	for request, status := range map[string]int{"GET /cart": 200, "GET /ready": 200, "POST /orders": 503} {
		method, path, _ := strings.Cut(request, " ")
		if w := get(t, method, path, nobody); w.Code != status {
			t.Errorf("%s: got %d", request, w.Code)
		}
	}
}

// A connection that broke is not used again.
func TestStoreComesBack(t *testing.T) {
	s := &store{address: answering(t, ":1\r\n", "-LOADING\r\n", ":2\r\n")}
	for i, want := range []int64{1, 0, 2} {
		got, err := s.order(t.Context())
		if got != want || (err != nil) != (want == 0) {
			t.Errorf("order %d: got %d, %v", i, got, err)
		}
	}
}
