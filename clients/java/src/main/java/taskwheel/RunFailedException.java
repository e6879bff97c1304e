package taskwheel;

import taskwheel.v1.TaskRun;

/** A run ended otherwise than SUCCEEDED. */
public final class RunFailedException extends TaskwheelException {
    private final TaskRun run;

    RunFailedException(TaskRun run) {
        super(run.getName() + " " + run.getState() + why(run));
        this.run = run;
    }

    private static String why(TaskRun run) {
        if (run.hasError()) {
            return ": " + run.getError().getName() + ": " + run.getError().getMessage();
        }
        return run.getStateReason().isEmpty() ? "" : ": " + run.getStateReason();
    }

    /** The run as it ended, with its error and its stack. */
    public TaskRun run() {
        return run;
    }
}
