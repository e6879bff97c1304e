package taskwheel;

import taskwheel.v1.TaskRun;

/** The time to wait has passed, and the run goes on. */
public final class RunNotDoneException extends TaskwheelException {
    private final TaskRun run;

    RunNotDoneException(TaskRun run) {
        super(run.getName() + " is still " + run.getState() + "; it goes on");
        this.run = run;
    }

    /** The run as it was when the time had passed. */
    public TaskRun run() {
        return run;
    }
}
