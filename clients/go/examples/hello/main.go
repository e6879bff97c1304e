package main

import (
	"context"
	"errors"
	"fmt"
	"log"

	taskwheel "example.com/taskwheel/go"
	pb "example.com/taskwheel/go/taskwheel/v1"
)

func main() {
	client, err := taskwheel.NewClient("") // the environment's TASKWHEEL_ADDRESS, else localhost:7420
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	ctx, stop := context.WithCancel(context.Background())
	defer stop()

	// A worker, in this process for once: it works the runs of tasks whose handler is "greet".
	worker := client.NewWorker(taskwheel.WorkerOptions{})
	worker.Handle("greet", func(ctx context.Context, run *taskwheel.Run) (any, error) {
		var input struct{ Name string }
		if err := run.Bind(&input); err != nil {
			return nil, err
		}
		run.Log().Info("greeting", "name", input.Name)
		return map[string]any{"text": "Hello, " + input.Name}, nil
	})
	go worker.Run(ctx)

	// A task, which stays, and a run of it.
	_, err = client.Tasks.CreateTask(ctx, &pb.CreateTaskRequest{
		TaskId: "greet",
		Task:   &pb.Task{Target: taskwheel.WorkerTarget("greet")},
	})
	if err != nil && !errors.Is(err, taskwheel.TaskAlreadyExists) {
		log.Fatal(err)
	}
	var output struct{ Text string }
	if err := client.RunWithResult(ctx, "greet", map[string]any{"name": "Ann"}, &output); err != nil {
		log.Fatal(err)
	}
	fmt.Println(output.Text)
}
