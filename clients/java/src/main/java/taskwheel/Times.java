package taskwheel;

import com.google.protobuf.Timestamp;
import java.time.Duration;
import java.time.Instant;

/** Instants and durations, to and from those of the API. */
public final class Times {
    private Times() {}

    /** An instant as the API has it. */
    public static Timestamp timestamp(Instant instant) {
        return Timestamp.newBuilder()
                .setSeconds(instant.getEpochSecond())
                .setNanos(instant.getNano())
                .build();
    }

    /** A timestamp of the API as an instant. */
    public static Instant instant(Timestamp timestamp) {
        return Instant.ofEpochSecond(timestamp.getSeconds(), timestamp.getNanos());
    }

    /** A duration as the API has it. */
    public static com.google.protobuf.Duration duration(Duration length) {
        // Of one below zero the API has both parts at or below zero, and Java the nanoseconds above.
        boolean below = length.isNegative() && length.getNano() > 0;
        return com.google.protobuf.Duration.newBuilder()
                .setSeconds(length.getSeconds() + (below ? 1 : 0))
                .setNanos(length.getNano() - (below ? 1_000_000_000 : 0))
                .build();
    }

    /** A duration of the API as one of Java. */
    public static Duration duration(com.google.protobuf.Duration length) {
        return Duration.ofSeconds(length.getSeconds(), length.getNanos());
    }
}
