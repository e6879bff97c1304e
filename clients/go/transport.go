package taskwheel

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	pb "example.com/taskwheel/go/taskwheel/v1"
)

// Streams are taken up again where they ended, by follower and by Worker. To claim or to append twice is another thing
// than to do so once.
const serviceConfig = `{"methodConfig": [
	{"name": [{}], "retryPolicy": {
		"maxAttempts": 4, "initialBackoff": "0.05s", "maxBackoff": "1s", "backoffMultiplier": 2,
		"retryableStatusCodes": ["UNAVAILABLE", "CANCELLED"]
	}},
	{"name": [
		{"service": "taskwheel.v1.EventService", "method": "WatchEvents"},
		{"service": "taskwheel.v1.TaskRunService", "method": "StreamTaskRunLogs"},
		{"service": "taskwheel.v1.WorkerService", "method": "Work"},
		{"service": "taskwheel.v1.WorkerService", "method": "ClaimTaskRuns"},
		{"service": "taskwheel.v1.WorkerService", "method": "AppendLogs"}
	]}
]}`

func (c *Client) dial(address string, o options) (*grpc.ClientConn, error) {
	security := insecure.NewCredentials()
	if o.tls != nil {
		security = credentials.NewTLS(o.tls)
	}
	dialOptions := []grpc.DialOption{
		grpc.WithTransportCredentials(security),
		grpc.WithDefaultServiceConfig(serviceConfig),
		grpc.WithDisableServiceConfig(), // that of a name server
		// A dead peer is noticed within 40 s, also on an idle stream.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{
			Time: 30 * time.Second, Timeout: 10 * time.Second, PermitWithoutStream: true,
		}),
		// A server that is back is found soon, also after a long absence.
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 200 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 5 * time.Second},
			MinConnectTimeout: 5 * time.Second,
		}),
		grpc.WithDefaultCallOptions(
			// A page ends at 3 MiB, but its last item may be a run with 1 MiB of payload and 1 MiB of result.
			grpc.MaxCallRecvMsgSize(16<<20),
			// What the server takes: more is refused before it is sent.
			grpc.MaxCallSendMsgSize(4<<20),
		),
		grpc.WithChainUnaryInterceptor(c.invoke),
		grpc.WithChainStreamInterceptor(streamInterceptor),
	}
	for _, perCall := range o.credentials {
		dialOptions = append(dialOptions, grpc.WithPerRPCCredentials(perCall))
	}
	return grpc.NewClient(address, append(dialOptions, o.dial...)...)
}

// invoke makes a call with a deadline, that is safe to repeat, and whose error is of the type *Error.
func (c *Client) invoke(
	ctx context.Context, method string, request, answer any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker,
	opts ...grpc.CallOption,
) error {
	if _, bounded := ctx.Deadline(); !bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, allowance(request, c.timeout))
		defer cancel()
	}
	err := invoke(ctx, method, repeatable(request), answer, conn, opts...)
	if err == nil && !c.stood.Load() {
		c.stood.Store(true)
	}
	return newError(ctx, err)
}

// allowance is how long a call may take that has no deadline of its own.
func allowance(request any, timeout time.Duration) time.Duration {
	switch r := request.(type) {
	case *pb.BatchRunTasksRequest:
		return 3 * timeout
	case *pb.BackfillTaskRequest: // inserts up to 10,000 runs before it answers
		return 6 * timeout
	case *pb.ClaimTaskRunsRequest:
		return timeout + r.GetWait().AsDuration()
	case *pb.WaitTaskRunRequest:
		if r.Timeout == nil {
			return timeout + maxWait
		}
		return timeout + r.GetTimeout().AsDuration()
	}
	return timeout
}

// repeatable is the request with a request_id, where it takes one.
func repeatable(request any) any {
	if batch, ok := request.(*pb.BatchRunTasksRequest); ok {
		batch = &pb.BatchRunTasksRequest{Parent: batch.Parent, Requests: slices.Clone(batch.Requests)}
		for i, one := range batch.Requests {
			batch.Requests[i] = repeatable(one).(*pb.RunTaskRequest)
		}
		return batch
	}
	message := request.(proto.Message)
	field := message.ProtoReflect().Descriptor().Fields().ByName("request_id")
	if field == nil || message.ProtoReflect().Has(field) {
		return request
	}
	message = proto.Clone(message)
	message.ProtoReflect().Set(field, protoreflect.ValueOfString(mintRequestID()))
	return message
}

// mintRequestID makes a key for one request, so that the transport may repeat it.
func mintRequestID() string {
	var key [16]byte
	rand.Read(key[:])
	return hex.EncodeToString(key[:])
}

func streamInterceptor(
	ctx context.Context, desc *grpc.StreamDesc, conn *grpc.ClientConn, method string, open grpc.Streamer,
	opts ...grpc.CallOption,
) (grpc.ClientStream, error) {
	stream, err := open(ctx, desc, conn, method, opts...)
	if err != nil {
		return nil, newError(ctx, err)
	}
	return typedStream{stream, ctx}, nil
}

// typedStream is a stream whose errors are of the type *Error.
type typedStream struct {
	grpc.ClientStream
	ctx context.Context // the caller's: that of the stream ends with it
}

func (s typedStream) RecvMsg(message any) error {
	err := s.ClientStream.RecvMsg(message)
	if errors.Is(err, io.EOF) {
		return err
	}
	return newError(s.ctx, err)
}

// sleep lets time pass, or answers the error of the context if that ends first.
func sleep(ctx context.Context, length time.Duration) error {
	timer := time.NewTimer(length)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
