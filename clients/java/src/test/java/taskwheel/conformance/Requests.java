package taskwheel.conformance;

import com.google.gson.JsonObject;
import com.google.protobuf.Descriptors.FieldDescriptor;
import com.google.protobuf.InvalidProtocolBufferException;
import taskwheel.Json;
import taskwheel.Times;
import taskwheel.v1.BackfillTaskRequest;
import taskwheel.v1.CancelTaskRunRequest;
import taskwheel.v1.CreateTaskRequest;
import taskwheel.v1.DeleteTaskRequest;
import taskwheel.v1.GetTaskRunRequest;
import taskwheel.v1.ListEventsRequest;
import taskwheel.v1.ListTaskRunsRequest;
import taskwheel.v1.ListTasksRequest;
import taskwheel.v1.LogEntry;
import taskwheel.v1.PreviewScheduleRequest;
import taskwheel.v1.RunTaskRequest;
import taskwheel.v1.StreamTaskRunLogsRequest;
import taskwheel.v1.Task;
import taskwheel.v1.UpdateTaskRequest;
import taskwheel.v1.WaitTaskRunRequest;
import taskwheel.v1.WatchEventsRequest;

/** The requests that the arguments of a step mean. */
final class Requests {
    private Requests() {}

    static CreateTaskRequest createTask(Arguments args) throws InvalidProtocolBufferException {
        return CreateTaskRequest.newBuilder()
                .setTaskId(args.text("task_id"))
                .setTask(Arguments.message(args.object("task"), Task.newBuilder()))
                .setRequestId(args.text("request_id"))
                .setValidateOnly(args.flag("validate_only"))
                .build();
    }

    static UpdateTaskRequest.Builder updateTask(Arguments args) throws InvalidProtocolBufferException {
        JsonObject set = args.object("set");
        UpdateTaskRequest.Builder request = UpdateTaskRequest.newBuilder()
                .setTask(Arguments.message(set, Task.newBuilder()).setEtag(args.text("etag")))
                .setValidateOnly(args.flag("validate_only"));
        for (FieldDescriptor field : Task.getDescriptor().getFields()) {
            if (set.has(field.getJsonName())) {
                String path = field.getName().equals("worker") ? "worker.handler" : field.getName();
                request.getUpdateMaskBuilder().addPaths(path);
            }
        }
        return request;
    }

    static DeleteTaskRequest.Builder deleteTask(Arguments args) {
        return DeleteTaskRequest.newBuilder()
                .setEtag(args.text("etag"))
                .setAllowMissing(args.flag("allow_missing"));
    }

    static ListTasksRequest listTasks(Arguments args) {
        return ListTasksRequest.newBuilder()
                .setFilter(args.text("filter"))
                .setOrderBy(args.text("order_by"))
                .setPageSize(args.number("page_size", 0))
                .build();
    }

    static ListTaskRunsRequest listRuns(Arguments args) {
        return ListTaskRunsRequest.newBuilder()
                .setFilter(args.text("filter"))
                .setOrderBy(args.text("order_by"))
                .setPageSize(args.number("page_size", 0))
                .setView(args.flag("full") ? ListTaskRunsRequest.View.FULL : ListTaskRunsRequest.View.BASIC)
                .build();
    }

    static ListEventsRequest listEvents(Arguments args) {
        return ListEventsRequest.newBuilder()
                .setFilter(args.text("filter"))
                .setOrderBy(args.text("order_by"))
                .setPageSize(args.number("page_size", 0))
                .build();
    }

    static PreviewScheduleRequest preview(Arguments args) throws InvalidProtocolBufferException {
        PreviewScheduleRequest.Builder request =
                PreviewScheduleRequest.newBuilder().setCount(args.number("count", 0));
        args.ifTime("after", after -> request.setAfter(Times.timestamp(after)));
        if (args.has("schedule")) {
            Arguments.message(args.object("schedule"), request.getScheduleBuilder());
        } else {
            request.setTask(args.text("task"));
        }
        return request.build();
    }

    static BackfillTaskRequest.Builder backfill(Arguments args) {
        BackfillTaskRequest.Builder request =
                BackfillTaskRequest.newBuilder().setRequestId(args.text("request_id"));
        args.ifTime("start_time", time -> request.setStartTime(Times.timestamp(time)));
        args.ifTime("end_time", time -> request.setEndTime(Times.timestamp(time)));
        return request;
    }

    static RunTaskRequest.Builder run(Arguments args) {
        RunTaskRequest.Builder request = RunTaskRequest.newBuilder()
                .setName(args.text("task"))
                .setRequestId(args.text("request_id"))
                .addAllTags(args.texts("tags"))
                .putAllLabels(args.textsByName("labels"));
        if (args.has("payload")) {
            request.setPayload(Json.toStruct(args.payload()));
        }
        if (args.has("priority")) {
            request.setPriority(args.number("priority", 0));
        }
        args.ifTime("schedule_time", time -> request.setScheduleTime(Times.timestamp(time)));
        return request;
    }

    static GetTaskRunRequest getRun(Arguments args) {
        return GetTaskRunRequest.newBuilder()
                .setName(args.text("run"))
                .setTask(args.text("task"))
                .setFollowRetries(args.flag("follow_retries"))
                .build();
    }

    static WaitTaskRunRequest waitFor(Arguments args) {
        return WaitTaskRunRequest.newBuilder()
                .setName(args.text("run"))
                .setFollowRetries(args.flag("follow_retries"))
                .build();
    }

    static CancelTaskRunRequest cancel(Arguments args) {
        return CancelTaskRunRequest.newBuilder()
                .setName(args.text("run"))
                .setReason(args.text("reason"))
                .setPendingOnly(args.flag("pending_only"))
                .build();
    }

    static WatchEventsRequest watch(Arguments args) {
        WatchEventsRequest.Builder request = WatchEventsRequest.newBuilder().setFilter(args.text("filter"));
        args.ifText("after", after -> request.setAfterSequence(Long.parseLong(after)));
        return request.build();
    }

    static StreamTaskRunLogsRequest followLogs(Arguments args) {
        StreamTaskRunLogsRequest.Builder request = StreamTaskRunLogsRequest.newBuilder()
                .setName(args.text("run"))
                .setFollow(!args.has("follow") || args.flag("follow"))
                .setFollowRetries(args.flag("follow_retries"));
        args.ifText("after", after -> request.setAfterSequence(Long.parseLong(after)));
        args.ifText("min_level", level -> request.setMinLevel(LogEntry.Level.valueOf(level)));
        return request.build();
    }
}
