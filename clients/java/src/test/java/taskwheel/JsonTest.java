package taskwheel;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.params.provider.Arguments.arguments;

import com.google.protobuf.Value;
import java.math.BigInteger;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

class JsonTest {
    static Stream<Arguments> values() {
        return Stream.of(
                arguments(null, null),
                arguments(true, true),
                arguments("Grüße 👋", "Grüße 👋"),
                arguments(new StringBuilder("built"), "built"),
                arguments(3, 3L),
                arguments(3.0, 3L),
                arguments(0.5f, 0.5),
                arguments(1L << 53, 1L << 53),
                arguments(BigInteger.ONE.shiftLeft(53).negate(), -(1L << 53)),
                arguments(1e300, 1e300),
                arguments(Arrays.asList(1, null, "x"), Arrays.asList(1L, null, "x")),
                arguments(new Integer[] {1, 2}, List.of(1L, 2L)),
                arguments(Map.of("a", Map.of("b", List.of())), Map.of("a", Map.of("b", List.of()))));
    }

    @ParameterizedTest
    @MethodSource("values")
    void aValueComesBackAsItWas(Object given, Object expected) {
        assertEquals(expected, Json.fromValue(Json.toValue(given)));
    }

    static Stream<Arguments> unsupported() {
        Map<Object, Object> numbered = new HashMap<>();
        numbered.put(1, "one");
        return Stream.of(
                arguments(Map.of("items", List.of(1, 2, (1L << 53) + 1)), "payload.items[2]"),
                arguments(Map.of("big", BigInteger.ONE.shiftLeft(53).add(BigInteger.ONE)), "payload.big"),
                arguments(Map.of("low", -(1L << 53) - 1), "payload.low"),
                arguments(Map.of("when", new Object()), "payload.when"),
                arguments(Map.of("a", Map.of("b", Double.NaN)), "payload.a.b"),
                arguments(Map.of("text", "half \ud83d"), "payload.text"),
                arguments(Map.of("turned", "\udc4b\ud83d"), "payload.turned"),
                arguments(Map.of("inner", numbered), "payload.inner"));
    }

    @ParameterizedTest
    @MethodSource("unsupported")
    void whatCannotBeCarriedIsRefusedByItsPath(Map<String, Object> payload, String path) {
        UnsupportedValueException error =
                assertThrows(UnsupportedValueException.class, () -> Json.toStruct(payload));
        assertEquals(path, error.path());
    }

    @Test
    void aPayloadMayHave32LevelsAndNotOneMore() {
        assertEquals(nested(32), Json.fromStruct(Json.toStruct(nested(32))));
        assertThrows(UnsupportedValueException.class, () -> Json.toStruct(nested(33)));
    }

    @Test
    void aListThatHoldsItselfIsRefused() {
        List<Object> list = new ArrayList<>();
        list.add(list);
        assertThrows(UnsupportedValueException.class, () -> Json.toValue(list));
    }

    @Test
    void aValueWithoutAKindIsNull() {
        assertEquals(null, Json.fromValue(Value.getDefaultInstance()));
    }

    private static Map<String, Object> nested(int levels) {
        Map<String, Object> value = Map.of();
        for (int level = 1; level < levels; level++) {
            value = Map.of("in", value);
        }
        return value;
    }
}
