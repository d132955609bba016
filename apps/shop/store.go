package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"
)

// patience is how long the store has for an answer.
const patience = time.Second

// store counts orders in a Redis, so that all pods of all versions go on from one
// another's.
type store struct {
	address string

	mu      sync.Mutex // one exchange at a time
	conn    net.Conn   // nil until it is needed, and after a failure
	answers *bufio.Reader
}

// order counts one more and returns its number.
func (s *store) order(ctx context.Context) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	number, err := s.exchange(ctx)
	if err != nil && s.conn != nil {
		s.conn.Close()
		s.conn = nil
	}
	return number, err
}

// exchange sends INCR in Redis's protocol and reads the number that comes back.
func (s *store) exchange(ctx context.Context) (int64, error) {
	if s.conn == nil {
		conn, err := (&net.Dialer{Timeout: patience}).DialContext(ctx, "tcp", s.address)
		if err != nil {
			return 0, err
		}
		s.conn, s.answers = conn, bufio.NewReader(conn)
	}
	if err := s.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return 0, err
	}
	if _, err := s.conn.Write([]byte("*2\r\n$4\r\nINCR\r\n$6\r\norders\r\n")); err != nil {
		return 0, err
	}
	answer, err := s.answers.ReadString('\n')
	if err != nil {
		return 0, err
	}
	digits, isNumber := strings.CutPrefix(strings.TrimSpace(answer), ":")
	if !isNumber {
		return 0, fmt.Errorf("the store says %q", strings.TrimSpace(answer))
	}
	return strconv.ParseInt(digits, 10, 64)
}
