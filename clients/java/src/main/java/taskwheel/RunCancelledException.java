package taskwheel;

/** Thrown by {@link Run#throwIfCancelled} in a handler whose run is to stop; let it pass. */
public final class RunCancelledException extends TaskwheelException {
    RunCancelledException(String run) {
        super(run + " is to stop");
    }
}
