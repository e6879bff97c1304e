package taskwheel

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	pb "example.com/taskwheel/go/taskwheel/v1"
)

const (
	// The bounds of one request; a whole message may have 4 MiB.
	maxItems = 1000
	maxBytes = 3 << 20
	// Names and tokens beside what an item weighs itself.
	overhead = 200

	progressInterval = 100 * time.Millisecond
	// How long what is ready waits for more while runs are in hand. A message costs the server several times what
	// an item does.
	company = time.Millisecond
)

// outbox is what a worker has to send, and what it has sent that is not acknowledged.
//
// Handlers put things in; one writer takes frames out. The order of things is kept, since the log of a run must not
// arrive after its result. A result leaves unacknowledged only when the server has stored it, so that a broken stream
// loses none: restore puts what was under way back in front.
type outbox struct {
	signal chan struct{} // tells the writer to look again; has room for one

	mu             sync.Mutex
	held           map[string]*Run // the runs of this worker that have no result on its way yet
	unacknowledged map[string]sent // results and releases, by the name of the run
	order          int             // how many of those there have been
	queue          []item
	renewals       map[string]*Run
	progressed     map[string]*Run
	telling        bool // whether progress is about to be sent
	inHand         int  // how many runs are assigned and neither reported nor handed back
	awaited        bool // whether the writer waits for anything
	urgent         bool // whether what there is should go at once
}

// item is a *pb.RunResult, a *pb.LogEntry, or a *pb.Lease to hand back, of a run.
type item struct {
	run     *Run
	message proto.Message
}

type sent struct {
	item
	order int
}

func newOutbox() *outbox {
	return &outbox{
		signal:         make(chan struct{}, 1),
		held:           map[string]*Run{},
		unacknowledged: map[string]sent{},
		renewals:       map[string]*Run{},
		progressed:     map[string]*Run{},
	}
}

// settled tells whether no run is left, and all has been sent, and acknowledged where that is due.
func (o *outbox) settled() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.held) == 0 && o.empty()
}

// delivered tells whether all has been sent, and acknowledged where that is due.
func (o *outbox) delivered() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.empty()
}

func (o *outbox) empty() bool {
	return len(o.queue)+len(o.renewals)+len(o.unacknowledged) == 0
}

// take holds runs that were assigned, and answers those whose lease ended while the stream was broken: they are lost.
func (o *outbox) take(runs []*Run) (stale []*Run) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.inHand += len(runs)
	for _, run := range runs {
		if old := o.held[run.GetName()]; old != nil {
			old.lost = true
			stale = append(stale, old)
		}
		o.held[run.GetName()] = run
	}
	return stale
}

// find is the run that a cancellation is about; nil if it is not held. One that is lost is held no more.
func (o *outbox) find(cancellation *pb.Cancellation, lost bool) *Run {
	o.mu.Lock()
	defer o.mu.Unlock()
	run := o.held[cancellation.GetRun()]
	if run == nil || run.GetAttempt() != cancellation.GetAttempt() {
		return nil
	}
	if lost {
		run.lost = true
		delete(o.held, run.GetName())
	}
	return run
}

// all are the runs that are held.
func (o *outbox) all() []*Run {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Collect(maps.Values(o.held))
}

// put sends a result, a log entry, or a lease to hand back.
func (o *outbox) put(run *Run, message proto.Message) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, ok := message.(*pb.LogEntry); !ok {
		o.inHand--
		if _, told := o.progressed[run.GetName()]; told {
			o.renewals[run.GetName()] = run
		}
	}
	o.queue = append(o.queue, item{run, message})
	if o.awaited || o.inHand == 0 || len(o.queue) == maxItems {
		o.wakeWriter()
	}
}

// wake lets the writer look again, at once.
func (o *outbox) wake() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.urgent = true
	o.wakeWriter()
}

func (o *outbox) wakeWriter() {
	select {
	case o.signal <- struct{}{}:
	default:
	}
}

// tellProgress sends the progress of a run, soon.
func (o *outbox) tellProgress(run *Run, progress *pb.Progress) {
	o.mu.Lock()
	defer o.mu.Unlock()
	run.progressed = progress
	o.progressed[run.GetName()] = run
	if !o.telling {
		o.telling = true
		time.AfterFunc(progressInterval, o.progressIsDue)
	}
}

func (o *outbox) progressIsDue() {
	o.mu.Lock()
	o.telling = false
	maps.Copy(o.renewals, o.progressed)
	o.mu.Unlock()
	o.wake()
}

// renew renews all leases.
func (o *outbox) renew() {
	o.mu.Lock()
	maps.Copy(o.renewals, o.held)
	o.mu.Unlock()
	o.wake()
}

// changed waits until there may be something to send, and then for more, for a moment, if runs are in hand.
func (o *outbox) changed(ctx context.Context) {
	o.mu.Lock()
	waits := len(o.queue)+len(o.renewals) == 0 && !o.urgent
	o.awaited = waits
	o.mu.Unlock()
	if waits {
		select {
		case <-o.signal:
		case <-ctx.Done():
			return
		}
	}
	o.mu.Lock()
	o.awaited = false
	waits = o.inHand > 0 && len(o.queue) < maxItems && !o.urgent
	o.urgent = false
	select { // it is about what is there by now
	case <-o.signal:
	default:
	}
	o.mu.Unlock()
	if !waits {
		return
	}
	timer := time.NewTimer(company)
	defer timer.Stop()
	select {
	case <-o.signal:
	case <-timer.C:
	case <-ctx.Done():
	}
}

// restore begins anew on another stream: what is not acknowledged goes first, and all leases are renewed.
func (o *outbox) restore() {
	o.mu.Lock()
	defer o.mu.Unlock()
	again := slices.SortedFunc(maps.Values(o.unacknowledged), func(a, b sent) int { return a.order - b.order })
	queue := make([]item, 0, len(again)+len(o.queue))
	for _, one := range again {
		queue = append(queue, one.item)
	}
	o.queue = append(queue, o.queue...)
	clear(o.unacknowledged)
	maps.Copy(o.renewals, o.held)
}

// acknowledge takes in that results and releases are stored, or came too late.
func (o *outbox) acknowledge(acknowledgements []*pb.Acknowledgement) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, one := range acknowledgements {
		delete(o.unacknowledged, one.GetRun())
	}
}

// frame is the next request to send; nil when there is nothing.
//
// Renewals go by themselves, before what is queued: the last progress of a run must not come after its result.
func (o *outbox) frame() *pb.WorkRequest {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.renewals) > 0 {
		return o.renewalFrame()
	}
	request := &pb.WorkRequest{}
	logs := map[string]*pb.AppendLogsRequest{}
	taken, items, size := 0, 0, 0
	for _, next := range o.queue {
		size += proto.Size(next.message) + overhead
		if items == maxItems || items > 0 && size > maxBytes {
			break
		}
		taken++
		if next.run.lost {
			continue
		}
		items++
		o.add(request, logs, next)
	}
	o.queue = slices.Delete(o.queue, 0, taken)
	if items == 0 {
		return nil
	}
	return request
}

func (o *outbox) add(request *pb.WorkRequest, logs map[string]*pb.AppendLogsRequest, next item) {
	name := next.run.GetName()
	switch message := next.message.(type) {
	case *pb.LogEntry:
		lines := logs[name]
		if lines == nil {
			lines = &pb.AppendLogsRequest{Run: name, Attempt: next.run.GetAttempt(), LeaseToken: next.run.token}
			logs[name] = lines
			request.Logs = append(request.Logs, lines)
		}
		lines.Entries = append(lines.Entries, message)
		return
	case *pb.RunResult:
		request.Results = append(request.Results, message)
	case *pb.Lease:
		request.Releases = append(request.Releases, message)
	}
	delete(o.held, name)
	o.order++
	o.unacknowledged[name] = sent{next, o.order}
}

func (o *outbox) renewalFrame() *pb.WorkRequest {
	request := &pb.WorkRequest{}
	for name, run := range o.renewals {
		if len(request.Renewals) == maxItems {
			break
		}
		delete(o.renewals, name)
		delete(o.progressed, name)
		if !run.lost {
			lease := run.lease()
			lease.Progress = run.progressed
			request.Renewals = append(request.Renewals, lease)
		}
	}
	return request
}
