package taskwheel

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "example.com/taskwheel/go/taskwheel/v1"
)

// Reason tells why a call failed, for programs: ErrorInfo.reason of AIP-193. It is an error to compare with:
//
//	if errors.Is(err, taskwheel.TaskNotFound) { … }
//
// A reason that is not listed here is compared in the same way: errors.Is(err, taskwheel.Reason("…")).
type Reason string

// Error makes a Reason comparable by errors.Is.
func (r Reason) Error() string { return string(r) }

// The reasons that a server of this version gives.
const (
	InvalidField       Reason = "INVALID_FIELD"
	InvalidSchedule    Reason = "INVALID_SCHEDULE"
	InvalidRetryPolicy Reason = "INVALID_RETRY_POLICY"
	TooManySlots       Reason = "TOO_MANY_SLOTS"
	MalformedRequest   Reason = "MALFORMED_REQUEST"
	TaskNotFound       Reason = "TASK_NOT_FOUND"
	RunNotFound        Reason = "RUN_NOT_FOUND"
	RunExpired         Reason = "RUN_EXPIRED"
	NamespaceNotFound  Reason = "NAMESPACE_NOT_FOUND"
	TaskAlreadyExists  Reason = "TASK_ALREADY_EXISTS"
	RequestIDReused    Reason = "REQUEST_ID_REUSED"
	RunDone            Reason = "RUN_DONE"
	RunStarted         Reason = "RUN_STARTED"
	NoSchedules        Reason = "NO_SCHEDULES"
	ScheduleUnreadable Reason = "SCHEDULE_UNREADABLE"
	ETagMismatch       Reason = "ETAG_MISMATCH"
	LeaseLost          Reason = "LEASE_LOST"
	EventsCompacted    Reason = "EVENTS_COMPACTED"
	SequenceAhead      Reason = "SEQUENCE_AHEAD"
	MailboxFull        Reason = "MAILBOX_FULL"
	SubscriberTooSlow  Reason = "SUBSCRIBER_TOO_SLOW"
	ShuttingDown       Reason = "SHUTTING_DOWN"
	StoreBusy          Reason = "STORE_BUSY"
	StoreUnavailable   Reason = "STORE_UNAVAILABLE"
)

// ErrRequestTooLarge is of a request beyond 4 MiB. It is not sent, so nothing was done.
var ErrRequestTooLarge = errors.New("the request is larger than 4 MiB")

// Error is what the server answered instead of an answer, or the lack of one.
type Error struct {
	Code     codes.Code        // the gRPC status code
	Reason   Reason            // why, for programs; empty when none was sent, as for errors of the connection
	Message  string            // why, in English, for people
	Metadata map[string]string // every changing part of the message, by name
	Fields   map[string]string // what is wrong with each field at fault, by its path, such as task.schedules[0].cron

	// RetryAfter is how long to wait before the next try; 0 when the server did not say.
	RetryAfter time.Duration

	status   *status.Status
	tooLarge bool
}

// Error answers the message and the reason.
func (e *Error) Error() string {
	if e.Reason != "" {
		return fmt.Sprintf("%s [%s]", e.Message, e.Reason)
	}
	return fmt.Sprintf("%s [%s]", e.Message, e.Code)
}

// Is tells whether the error has this Reason, is ErrRequestTooLarge, or ended with its context.
func (e *Error) Is(target error) bool {
	switch target {
	case ErrRequestTooLarge:
		return e.tooLarge
	case context.DeadlineExceeded:
		return e.Code == codes.DeadlineExceeded
	case context.Canceled:
		return e.Code == codes.Canceled
	}
	reason, ok := target.(Reason)
	return ok && reason == e.Reason
}

// GRPCStatus answers the status with all its details, so that package status of grpc knows the error.
func (e *Error) GRPCStatus() *status.Status { return e.status }

// RunFailedError is of a run that was waited for and ended otherwise than SUCCEEDED.
type RunFailedError struct{ Run *pb.TaskRun }

// Error tells how the run ended.
func (e *RunFailedError) Error() string {
	why := e.Run.GetStateReason()
	if failure := e.Run.GetError(); failure != nil {
		why = failure.GetName() + ": " + failure.GetMessage()
	}
	if why != "" {
		why = ": " + why
	}
	return fmt.Sprintf("%s %s%s", e.Run.GetName(), e.Run.GetState(), why)
}

// RunNotDoneError tells that the time to wait has passed; the run goes on. It is a context.DeadlineExceeded.
type RunNotDoneError struct{ Run *pb.TaskRun }

// Error tells where the run stands.
func (e *RunNotDoneError) Error() string {
	return fmt.Sprintf("%s is still %s; it goes on", e.Run.GetName(), e.Run.GetState())
}

// Unwrap makes it a context.DeadlineExceeded.
func (e *RunNotDoneError) Unwrap() error { return context.DeadlineExceeded }

// UnsupportedValueError is of a Go value that the API cannot carry as it is.
type UnsupportedValueError struct {
	Path        string // where in the whole value it stands, such as payload.items[3]
	Description string // what is wrong with it
}

// Error tells what is wrong, and where.
func (e *UnsupportedValueError) Error() string { return e.Path + ": " + e.Description }

// ErrorName is by what retry policies know it, in every language.
func (e *UnsupportedValueError) ErrorName() string { return "UnsupportedValue" }

// gRPC itself refuses these, on either side of the connection.
var tooLarge = regexp.MustCompile(`(?:trying to send|SERVER: Received) message larger than max \((\d+) vs\. (\d+)\)`)

// newError makes the error of a call an *Error, with every detail that came with it.
func newError(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	s := status.Convert(err)
	if inner := (interface{ GRPCStatus() *status.Status })(nil); errors.As(err, &inner) {
		s = inner.GRPCStatus() // without the words of gRPC about its tries
	}
	if s.Code() == codes.Canceled && ctx.Err() == nil { // of a server that ends, which has cut the call short
		told := s.Proto()
		told.Code = int32(codes.Unavailable)
		s = status.FromProto(told)
	}
	e := &Error{Code: s.Code(), Message: s.Message(), status: s}
	if e.Code == codes.ResourceExhausted && tooLarge.MatchString(e.Message) {
		e.tooLarge = true
		sizes := tooLarge.FindStringSubmatch(e.Message)
		e.Message = fmt.Sprintf("the request has %s bytes; at most %s are taken", sizes[1], sizes[2])
	}
	for _, detail := range s.Details() {
		switch d := detail.(type) {
		case *errdetails.ErrorInfo:
			e.Reason, e.Metadata = Reason(d.GetReason()), d.GetMetadata()
		case *errdetails.BadRequest:
			e.Fields = map[string]string{}
			for _, violation := range d.GetFieldViolations() {
				e.Fields[violation.GetField()] = violation.GetDescription()
			}
		case *errdetails.RetryInfo:
			e.RetryAfter = d.GetRetryDelay().AsDuration()
		}
	}
	return e
}

// codeOf is the code of the error of a call; OK for nil.
func codeOf(err error) codes.Code {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return status.Code(err)
}
