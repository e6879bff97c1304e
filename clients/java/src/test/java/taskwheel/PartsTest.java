package taskwheel;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The small parts: times, text, batches, pages. */
class PartsTest {
    @ParameterizedTest
    @ValueSource(strings = {"PT0S", "PT1.5S", "PT-1.5S", "PT-0.000000001S", "PT8760H"})
    void aDurationComesBackAsItWas(String length) {
        com.google.protobuf.Duration duration = Times.duration(Duration.parse(length));
        assertEquals(Duration.parse(length), Times.duration(duration));
        assertFalse(Long.signum(duration.getSeconds()) * Integer.signum(duration.getNanos()) < 0);
    }

    @ParameterizedTest
    @ValueSource(strings = {"1969-12-31T23:59:59.5Z", "2026-01-31T00:00:00.000001Z"})
    void anInstantComesBackAsItWas(String instant) {
        assertEquals(Instant.parse(instant), Times.instant(Times.timestamp(Instant.parse(instant))));
    }

    @ParameterizedTest
    @CsvSource({"abc, 3, abc", "abcd, 3, abc", "aü, 2, a", "aü, 3, aü", "a👋b, 4, a", "a👋b, 5, a👋"})
    void textIsCutBetweenCharacters(String text, int bytes, String expected) {
        assertEquals(expected, Text.clip(text, bytes));
    }

    @Test
    void batchesEndAt1000ItemsAndAt3MiB() {
        assertEquals(List.of(1000, 1000, 1), sizes(2001, 10));
        assertEquals(List.of(3, 1), sizes(4, (1 << 20) - 8));
        assertEquals(List.of(1, 1), sizes(2, 3 << 20));
        assertEquals(List.of(), sizes(0, 1));
    }

    private static List<Integer> sizes(int items, int size) {
        return Batches.of(Collections.nCopies(items, "x"), item -> size).stream()
                .map(List::size)
                .toList();
    }

    @Test
    void aListGoesOnAfterAnEmptyPageAndEndsWithAnEmptyToken() {
        Map<String, List<Integer>> pages = Map.of("", List.of(1), "a", List.of(), "b", List.of(2, 3));
        Map<String, String> tokens = Map.of("", "a", "a", "b", "b", "");
        List<Integer> read = new ArrayList<>();
        new Pages<>(token -> token, pages::get, tokens::get).forEachRemaining(read::add);
        assertEquals(List.of(1, 2, 3), read);
    }
}
