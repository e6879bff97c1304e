package taskwheel;

import java.nio.charset.StandardCharsets;

/** Text within the bounds of the API. */
final class Text {
    private Text() {}

    /** The text, cut to a number of bytes of UTF-8. */
    static String clip(String text, int bytes) {
        if (text.length() <= bytes / 3) {
            return text;
        }
        byte[] encoded = text.getBytes(StandardCharsets.UTF_8);
        if (encoded.length <= bytes) {
            return text;
        }
        int end = bytes;
        while ((encoded[end] & 0xC0) == 0x80) {
            end--;
        }
        return new String(encoded, 0, end, StandardCharsets.UTF_8);
    }
}
