package main

import (
	"maps"
	"sync"
	"time"
)

// story is when each phase of a start was over. Several goroutines tell it.
type story struct {
	telling sync.Mutex
	began   time.Time
	over    map[string]float64 // seconds since it began
}

func (s *story) begin(at time.Time) {
	s.telling.Lock()
	defer s.telling.Unlock()
	s.began, s.over = at, map[string]float64{}
}

// mark tells that a phase was over at an instant. The first time counts.
func (s *story) mark(phase string, at time.Time) {
	s.telling.Lock()
	defer s.telling.Unlock()
	if _, told := s.over[phase]; !told {
		s.over[phase] = at.Sub(s.began).Seconds()
	}
}

// soFar is what has been told.
func (s *story) soFar() map[string]float64 {
	s.telling.Lock()
	defer s.telling.Unlock()
	return maps.Clone(s.over)
}
