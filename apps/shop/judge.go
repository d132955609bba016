package main

import (
	"encoding/json"
	"fmt"
	"net/http"
)

// inquiry is what a gate's webhook is asked, as far as it matters here.
type inquiry struct {
	Versions struct {
		Candidate struct{ N, Errors int }
	}
}

// Enough requests to judge by, and the share of them that may fail.
const (
	enough    = 20
	tolerable = 0.01
)

// judge is a webhook for gates, as somebody would write it who has never seen one.
func judge(w http.ResponseWriter, r *http.Request) {
	var asked inquiry
	if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
		http.Error(w, "no inquiry: "+err.Error(), http.StatusBadRequest)
		return
	}
	c := asked.Versions.Candidate
	verdict := map[string]any{"status": "pass", "because": fmt.Sprintf("%d of %d requests failed", c.Errors, c.N)}
	switch {
	case c.N < enough:
		verdict["status"] = "no-data"
	case float64(c.Errors) > tolerable*float64(c.N):
		verdict["status"] = "fail"
	}
	reply(w, http.StatusOK, verdict)
}
