package main

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics are what a shop tells Prometheus of its requests.
type metrics struct {
	registry  *prometheus.Registry
	requests  *prometheus.CounterVec
	durations *prometheus.HistogramVec
}

func newMetrics() metrics {
	m := metrics{
		registry:  prometheus.NewRegistry(),
		requests:  prometheus.NewCounterVec(prometheus.CounterOpts{Name: "shop_requests_total", Help: "Requests that were answered."}, []string{"code", "method"}),
		durations: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "shop_request_duration_seconds", Help: "How long answers took.", Buckets: prometheus.DefBuckets}, nil),
	}
	m.registry.MustRegister(m.requests, m.durations)
	return m
}

// of counts what a handler answers.
func (m metrics) of(handler http.HandlerFunc) http.Handler {
	return promhttp.InstrumentHandlerCounter(m.requests, promhttp.InstrumentHandlerDuration(m.durations, handler))
}

func (m metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}
