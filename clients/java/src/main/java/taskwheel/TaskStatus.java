package taskwheel;

import java.time.Duration;
import java.util.Optional;
import java.util.regex.Pattern;
import taskwheel.v1.GetServerInfoResponse;
import taskwheel.v1.GetTaskRunRequest;
import taskwheel.v1.TaskRun;

/** The latest status of what was triggered. */
final class TaskStatus {
    private static final Pattern UUID =
            Pattern.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", Pattern.CASE_INSENSITIVE);

    private final Client client;

    TaskStatus(Client client) {
        this.client = client;
    }

    /** The run, if it was triggered within the time that runs are kept. */
    Optional<TaskRun> of(String id, String task) {
        try {
            return Optional.ofNullable(find(id, task)).filter(this::kept);
        } catch (RpcException.NotFound missing) {
            return Optional.empty();
        }
    }

    private TaskRun find(String id, String task) {
        if (!task.isEmpty() || id.contains("runs/")) {
            return run(id, task);
        }
        if (UUID.matcher(id).matches()) {
            try {
                return run(id, task);
            } catch (RpcException.NotFound missing) {
                if (missing.reason().equals("RUN_EXPIRED")) {
                    throw missing;
                }
            }
        }
        String latest = client.task(id).get().getLastRun();
        return latest.isEmpty() ? null : run(latest, task);
    }

    private TaskRun run(String name, String task) {
        return client.getRun(GetTaskRunRequest.newBuilder()
                .setName(name)
                .setTask(task)
                .setFollowRetries(true)
                .build());
    }

    private boolean kept(TaskRun run) {
        GetServerInfoResponse info = client.serverInfo();
        Duration age = Duration.between(Times.instant(run.getCreateTime()), Times.instant(info.getServerTime()));
        return age.compareTo(Times.duration(info.getLimits().getRetention())) < 0;
    }
}
