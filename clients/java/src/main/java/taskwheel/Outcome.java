package taskwheel;

import com.google.protobuf.Value;
import java.io.InterruptedIOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.channels.ClosedByInterruptException;
import taskwheel.v1.RunError;
import taskwheel.v1.RunResult;

/** What became of a run, as it is reported. Whatever a handler returns or throws, the report is within the bounds. */
final class Outcome {
    private static final int MAX_RESULT = 1 << 20;
    private static final int MAX_MESSAGE = 8 << 10;
    private static final int MAX_STACK = 64 << 10;
    private static final int MAX_NAME = 256;

    private Outcome() {}

    /** The report of a handler that returned: its JSON value, or why that is none. */
    static RunResult succeeded(Run run, Object returned) {
        Value result;
        try {
            result = Json.toValue(returned);
        } catch (UnsupportedValueException error) {
            return failed(run, error);
        }
        int size = result.getSerializedSize();
        if (size > MAX_RESULT) {
            String text = String.format("the result has %,d bytes, more than 1 MiB", size);
            return run.report().setError(error("system", "resultTooLarge", text)).build();
        }
        return run.report().setResult(result).build();
    }

    /**
     * The report of a handler that threw.
     *
     * @param stopping whether the worker has interrupted its handlers in order to stop
     */
    static RunResult thrown(Run run, Throwable error, boolean stopping) {
        if (error instanceof RunCancelledException || (run.cancelled() && byInterrupt(error))) {
            return run.report().setCancelled(true).build();
        }
        if (stopping && byInterrupt(error)) {
            String text = "the worker stopped before the handler had ended";
            return failed(run, new HandlerException("WorkerStopped", text, error));
        }
        return failed(run, error);
    }

    private static RunResult failed(Run run, Throwable error) {
        return run.report()
                .setError(error(error.getClass().getName(), name(error), text(error))
                        .setStack(Text.clip(stack(error), MAX_STACK)))
                .build();
    }

    /** By what retry policies know an error. */
    private static String name(Throwable error) {
        if (error instanceof HandlerException named) {
            return named.name();
        }
        if (error instanceof UnsupportedValueException) { // the name it has in every language
            return "UnsupportedValue";
        }
        String type = error.getClass().getName();
        return type.substring(Math.max(type.lastIndexOf('.'), type.lastIndexOf('$')) + 1);
    }

    private static RunError.Builder error(String type, String name, String message) {
        return RunError.newBuilder()
                .setType(Text.clip(type, MAX_NAME))
                .setName(Text.clip(name, MAX_NAME))
                .setMessage(Text.clip(message, MAX_MESSAGE));
    }

    /** Whether an error is what an interrupt makes of waiting, in some library. */
    private static boolean byInterrupt(Throwable error) {
        for (Throwable cause = error; cause != null; cause = cause.getCause()) {
            if (cause instanceof InterruptedException
                    || cause instanceof InterruptedIOException
                    || cause instanceof ClosedByInterruptException) {
                return true;
            }
        }
        return false;
    }

    private static String text(Throwable error) {
        try {
            return String.valueOf(error.getMessage() == null ? "" : error.getMessage());
        } catch (RuntimeException broken) { // must not lose the report
            return "";
        }
    }

    private static String stack(Throwable error) {
        try {
            StringWriter stack = new StringWriter();
            error.printStackTrace(new PrintWriter(stack));
            return stack.toString();
        } catch (RuntimeException broken) { // as above
            return "";
        }
    }
}
