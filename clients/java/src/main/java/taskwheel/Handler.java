package taskwheel;

/**
 * Works runs of a worker, in a thread of its own for each run.
 *
 * <p>When a run is cancelled, its thread is interrupted, and {@link Run#cancelled} is true: a handler that then throws
 * InterruptedException, or what {@link Run#throwIfCancelled} throws, is reported as CANCELLED.
 */
@FunctionalInterface
public interface Handler {
    /**
     * Work one run.
     *
     * @return its result, any JSON value, see {@link Json}; null if there is nothing to tell
     * @throws Exception its error. Retry policies know it by the simple name of its class, or by the name that a
     *     {@link HandlerException} has
     */
    Object handle(Run run) throws Exception;
}
