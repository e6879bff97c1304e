package taskwheel;

import java.time.Duration;
import java.time.Instant;
import taskwheel.v1.Schedule;

/** Schedules; {@code toBuilder} gives them bounds, jitter and the like. Their rules are the server's. */
public final class Schedules {
    private Schedules() {}

    /**
     * Due by a cron expression in UTC: five fields in the dialect of Debian's crontab(5), or {@code @daily} and the
     * like.
     */
    public static Schedule cron(String expression) {
        return Schedule.newBuilder().setCron(expression).build();
    }

    /** Due by a cron expression, read in the zone of this IANA name. */
    public static Schedule cron(String expression, String timeZone) {
        return Schedule.newBuilder().setCron(expression).setTimeZone(timeZone).build();
    }

    /** Due each time this long has passed, at least 1 second, counted from when the task was last edited. */
    public static Schedule every(Duration interval) {
        return Schedule.newBuilder().setInterval(Times.duration(interval)).build();
    }

    /** Due once, at an instant ahead. */
    public static Schedule at(Instant instant) {
        return Schedule.newBuilder().setAt(Times.timestamp(instant)).build();
    }
}
