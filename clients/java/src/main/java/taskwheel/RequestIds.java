package taskwheel;

import java.util.UUID;

/** Keys for requests, so that the transport may repeat them. */
final class RequestIds {
    private RequestIds() {}

    /** The key that was given, or one that nobody else has. */
    static String orMade(String given) {
        return given.isEmpty() ? UUID.randomUUID().toString() : given;
    }
}
