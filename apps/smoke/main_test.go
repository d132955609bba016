package main

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestSmoke(t *testing.T) {
	for _, row := range []struct {
		name        string
		cart, order string
		status      int
		want        bool // right
	}{
		// HAPPY.
		{"right", `{"total":7}`, `{"order":3}`, 201, true},
		// SAD: a wrong body with a right status.
		{"wrong total", `{"total":0}`, `{"order":3}`, 201, false},
		{"no number", `{"total":7}`, `{}`, 201, false},
		{"no JSON", `<html>`, `{"order":3}`, 201, false},
		// SAD: a wrong status.
		{"error", `{"total":7}`, `{"order":3}`, 500, false},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost {
				w.WriteHeader(row.status)
				_, _ = fmt.Fprint(w, row.order)
				return
			}
			_, _ = fmt.Fprint(w, row.cart)
		}))
		err := smoke(t.Context(), server.URL, 7)
		server.Close()
		var wrong wrongError
		if row.want != (err == nil) || err != nil && !errors.As(err, &wrong) {
			t.Errorf("%s: %v", row.name, err)
		}
	}
	// No answer is not a wrong one.
	var wrong wrongError
	if err := smoke(t.Context(), "http://127.0.0.1:1", 7); err == nil || errors.As(err, &wrong) {
		t.Errorf("nobody there: %v", err)
	}
}
