package apiproxy

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"
)

// Interceptor is told of each request, from many goroutines at once.
type Interceptor interface {
	// Before is told of a request that has come and was not passed on; it stays so
	// until Before returns, and then as the ruling says. ctx ends when the writer
	// goes away.
	Before(ctx context.Context, request Request) Ruling
	// After is told of an answer that was not given yet. It stays so until After
	// returns.
	After(ctx context.Context, request Request, response Response)
}

// Ruling is what becomes of a request. The zero value lets it pass.
type Ruling struct {
	Delay time.Duration // before it is passed on
	Hold  <-chan struct{}
	// Fail is the HTTP status that it is answered with instead of being passed on,
	// 400 to 599.
	Fail int
	// Drop cuts the connection instead, without an answer.
	Drop bool
}

// With is both rulings on one request.
func (r Ruling) With(o Ruling) Ruling {
	if r.Hold == nil {
		r.Hold = o.Hold
	}
	return Ruling{Delay: r.Delay + o.Delay, Hold: r.Hold, Fail: cmp.Or(r.Fail, o.Fail), Drop: r.Drop || o.Drop}
}

// String says what becomes of the request; "" if it passes.
func (r Ruling) String() string {
	var said []string
	if r.Delay > 0 {
		said = append(said, "delayed by "+r.Delay.String())
	}
	if r.Hold != nil {
		said = append(said, "held")
	}
	switch {
	case r.Drop:
		said = append(said, "cut off")
	case r.Fail != 0:
		said = append(said, fmt.Sprintf("answered with %d in place of the API server", r.Fail))
	}
	return strings.Join(said, ", ")
}

// wait returns when the request may go on; false if its writer went away.
func (r Ruling) wait(ctx context.Context) bool {
	if r.Delay > 0 {
		timer := time.NewTimer(r.Delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return false
		}
	}
	if r.Hold != nil {
		select {
		case <-r.Hold:
		case <-ctx.Done():
			return false
		}
	}
	return ctx.Err() == nil
}

// Response is how the API server answered.
type Response struct {
	Status int // HTTP's; 0 if there was no answer
	// Step is its number among the writes that took effect, from 1; 0 if it is none:
	// Because says why.
	Step    int
	Because string
	// Before and After are the object's resourceVersion; "" if there was, or is, none,
	// or if it is not known.
	Before, After string
}

// Pass lets everything pass.
type Pass struct{}

// Before implements Interceptor.
func (Pass) Before(context.Context, Request) Ruling { return Ruling{} }

// After implements Interceptor.
func (Pass) After(context.Context, Request, Response) {}
