package main

import (
	"slices"
	"sync"
	"time"
)

// warmup is how many of the first runs no latency is told of.
const warmup = 5

// Record is what a worker has seen of the runs it is to see.
type Record struct {
	mutex     sync.Mutex
	handled   int64
	first     time.Time
	last      time.Time
	distinct  map[int64]struct{}
	latencies []int64
	runs      int64
	complete  chan struct{}
}

func newRecord(runs int64) *Record {
	return &Record{runs: runs, distinct: map[int64]struct{}{}, complete: make(chan struct{})}
}

// Seen notes that a run's handler has started.
func (r *Record) Seen(run Run) {
	now := time.Now()
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if r.handled == 0 {
		r.first = now
	}
	r.handled++
	r.last = now
	if _, again := r.distinct[run.ID]; !again {
		if r.distinct[run.ID] = struct{}{}; int64(len(r.distinct)) == r.runs {
			close(r.complete)
		}
	}
	r.latencies = append(r.latencies, now.UnixMicro()-run.Time)
}

// finish waits until all runs are handled and stored as done, or until limit, and tells what was seen.
func (r *Record) finish(peer Peer, limit time.Time) {
	select {
	case <-r.complete:
	case <-time.After(time.Until(limit)):
	}
	left := peer.Left()
	for left > 0 && time.Now().Before(limit) {
		time.Sleep(time.Millisecond)
		left = peer.Left()
	}
	stored := time.Now()
	time.Sleep(500 * time.Millisecond) // a run that comes twice may do so late
	r.mutex.Lock()
	latencies := slices.Clone(r.latencies[min(warmup, len(r.latencies)):])
	told := map[string]any{"handled": r.handled, "distinct": len(r.distinct), "left": left,
		"first": seconds(r.first), "last": seconds(r.last), "stored": seconds(stored)}
	r.mutex.Unlock()
	if slices.Sort(latencies); len(latencies) > 0 {
		told["p50"] = float64(latencies[len(latencies)/2]) / 1e3
		told["p99"] = float64(latencies[len(latencies)*99/100]) / 1e3
	}
	finish(told)
}
