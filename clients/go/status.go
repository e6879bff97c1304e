package taskwheel

import (
	"context"
	"errors"
	"regexp"
	"strings"

	"google.golang.org/grpc/codes"

	pb "example.com/taskwheel/go/taskwheel/v1"
)

var uuid = regexp.MustCompile(`^(?i)[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// GetTaskStatus answers the latest status of what was triggered, its retries followed; nil when it is unknown, or was
// triggered longer ago than runs are kept, 7 days.
//
// The id is the uid of a run; or the uid or the name of a task, for its latest run. If task is not empty, it is the
// name of the task that the run must belong to.
func (c *Client) GetTaskStatus(ctx context.Context, id, task string) (*pb.TaskRun, error) {
	run, err := c.runOf(ctx, id, task)
	if codeOf(err) == codes.NotFound {
		return nil, nil
	}
	if run == nil || err != nil {
		return nil, err
	}
	info, err := c.Admin.GetServerInfo(ctx, &pb.GetServerInfoRequest{})
	if err != nil {
		return nil, err
	}
	if age := info.GetServerTime().AsTime().Sub(run.GetCreateTime().AsTime()); age >= info.GetLimits().GetRetention().AsDuration() {
		return nil, nil
	}
	return run, nil
}

// runOf is the run that an id means; nil: that of a task which has none.
func (c *Client) runOf(ctx context.Context, id, task string) (*pb.TaskRun, error) {
	request := &pb.GetTaskRunRequest{Name: id, Task: task, FollowRetries: true}
	if task != "" || strings.Contains(id, "runs/") {
		return c.Runs.GetTaskRun(ctx, request)
	}
	if uuid.MatchString(id) {
		run, err := c.Runs.GetTaskRun(ctx, request)
		if codeOf(err) != codes.NotFound || errors.Is(err, RunExpired) {
			return run, err
		}
	}
	found, err := c.Tasks.GetTask(ctx, &pb.GetTaskRequest{Name: id})
	if err != nil || found.GetLastRun() == "" {
		return nil, err
	}
	request.Name = found.GetLastRun()
	return c.Runs.GetTaskRun(ctx, request)
}
