package taskwheel;

import com.google.protobuf.ListValue;
import com.google.protobuf.NullValue;
import com.google.protobuf.Struct;
import com.google.protobuf.Value;
import java.math.BigInteger;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Payloads and results, as values of Java.
 *
 * <p>An object is a {@code Map<String, ?>}, an array a {@code Collection} or {@code Object[]}, a string a
 * {@code CharSequence}; besides these there are {@code Number}, {@code Boolean} and null. All else is refused.
 *
 * <p>Numbers are doubles on the wire, so an integer beyond 2^53 would silently become another one: it is refused. Whole
 * numbers come back as {@code Long}, others as {@code Double}.
 */
public final class Json {
    /** Doubles hold every integer up to here. */
    private static final long MAX_INTEGER = 1L << 53;

    /** The bound of the server. A value that holds itself ends here too. */
    private static final int MAX_DEPTH = 32;

    private static final Value NULL =
            Value.newBuilder().setNullValue(NullValue.NULL_VALUE).build();

    private Json() {}

    /**
     * A JSON object as the API has it.
     *
     * @throws UnsupportedValueException a part of it is not JSON, an integer beyond 2^53, or nested deeper than 32
     *     levels; its path begins with {@code payload}
     */
    public static Struct toStruct(Map<String, ?> source) {
        try {
            return struct(source, 1);
        } catch (UnsupportedValueException error) {
            throw error.within("payload");
        }
    }

    /**
     * A JSON value as the API has it.
     *
     * @throws UnsupportedValueException as {@link #toStruct}; its path begins with {@code result}
     */
    public static Value toValue(Object source) {
        try {
            return value(source, 0);
        } catch (UnsupportedValueException error) {
            throw error.within("result");
        }
    }

    /** A JSON object of the API, in the order in which it came. */
    public static Map<String, Object> fromStruct(Struct source) {
        Map<String, Object> object = new LinkedHashMap<>();
        source.getFieldsMap().forEach((name, item) -> object.put(name, fromValue(item)));
        return object;
    }

    /** A JSON value of the API. */
    public static Object fromValue(Value source) {
        return switch (source.getKindCase()) {
            case STRING_VALUE -> source.getStringValue();
            case NUMBER_VALUE -> number(source.getNumberValue());
            case BOOL_VALUE -> source.getBoolValue();
            case STRUCT_VALUE -> fromStruct(source.getStructValue());
            case LIST_VALUE -> {
                List<Object> array = new ArrayList<>(source.getListValue().getValuesCount());
                source.getListValue().getValuesList().forEach(item -> array.add(fromValue(item)));
                yield array;
            }
            case NULL_VALUE, KIND_NOT_SET -> null;
        };
    }

    private static Number number(double number) {
        if (number == Math.rint(number) && Math.abs(number) <= MAX_INTEGER) {
            return (long) number;
        }
        return number;
    }

    private static Value value(Object source, int depth) {
        if (source == null) {
            return NULL;
        }
        Value.Builder target = Value.newBuilder();
        if (source instanceof CharSequence text) {
            target.setStringValue(text(text.toString()));
        } else if (source instanceof Boolean flag) {
            target.setBoolValue(flag);
        } else if (source instanceof Number number) {
            target.setNumberValue(exact(number));
        } else if (source instanceof Map<?, ?> object) {
            target.setStructValue(struct(object, depth + 1));
        } else if (source instanceof Collection<?> array) {
            target.setListValue(list(array, depth + 1));
        } else if (source instanceof Object[] array) {
            target.setListValue(list(Arrays.asList(array), depth + 1));
        } else {
            throw new UnsupportedValueException(source.getClass().getName() + " is not JSON", "");
        }
        return target.build();
    }

    private static Struct struct(Map<?, ?> source, int depth) {
        checkDepth(depth);
        Struct.Builder target = Struct.newBuilder();
        source.forEach((key, item) -> {
            if (!(key instanceof String name)) {
                throw new UnsupportedValueException("names must be strings, not " + key, "");
            }
            try {
                target.putFields(text(name), value(item, depth));
            } catch (UnsupportedValueException error) {
                throw error.within(name);
            }
        });
        return target.build();
    }

    private static ListValue list(Collection<?> source, int depth) {
        checkDepth(depth);
        ListValue.Builder target = ListValue.newBuilder();
        for (Object item : source) {
            try {
                target.addValues(value(item, depth));
            } catch (UnsupportedValueException error) {
                throw error.within("[" + target.getValuesCount() + "]");
            }
        }
        return target.build();
    }

    private static void checkDepth(int depth) {
        if (depth > MAX_DEPTH) {
            throw new UnsupportedValueException("nested deeper than " + MAX_DEPTH + " levels", "");
        }
    }

    private static double exact(Number source) {
        double number = source.doubleValue();
        boolean huge = source instanceof Long whole
                ? whole > MAX_INTEGER || whole < -MAX_INTEGER
                : source instanceof BigInteger big && big.abs().compareTo(BigInteger.valueOf(MAX_INTEGER)) > 0;
        if (huge) {
            throw new UnsupportedValueException("an integer beyond 2^53 would lose digits; send it as a string", "");
        }
        if (!Double.isFinite(number)) {
            throw new UnsupportedValueException(source + " is not a JSON number", "");
        }
        return number;
    }

    /** The text itself. Protobuf would replace half of a surrogate pair by a question mark. */
    private static String text(String source) {
        for (int index = 0; index < source.length(); index++) {
            char unit = source.charAt(index);
            if (Character.isSurrogate(unit)) {
                boolean pair = Character.isHighSurrogate(unit)
                        && index + 1 < source.length()
                        && Character.isLowSurrogate(source.charAt(index + 1));
                if (!pair) {
                    throw new UnsupportedValueException("not valid Unicode: half of a surrogate pair", "");
                }
                index++;
            }
        }
        return source;
    }
}
