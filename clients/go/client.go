package taskwheel

import (
	"cmp"
	"context"
	"crypto/tls"
	"os"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	pb "example.com/taskwheel/go/taskwheel/v1"
)

// DefaultAddress is where a server listens unless it is told otherwise.
const DefaultAddress = "localhost:7420"

// DefaultTimeout bounds a call whose context has no deadline. Calls that are to take longer have more: BatchRunTasks
// three times as much, BackfillTask six times, WaitTaskRun and ClaimTaskRuns as much as they wait in addition.
const DefaultTimeout = 10 * time.Second

// DefaultWait bounds Wait and RunWithResult when their context has no deadline.
const DefaultWait = time.Minute

// Client is a connection to a taskwheel server. It may be used by any number of goroutines.
//
// The generated services are its fields. Each call of them has a deadline: that of its context, or else DefaultTimeout.
// A call that the transport could not deliver is repeated, up to 4 times within a second, where that is safe: requests
// that start something are given a request_id if they have none, and ClaimTaskRuns and AppendLogs are not repeated.
// Errors are of the type *Error.
type Client struct {
	Tasks   pb.TaskServiceClient
	Runs    pb.TaskRunServiceClient
	Events  pb.EventServiceClient
	Workers pb.WorkerServiceClient
	Admin   pb.AdminServiceClient

	conn      *grpc.ClientConn
	timeout   time.Duration
	coalescer *coalescer
	stood     atomic.Bool // whether the server has ever answered
}

// Option changes how a Client connects.
type Option func(*options)

type options struct {
	tls         *tls.Config
	credentials []credentials.PerRPCCredentials
	timeout     time.Duration
	coalesce    bool
	dial        []grpc.DialOption
}

// WithTLS connects with TLS. The configuration tells whom to trust (RootCAs; nil: the system's), who the caller is
// (Certificates) and the name in the server's certificate (ServerName; default: the host of the address).
func WithTLS(config *tls.Config) Option {
	return func(o *options) { o.tls = config }
}

// WithAPIKey sends the key with each call, as the metadata `authorization: Bearer KEY`, for a proxy in front of the
// server: the server itself does not look at it. Without TLS it can be read on its way.
func WithAPIKey(key string) Option {
	return WithMetadata(map[string]string{"authorization": "Bearer " + key})
}

// WithMetadata sends this with each call. Names are in lower case.
func WithMetadata(metadata map[string]string) Option {
	return WithCredentials(fixedMetadata(metadata))
}

// WithCredentials asks for metadata before each call, such as a token that is renewed.
func WithCredentials(perCall credentials.PerRPCCredentials) Option {
	return func(o *options) { o.credentials = append(o.credentials, perCall) }
}

// WithTimeout replaces DefaultTimeout.
func WithTimeout(timeout time.Duration) Option {
	return func(o *options) { o.timeout = timeout }
}

// WithCoalescing tells whether runs that are started with a payload while others are on their way go together, in one
// BatchRunTasks, once those are answered and have had a moment to come back (half a millisecond at most); they do by
// default. Each call keeps its own answer, error and deadline, and a lone caller's goes at once.
func WithCoalescing(coalesce bool) Option {
	return func(o *options) { o.coalesce = coalesce }
}

// WithDialOptions adds options of grpc, such as interceptors.
func WithDialOptions(dial ...grpc.DialOption) Option {
	return func(o *options) { o.dial = append(o.dial, dial...) }
}

// NewClient makes a client of the server at this address, host and port. If it is empty, the environment variable
// TASKWHEEL_ADDRESS is taken, else DefaultAddress. The connection is made by the first call, and made again when it
// breaks; NewClient fails only if an option or the address makes no sense.
func NewClient(address string, opts ...Option) (*Client, error) {
	o := options{timeout: DefaultTimeout, coalesce: true}
	for _, option := range opts {
		option(&o)
	}
	c := &Client{timeout: o.timeout}
	conn, err := c.dial(cmp.Or(address, os.Getenv("TASKWHEEL_ADDRESS"), DefaultAddress), o)
	if err != nil {
		return nil, err
	}
	c.conn = conn
	c.Tasks = pb.NewTaskServiceClient(conn)
	c.Runs = pb.NewTaskRunServiceClient(conn)
	c.Events = pb.NewEventServiceClient(conn)
	c.Workers = pb.NewWorkerServiceClient(conn)
	c.Admin = pb.NewAdminServiceClient(conn)
	if o.coalesce {
		c.coalescer = newCoalescer(c.Tasks, o.timeout)
	}
	return c, nil
}

// Close ends the connection. What is under way ends with an error of the code Unavailable.
func (c *Client) Close() error {
	return c.conn.Close()
}

type fixedMetadata map[string]string

func (m fixedMetadata) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return m, nil
}

func (fixedMetadata) RequireTransportSecurity() bool { return false }
