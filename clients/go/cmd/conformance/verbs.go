package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"os"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/fieldmaskpb"

	taskwheel "example.com/taskwheel/go"
	pb "example.com/taskwheel/go/taskwheel/v1"
)

// driver is a client, streams, background steps and workers.
type driver struct {
	target     string
	client     *taskwheel.Client
	ctx        context.Context // ends with the behaviour
	cancel     context.CancelFunc
	gates      *gates
	streams    map[string]*stream
	background map[string]chan answer
	workers    []running
}

// running is a worker: how to stop it, and its end.
type running struct {
	stop  context.CancelFunc
	ended chan error
}

// renew begins a behaviour.
func (d *driver) renew() {
	d.ctx, d.cancel = context.WithCancel(context.Background())
	d.gates = newGates()
	d.streams = map[string]*stream{}
	d.background = map[string]chan answer{}
	d.workers = nil
}

var verbs = map[string]verb{
	"connect": (*driver).connect,
	"create_task": func(d *driver, ctx context.Context, a args) (any, error) {
		task, err := taskOf(a["task"].(map[string]any))
		if err != nil {
			return nil, err
		}
		return d.client.Tasks.CreateTask(ctx, &pb.CreateTaskRequest{
			TaskId: a.text("task_id"), Task: task, RequestId: a.text("request_id"),
			ValidateOnly: a.truth("validate_only", false),
		})
	},
	"get_task": func(d *driver, ctx context.Context, a args) (any, error) {
		return d.client.Tasks.GetTask(ctx, &pb.GetTaskRequest{Name: a.text("task")})
	},
	"update_task": func(d *driver, ctx context.Context, a args) (any, error) {
		set := a["set"].(map[string]any)
		mask := &fieldmaskpb.FieldMask{}
		fields := (&pb.Task{}).ProtoReflect().Descriptor().Fields()
		for name := range set {
			mask.Paths = append(mask.Paths, string(fields.ByJSONName(name).Name()))
		}
		task, err := taskOf(set)
		if err != nil {
			return nil, err
		}
		task.Name, task.Etag = a.text("task"), a.text("etag")
		return d.client.Tasks.UpdateTask(ctx, &pb.UpdateTaskRequest{
			Task: task, UpdateMask: mask, ValidateOnly: a.truth("validate_only", false),
		})
	},
	"rename_task": func(d *driver, ctx context.Context, a args) (any, error) {
		request := &pb.RenameTaskRequest{Name: a.text("task"), NewTaskId: a.text("new_task_id")}
		return d.client.Tasks.RenameTask(ctx, request)
	},
	"pause_task": func(d *driver, ctx context.Context, a args) (any, error) {
		return d.client.Tasks.PauseTask(ctx, &pb.PauseTaskRequest{Name: a.text("task"), Reason: a.text("reason")})
	},
	"resume_task": func(d *driver, ctx context.Context, a args) (any, error) {
		return d.client.Tasks.ResumeTask(ctx, &pb.ResumeTaskRequest{Name: a.text("task")})
	},
	"delete_task": func(d *driver, ctx context.Context, a args) (any, error) {
		_, err := d.client.Tasks.DeleteTask(ctx, &pb.DeleteTaskRequest{
			Name: a.text("task"), Etag: a.text("etag"), AllowMissing: a.truth("allow_missing", false),
		})
		return nil, err
	},
	"preview": func(d *driver, ctx context.Context, a args) (any, error) {
		request := &pb.PreviewScheduleRequest{Count: int32(a.whole("count", 0)), After: a.instant("after")}
		request.Source = &pb.PreviewScheduleRequest_Task{Task: a.text("task")}
		if schedule, given := a["schedule"]; given {
			message := &pb.Schedule{}
			parse(schedule, message)
			request.Source = &pb.PreviewScheduleRequest_Schedule{Schedule: message}
		}
		return d.client.Tasks.PreviewSchedule(ctx, request)
	},
	"backfill": func(d *driver, ctx context.Context, a args) (any, error) {
		answer, err := d.client.Tasks.BackfillTask(ctx, &pb.BackfillTaskRequest{
			Name: a.text("task"), StartTime: a.instant("start_time"), EndTime: a.instant("end_time"),
			RequestId: a.text("request_id"),
		})
		return answer.GetTaskRuns(), err
	},
	"run": (*driver).run,
	"run_many": func(d *driver, ctx context.Context, a args) (any, error) {
		var requests []*pb.RunTaskRequest
		for _, one := range a["runs"].([]any) {
			run := args(one.(map[string]any))
			request, err := taskwheel.NewRunRequest(run.text("task"), run["payload"], run.options()...)
			if err != nil {
				return nil, err
			}
			requests = append(requests, request)
		}
		return d.client.RunMany(ctx, requests)
	},
	"run_together": func(d *driver, ctx context.Context, a args) (any, error) {
		runs := a["runs"].([]any)
		answers := make([]any, len(runs))
		numbers := make(chan int)
		var callers sync.WaitGroup
		for range 32 {
			callers.Go(func() {
				for i := range numbers {
					run, err := d.run(ctx, args(runs[i].(map[string]any)))
					if err != nil {
						run = answer{"error": errorOf(err)}
					}
					answers[i] = run
				}
			})
		}
		for i := range runs {
			numbers <- i
		}
		close(numbers)
		callers.Wait()
		return answers, nil
	},
	"run_with_result": func(d *driver, ctx context.Context, a args) (any, error) {
		var result any
		wait := taskwheel.WithWait(a.seconds("timeout", taskwheel.DefaultWait))
		err := d.client.RunWithResult(ctx, a.text("task"), a["payload"], &result, wait)
		return result, err
	},
	"get_run": func(d *driver, ctx context.Context, a args) (any, error) {
		return d.client.Runs.GetTaskRun(ctx, &pb.GetTaskRunRequest{
			Name: a.text("run"), Task: a.text("task"), FollowRetries: a.truth("follow_retries", false),
		})
	},
	"wait": func(d *driver, ctx context.Context, a args) (any, error) {
		return d.client.Wait(ctx, &pb.WaitTaskRunRequest{
			Name: a.text("run"), FollowRetries: a.truth("follow_retries", false), Timeout: a.duration("timeout"),
		})
	},
	"cancel": func(d *driver, ctx context.Context, a args) (any, error) {
		return d.client.Runs.CancelTaskRun(ctx, &pb.CancelTaskRunRequest{
			Name: a.text("run"), Reason: a.text("reason"), PendingOnly: a.truth("pending_only", false),
		})
	},
	"get_task_status": func(d *driver, ctx context.Context, a args) (any, error) {
		return d.client.GetTaskStatus(ctx, a.text("id"), a.text("task"))
	},
	"list_tasks": func(d *driver, ctx context.Context, a args) (any, error) {
		return all(d.client.ListTasks(ctx, &pb.ListTasksRequest{
			Filter: a.text("filter"), OrderBy: a.text("order_by"), PageSize: int32(a.whole("page_size", 0)),
		}), a)
	},
	"list_runs": func(d *driver, ctx context.Context, a args) (any, error) {
		request := &pb.ListTaskRunsRequest{
			Filter: a.text("filter"), OrderBy: a.text("order_by"), PageSize: int32(a.whole("page_size", 0)),
		}
		if a.truth("full", false) {
			request.View = pb.ListTaskRunsRequest_FULL
		}
		return all(d.client.ListRuns(ctx, request), a)
	},
	"list_events": func(d *driver, ctx context.Context, a args) (any, error) {
		return all(d.client.ListEvents(ctx, &pb.ListEventsRequest{
			Filter: a.text("filter"), OrderBy: a.text("order_by"), PageSize: int32(a.whole("page_size", 0)),
		}), a)
	},
	"watch": func(d *driver, ctx context.Context, a args) (any, error) {
		request := &pb.WatchEventsRequest{Filter: a.text("filter")}
		if after, given := a.long("after"); given {
			request.AfterSequence = &after
		}
		ctx, cancel := context.WithCancel(ctx)
		events, err := d.client.WatchEvents(ctx, request)
		if err != nil {
			cancel()
			return nil, err
		}
		d.streams[a.text("stream")] = reading(ctx, cancel, events)
		return nil, nil
	},
	"follow_logs": func(d *driver, ctx context.Context, a args) (any, error) {
		request := &pb.StreamTaskRunLogsRequest{
			Name: a.text("run"), Follow: a.truth("follow", true), FollowRetries: a.truth("follow_retries", false),
			MinLevel: pb.LogEntry_Level(pb.LogEntry_Level_value[a.text("min_level")]),
		}
		request.AfterSequence, _ = a.long("after")
		ctx, cancel := context.WithCancel(ctx)
		d.streams[a.text("stream")] = reading(ctx, cancel, d.client.FollowLogs(ctx, request))
		return nil, nil
	},
	"next": func(d *driver, ctx context.Context, a args) (any, error) {
		return d.streams[a.text("stream")].take(a.whole("count", -1), a.seconds("timeout", 10*time.Second))
	},
	"close": func(d *driver, ctx context.Context, a args) (any, error) {
		d.streams[a.text("stream")].cancel()
		return nil, nil
	},
	"server_info": func(d *driver, ctx context.Context, a args) (any, error) {
		return d.client.Admin.GetServerInfo(ctx, &pb.GetServerInfoRequest{})
	},
	"start_worker": (*driver).startWorker,
	"stop_worker": func(d *driver, ctx context.Context, a args) (any, error) {
		last := d.workers[len(d.workers)-1]
		d.workers = d.workers[:len(d.workers)-1]
		last.stop()
		return nil, <-last.ended
	},
	"open_gate": func(d *driver, ctx context.Context, a args) (any, error) {
		d.gates.open(a.text("name"))
		return nil, nil
	},
	"reset": (*driver).reset,
}

func (d *driver) connect(ctx context.Context, a args) (any, error) {
	options := []taskwheel.Option{
		taskwheel.WithTimeout(a.seconds("timeout", taskwheel.DefaultTimeout)),
		taskwheel.WithMetadata(a.pairs("metadata")),
	}
	if ca := a.text("ca"); ca != "" {
		pem, err := os.ReadFile(ca)
		if err != nil {
			return nil, err
		}
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(pem)
		options = append(options, taskwheel.WithTLS(&tls.Config{RootCAs: roots, ServerName: a.text("server_name")}))
	}
	d.target = a.text("target")
	client, err := taskwheel.NewClient(d.target, options...)
	d.client = client
	return nil, err
}

func (d *driver) run(ctx context.Context, a args) (any, error) {
	return d.client.Run(ctx, a.text("task"), a["payload"], a.options()...)
}

func (d *driver) startWorker(ctx context.Context, a args) (any, error) {
	target := a.text("target")
	if target == "" {
		target = d.target
	}
	client, err := taskwheel.NewClient(target)
	if err != nil {
		return nil, err
	}
	grace := a.seconds("grace", 5*time.Second)
	if grace == 0 {
		grace = -1
	}
	worker := client.NewWorker(taskwheel.WorkerOptions{
		MaxConcurrentRuns: int32(a.whole("max_concurrent_runs", 10)), ID: a.text("worker_id"), Grace: grace,
	})
	for name, kind := range a.pairs("handlers") {
		worker.Handle(name, d.gates.builtIn(kind))
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		defer client.Close()
		ended <- worker.Run(ctx)
	}()
	d.workers = append(d.workers, running{stop, ended})
	return nil, nil
}

// reset ends all that a behaviour has begun.
func (d *driver) reset(context.Context, args) (any, error) {
	close(d.gates.all)
	d.cancel()
	for _, worker := range d.workers {
		worker.stop()
	}
	for _, worker := range d.workers {
		<-worker.ended
	}
	d.renew()
	return nil, nil
}
