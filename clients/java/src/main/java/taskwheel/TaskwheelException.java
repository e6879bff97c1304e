package taskwheel;

/**
 * The root of all that this package throws by itself.
 *
 * <pre>
 * TaskwheelException
 * ├── RpcException                what the server answered, or that it did not; its subclasses are named by condition
 * ├── RunFailedException          a run that was waited for ended otherwise than SUCCEEDED
 * ├── RunNotDoneException         the time to wait has passed; the run goes on
 * ├── RunCancelledException       thrown in a handler whose run is to stop
 * └── UnsupportedValueException   a value that the API cannot carry
 * </pre>
 */
public class TaskwheelException extends RuntimeException {
    TaskwheelException(String message) {
        super(message);
    }

    TaskwheelException(String message, Throwable cause) {
        super(message, cause);
    }
}
