package loadgen

import (
	"context"
	"net/http"
	"sync"
	"time"
)

// goroutineAsks asks for a mirror by package net/http, each trial on a goroutine of its own.
type goroutineAsks struct {
	mirror    *mirror
	fill      bool // {{.ID}} stands for the id
	host      string
	timeout   time.Duration
	transport *http.Transport
	underway  sync.WaitGroup
}

// asker goes the same way as users' requests, for another mirror.
func (g *goroutines) asker(m *mirror) (asker, error) {
	g.asks = &goroutineAsks{
		mirror: m, fill: g.spec.Replay == nil, // what was recorded is sent as it was
		host: g.attack.Host, timeout: g.spec.Timeout.D(),
		transport: &http.Transport{
			DialContext: stampedDial(m.direct.Dial, g.spec.Timeout.D()), DisableCompression: true, Protocols: protocols(g.spec.Protocol),
			MaxIdleConnsPerHost: askedAtOnce, IdleConnTimeout: 10 * time.Second,
		},
	}
	return g.asks, nil
}

// finish returns when all are asked.
func (g *goroutineAsks) finish() {
	g.underway.Wait()
	g.transport.CloseIdleConnections()
}

func (g *goroutineAsks) ask(t *trial) {
	if g.fill {
		t.request.fill()
	}
	g.underway.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), g.timeout)
		defer cancel()
		for {
			if err := g.askNext(ctx, t); err != nil {
				g.mirror.drop(t, t.silence())
				return
			}
			if !t.answered() {
				g.mirror.came <- t
				return
			}
		}
	})
}

func (g *goroutineAsks) askNext(ctx context.Context, t *trial) error {
	request, err := newRequest(&t.request.target, t.request.id)
	if err != nil {
		return err
	}
	request.URL.Host, request.Host = t.next(), g.host
	response, err := g.transport.RoundTrip(request.WithContext(ctx))
	if err != nil {
		return err
	}
	defer response.Body.Close()
	return t.reply().read(response)
}
