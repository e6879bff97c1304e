// Package taskwheel is the client of taskwheel: a task scheduler and run queue behind one gRPC API.
//
//	client, err := taskwheel.NewClient("localhost:7420")
//	run, err := client.Run(ctx, "send-report", map[string]any{"to": "ann@example.org"})
//
//	worker := client.NewWorker(taskwheel.WorkerOptions{})
//	worker.Handle("send-report", func(ctx context.Context, run *taskwheel.Run) (any, error) {
//		run.Log().Info("sent")
//		return map[string]any{"sent": 3}, nil
//	})
//	err = worker.Run(ctx)
//
// Requests and answers are the generated messages of example.com/taskwheel/go/taskwheel/v1. Every method of the API is
// in Client.Tasks, Runs, Events, Workers and Admin; what takes more than one call is a method of Client.
package taskwheel
