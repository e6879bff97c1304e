package taskwheel

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	pb "example.com/taskwheel/go/taskwheel/v1"
)

const (
	maxResult  = 1 << 20
	maxMessage = 8 << 10
	maxStack   = 64 << 10
	maxName    = 256
)

// ErrorNamer is an error that tells by which name retry policies know it. The name of any other error is that of its
// type, past the types that fmt.Errorf makes.
type ErrorNamer interface {
	error
	ErrorName() string
}

// NamedError makes an error with a name for retry policies.
func NamedError(name string, err error) error { return namedError{name, err} }

type namedError struct {
	name string
	error
}

func (e namedError) ErrorName() string { return e.name }
func (e namedError) Unwrap() error     { return e.error }

// panicError is of a handler that panicked.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string     { return fmt.Sprint(e.value) }
func (e *panicError) ErrorName() string { return "panic" }

// errGoexit is of a handler that ended its goroutine.
var errGoexit = errors.New("the handler called runtime.Goexit")

// perform calls a handler. A panic is its error.
func perform(ctx context.Context, run *Run, handler Handler) (result any, err error) {
	defer func() {
		if value := recover(); value != nil {
			err = &panicError{value, debug.Stack()}
		}
	}()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return handler(ctx, run)
}

// setOutcome writes what became of a run. Whatever the handler did, the report is within the bounds.
func setOutcome(report *pb.RunResult, result any, err error, cause error) {
	defer func() { // in a method of what the handler gave, such as Error of a nil pointer
		if value := recover(); value != nil {
			report.Outcome = &pb.RunResult_Error{Error: runError(&panicError{value, debug.Stack()})}
		}
	}()
	interrupted := errors.Is(err, context.Canceled)
	switch {
	case errors.Is(err, ErrRunCancelled), errors.Is(cause, ErrRunCancelled) && interrupted:
		report.Outcome = &pb.RunResult_Cancelled{Cancelled: true}
		return
	case errors.Is(cause, ErrWorkerStopped) && interrupted, errors.Is(err, ErrWorkerStopped):
		err = NamedError("WorkerStopped", ErrWorkerStopped)
	}
	var value *structpb.Value
	if err == nil {
		value, err = encode(result, "result")
	}
	if err != nil {
		report.Outcome = &pb.RunResult_Error{Error: runError(err)}
		return
	}
	if size := proto.Size(value); size > maxResult {
		text := fmt.Sprintf("the result has %d bytes, more than 1 MiB", size)
		failure := &pb.RunError{Type: "system", Name: "resultTooLarge", Message: text}
		report.Outcome = &pb.RunResult_Error{Error: failure}
		return
	}
	report.Outcome = &pb.RunResult_Result{Result: value}
}

func runError(err error) *pb.RunError {
	kind := strings.TrimPrefix(fmt.Sprintf("%T", unwrapped(err)), "*")
	name := kind[strings.LastIndex(kind, ".")+1:]
	var named ErrorNamer
	if errors.As(err, &named) {
		name = named.ErrorName()
	}
	stack := ""
	var panicked *panicError
	if errors.As(err, &panicked) {
		// What comes before is the report's own.
		_, below, _ := strings.Cut(string(panicked.stack), "\npanic(")
		_, stack, _ = strings.Cut(below, "\n\t")
		_, stack, _ = strings.Cut(stack, "\n")
	}
	return &pb.RunError{
		Type:    clip(kind, maxName),
		Name:    clip(name, maxName),
		Message: clip(err.Error(), maxMessage),
		Stack:   clip(stack, maxStack),
	}
}

// unwrapped is the error within those that only add words or a name.
func unwrapped(err error) error {
	for {
		inner := errors.Unwrap(err)
		_, named := err.(namedError)
		if inner == nil || !named && fmt.Sprintf("%T", err) != "*fmt.wrapError" {
			return err
		}
		err = inner
	}
}
