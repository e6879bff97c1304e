package taskwheel

import (
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "example.com/taskwheel/go/taskwheel/v1"
)

// WorkerTarget makes the target of a task whose runs go to workers that have this handler.
func WorkerTarget(handler string) *pb.Task_Worker {
	return &pb.Task_Worker{Worker: &pb.WorkerTarget{Handler: handler}}
}

// Cron makes a schedule from a cron expression of five fields, in a time zone of the IANA, such as Europe/Berlin; an
// empty one means UTC.
func Cron(expression, timeZone string) *pb.Schedule {
	return &pb.Schedule{Spec: &pb.Schedule_Cron{Cron: expression}, TimeZone: timeZone}
}

// Every makes a schedule of an interval, at least a second, which begins with the creation of the task.
func Every(interval time.Duration) *pb.Schedule {
	return &pb.Schedule{Spec: &pb.Schedule_Interval{Interval: durationpb.New(interval)}}
}

// At makes a schedule of one instant.
func At(instant time.Time) *pb.Schedule {
	return &pb.Schedule{Spec: &pb.Schedule_At{At: timestamppb.New(instant)}}
}

// Retry makes a retry policy of so many attempts, the first one included, with these delays between them, the last one
// repeated; without delays they grow from 1 second by 2 to 10 minutes.
func Retry(maxAttempts int32, delays ...time.Duration) *pb.RetryPolicy {
	policy := &pb.RetryPolicy{MaxAttempts: &maxAttempts}
	if len(delays) > 0 {
		fixed := &pb.FixedDelays{}
		for _, delay := range delays {
			fixed.Delays = append(fixed.Delays, durationpb.New(delay))
		}
		policy.Backoff = &pb.RetryPolicy_FixedDelays{FixedDelays: fixed}
	}
	return policy
}
