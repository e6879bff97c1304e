package taskwheel;

/** A value that the API cannot carry as it is. Nothing was sent. */
public final class UnsupportedValueException extends TaskwheelException {
    private final String description;
    private final String path;

    UnsupportedValueException(String description, String path) {
        super(path.isEmpty() ? description : path + ": " + description);
        this.description = description;
        this.path = path;
    }

    /** Where in the whole value it stands, such as {@code payload.items[3]}. */
    public String path() {
        return path;
    }

    /** The same error as seen from the value that holds this one as {@code part}. */
    UnsupportedValueException within(String part) {
        String joint = path.isEmpty() || path.startsWith("[") ? "" : ".";
        return new UnsupportedValueException(description, part + joint + path);
    }
}
