package taskwheel;

import java.time.Instant;
import java.util.HashMap;
import java.util.Map;
import taskwheel.v1.LogEntry;

/**
 * Writes lines to the log of a run, each with a text and any JSON values by name. Text beyond 64 KiB is cut, and fields
 * that do not fit beside it are left out.
 */
public final class RunLog {
    /** A whole entry; its text may fill it. */
    private static final int MAX_ENTRY = 64 << 10;

    private final Run run;
    private final Outbox outbox;

    RunLog(Run run, Outbox outbox) {
        this.run = run;
        this.outbox = outbox;
    }

    /** Write what helps to look for a fault. */
    public void debug(String message) {
        write(LogEntry.Level.DEBUG, message, Map.of());
    }

    /** Write how the work goes on. */
    public void info(String message) {
        write(LogEntry.Level.INFO, message, Map.of());
    }

    /** Write what should be looked at, and did not stop the work. */
    public void warning(String message) {
        write(LogEntry.Level.WARNING, message, Map.of());
    }

    /** Write a fault. */
    public void error(String message) {
        write(LogEntry.Level.ERROR, message, Map.of());
    }

    /** Write a line of a level, with values; those that are not JSON are written as text. */
    public void write(LogEntry.Level level, String message, Map<String, ?> fields) {
        LogEntry.Builder entry = LogEntry.newBuilder()
                .setLevel(level)
                .setMessage(Text.clip(message, MAX_ENTRY))
                .setTime(Times.timestamp(Instant.now()));
        if (!fields.isEmpty()) {
            try {
                entry.setFields(Json.toStruct(fields));
            } catch (UnsupportedValueException error) {
                Map<String, String> texts = new HashMap<>();
                fields.forEach((name, value) -> texts.put(name, Text.clip(String.valueOf(value), MAX_ENTRY)));
                entry.setFields(Json.toStruct(texts));
            }
            int size = entry.getMessageBytes().size() + entry.getFields().getSerializedSize();
            if (size > MAX_ENTRY) {
                entry.clearFields();
            }
        }
        outbox.put(run, entry.build());
    }
}
