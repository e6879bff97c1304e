package taskwheel

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "example.com/taskwheel/go/taskwheel/v1"
)

// A server that was told there is no more ends the stream at once.
const lastWord = 5 * time.Second

// stream is one Work stream, from hello to its end: it brings assignments to the executor and takes frames from the
// outbox. It ends when the server ends it; after goaway, once all that was reported is acknowledged; and when the
// executor drains, once no run is left either.
type stream struct {
	client *Client
	hello  *pb.Hello
	out    *outbox
	exec   *executor
	logger *slog.Logger

	welcomed bool
	goaway   chan struct{}
}

// work works until the stream ends; an error tells that it broke.
func (s *stream) work(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	work, err := s.client.Workers.Work(ctx)
	if err != nil {
		return err
	}
	s.out.restore()
	if err := work.Send(&pb.WorkRequest{Hello: s.hello}); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	// A log entry is gone once it is written: not to a server that takes none.
	late := time.AfterFunc(s.client.timeout, cancel)
	response, err := work.Recv()
	if !late.Stop() {
		return newError(ctx, status.Error(codes.Unavailable, "the server has not answered the worker in time"))
	}
	if err != nil {
		return err
	}
	s.welcomed = true
	s.goaway = make(chan struct{})
	s.logger.Info("taskwheel: connected", "worker", s.hello.GetWorkerId(), "address", s.client.conn.Target())
	go s.renew(ctx, response.GetWelcome().GetLeaseDuration().AsDuration()/3)
	written := make(chan struct{})
	go func() {
		defer close(written)
		// A stream on which nothing is sent any more would go on to take runs and let their leases end.
		defer cancel()
		s.write(ctx, work)
	}()
	for ; err == nil; response, err = work.Recv() {
		s.receive(response)
	}
	ours := ctx.Err() != nil
	cancel()
	<-written
	if ours || errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

func (s *stream) receive(response *pb.WorkResponse) {
	s.exec.assign(response.GetAssignments())
	s.out.acknowledge(response.GetAcknowledgements())
	for _, one := range response.GetAcknowledgements() {
		if one.GetStatus() == pb.Acknowledgement_LEASE_LOST {
			s.logger.Warn("taskwheel: a result came after its lease had ended", "run", one.GetRun())
		}
	}
	for _, cancellation := range response.GetCancellations() {
		s.exec.cancel(cancellation)
	}
	if response.GetGoaway() && !s.going() {
		close(s.goaway)
	}
	if s.going() || s.exec.isDraining() {
		s.out.wake()
	}
}

// going tells whether the server is about to stop.
func (s *stream) going() bool {
	select {
	case <-s.goaway:
		return true
	default:
		return false
	}
}

func (s *stream) renew(ctx context.Context, interval time.Duration) {
	for interval > 0 && sleep(ctx, interval) == nil {
		s.out.renew()
	}
}

func (s *stream) write(ctx context.Context, work pb.WorkerService_WorkClient) {
	told := false
	for !s.finished() {
		if !told && s.exec.isDraining() {
			told = true
			if work.Send(&pb.WorkRequest{Drain: true}) != nil {
				return
			}
		}
		for frame := s.out.frame(); frame != nil; frame = s.out.frame() {
			if work.Send(frame) != nil { // the reader tells why
				return
			}
		}
		if !s.finished() {
			s.out.changed(ctx)
		}
		if ctx.Err() != nil {
			return
		}
	}
	work.CloseSend()
	sleep(ctx, lastWord)
}

func (s *stream) finished() bool {
	if s.going() {
		return s.out.delivered()
	}
	return s.exec.isDraining() && s.out.settled()
}
