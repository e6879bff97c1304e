// The drivers that are written in Go: `peers PEER SCENARIO [NUMBER...]`, in the protocol of ../README.md.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"log"
	"math/rand"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const batch = 1000

// Run is the payload of a run, about 100 bytes of JSON.
type Run struct {
	ID   int64  `json:"id"`
	Time int64  `json:"time"` // when it was enqueued, µs since the epoch
	Text string `json:"text"`
}

func newRun(id int64) Run { return Run{id, time.Now().UnixMicro(), strings.Repeat("x", 60)} }

// Kind names the kind of job; River asks for it.
func (Run) Kind() string { return "noop" }

// Peer is what a queue is asked to do.
type Peer interface {
	Setup()
	// Producer returns a function that enqueues one run, for so many concurrent callers.
	Producer(callers int) func(Run)
	// Fill enqueues runs as fast as the peer can.
	Fill(runs int64)
	// Work starts a worker that hands each run to seen; ended stops it.
	Work(seen func(Run)) (ended func())
	// Schedule has `count` schedules due once, at `due`, and starts a worker for them.
	Schedule(count int64, due time.Time, seen func(Run)) (ended func())
	// Left counts the runs that are stored and not done.
	Left() int64
}

func main() {
	log.SetFlags(0)
	peers := map[string]func() Peer{"river": newRiver, "asynq": newAsynq, "taskwheel": newTaskwheel, "plain": newPlain}
	peer := peers[os.Args[1]]()
	switch os.Args[2] {
	case "setup":
		begin()
		peer.Setup()
		finish(map[string]any{})
	case "insert":
		insert(peer, number(0), int(number(1)))
	case "fill":
		begin()
		start := time.Now()
		peer.Fill(number(0))
		finish(map[string]any{"start": seconds(start), "seconds": time.Since(start).Seconds()})
	case "pace":
		pace(peer.Producer(1), number(0))
	case "work":
		begin()
		record := newRecord(number(0))
		ended := peer.Work(record.Seen)
		fmt.Println("working")
		record.finish(peer, time.Now().Add(time.Duration(number(1))*time.Second))
		ended()
	case "schedules":
		record, due := newRecord(number(0)), time.Unix(number(1), 0).UTC()
		ended := peer.Schedule(number(0), due, record.Seen)
		begin()
		record.finish(peer, due.Add(time.Duration(number(2))*time.Second))
		ended()
	}
}

func insert(peer Peer, runs int64, callers int) {
	one := peer.Producer(callers)
	begin()
	start := time.Now()
	produce(one, runs, callers)
	spent := time.Since(start).Seconds()
	finish(map[string]any{"start": seconds(start), "seconds": spent, "left": peer.Left()})
}

// produce enqueues runs from so many callers, each its next one when the last is stored.
func produce(one func(Run), runs int64, callers int) {
	var next atomic.Int64
	var done sync.WaitGroup
	for range callers {
		done.Go(func() {
			for id := next.Add(1) - 1; id < runs; id = next.Add(1) - 1 {
				one(newRun(id))
			}
		})
	}
	done.Wait()
}

func pace(one func(Run), runs int64) {
	begin()
	for id := range runs {
		time.Sleep(20*time.Millisecond + time.Duration(rand.Int63n(int64(30*time.Millisecond))))
		one(newRun(id))
	}
	finish(map[string]any{})
}

// begin says that the driver is ready and waits for the word.
func begin() {
	fmt.Println("ready")
	bufio.NewScanner(os.Stdin).Scan()
}

// finish prints what was measured and waits until its reader has looked at this process.
func finish(measured map[string]any) {
	must(json.NewEncoder(os.Stdout).Encode(measured))
	bufio.NewScanner(os.Stdin).Scan()
}

func number(index int) int64 {
	value, err := strconv.ParseInt(os.Args[index+3], 10, 64)
	must(err)
	return value
}

func seconds(instant time.Time) float64 { return float64(instant.UnixMicro()) / 1e6 }

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
