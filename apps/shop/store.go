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

// store counts orders and keeps the ledger in a Redis, so that all pods of all versions
// go on from one another's.
type store struct {
	address string

	mu      sync.Mutex // one exchange at a time
	conn    net.Conn   // nil until it is needed, and after a failure
	answers *bufio.Reader
}

// order counts one more and returns its number.
func (s *store) order(ctx context.Context) (int64, error) { return s.ask(ctx, "INCR", "orders") }

// keep writes a key into the ledger.
func (s *store) keep(ctx context.Context, key string) error {
	_, err := s.ask(ctx, "SADD", "ledger", key)
	return err
}

// has reports whether the ledger has a key.
func (s *store) has(ctx context.Context, key string) (bool, error) {
	number, err := s.ask(ctx, "SISMEMBER", "ledger", key)
	return number == 1, err
}

// ask sends a command and returns the number that answers it.
func (s *store) ask(ctx context.Context, command ...string) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	number, err := s.exchange(ctx, command)
	if err != nil && s.conn != nil {
		s.conn.Close()
		s.conn = nil
	}
	return number, err
}

// exchange sends a command in Redis's protocol and reads the number that comes back.
func (s *store) exchange(ctx context.Context, command []string) (int64, error) {
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
	sent := fmt.Appendf(nil, "*%d\r\n", len(command))
	for _, word := range command {
		sent = fmt.Appendf(sent, "$%d\r\n%s\r\n", len(word), word)
	}
	if _, err := s.conn.Write(sent); err != nil {
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
