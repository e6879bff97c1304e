package main

import (
	"context"
	"iter"
	"time"
)

// stream is one that is read only as far as the runner asks, and one item ahead.
type stream struct {
	items  chan read
	cancel context.CancelFunc
	err    error // that the stream ended with, not told yet
}

type read struct {
	item any
	err  error
}

// reading begins to read what the client answered; cancel ends that.
func reading[Item any](ctx context.Context, cancel context.CancelFunc, items iter.Seq2[Item, error]) *stream {
	s := &stream{items: make(chan read), cancel: cancel}
	go func() {
		defer close(s.items)
		for item, err := range items {
			select {
			case s.items <- read{item, err}:
			case <-ctx.Done():
				return
			}
		}
	}()
	return s
}

// take is the next items: so many of them, or as many as come in time or until the end.
func (s *stream) take(count int, timeout time.Duration) ([]any, error) {
	taken := []any{}
	late := time.After(timeout)
	for s.err == nil && (count < 0 || len(taken) < count) {
		select {
		case next, ok := <-s.items:
			if !ok {
				return taken, nil
			}
			if next.err != nil {
				s.err = next.err
			} else {
				taken = append(taken, next.item)
			}
		case <-late:
			return taken, nil
		}
	}
	if s.err != nil && len(taken) == 0 {
		return nil, s.err
	}
	return taken, nil
}
