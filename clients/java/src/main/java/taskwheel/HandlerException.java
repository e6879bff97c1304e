package taskwheel;

import java.util.Objects;

/** An error of a handler with a name of its own, by which retry policies know it. */
public class HandlerException extends Exception {
    private final String name;

    /**
     * An error.
     *
     * @param name its name, such as {@code MailboxFull}
     * @param message what went wrong, for people
     */
    public HandlerException(String name, String message) {
        this(name, message, null);
    }

    /** An error with what caused it. */
    public HandlerException(String name, String message, Throwable cause) {
        super(message, cause);
        this.name = Objects.requireNonNull(name, "name");
    }

    /** Its name. */
    public String name() {
        return name;
    }
}
