package taskwheel.conformance;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.Message;
import com.google.protobuf.util.JsonFormat;
import java.math.BigInteger;
import java.time.Duration;
import java.time.Instant;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import java.util.stream.StreamSupport;

/** The arguments of a step. */
record Arguments(JsonObject given) {
    static Arguments of(JsonObject given) {
        return new Arguments(given);
    }

    boolean has(String name) {
        return given.has(name) && !given.get(name).isJsonNull();
    }

    String text(String name) {
        return has(name) ? given.get(name).getAsString() : "";
    }

    boolean flag(String name) {
        return has(name) && given.get(name).getAsBoolean();
    }

    int number(String name, int otherwise) {
        return has(name) ? given.get(name).getAsInt() : otherwise;
    }

    Duration seconds(String name, double otherwise) {
        double seconds = has(name) ? given.get(name).getAsDouble() : otherwise;
        return Duration.ofNanos((long) (seconds * 1e9));
    }

    /** Passes on an argument, if it is given. */
    void ifText(String name, Consumer<String> setter) {
        if (has(name)) {
            setter.accept(text(name));
        }
    }

    void ifTime(String name, Consumer<Instant> setter) {
        ifText(name, text -> setter.accept(OffsetDateTime.parse(text).toInstant()));
    }

    List<String> texts(String name) {
        return has(name)
                ? StreamSupport.stream(given.getAsJsonArray(name).spliterator(), false)
                        .map(JsonElement::getAsString)
                        .toList()
                : List.of();
    }

    Map<String, String> textsByName(String name) {
        Map<String, String> texts = new LinkedHashMap<>();
        if (has(name)) {
            given.getAsJsonObject(name).entrySet().forEach(entry -> texts.put(
                    entry.getKey(), entry.getValue().getAsString()));
        }
        return texts;
    }

    JsonObject object(String name) {
        return given.getAsJsonObject(name);
    }

    List<Arguments> each(String name) {
        return StreamSupport.stream(given.getAsJsonArray(name).spliterator(), false)
                .map(item -> new Arguments(item.getAsJsonObject()))
                .toList();
    }

    /** A JSON object as the user of Java has it. */
    @SuppressWarnings("unchecked")
    Map<String, Object> payload() {
        return (Map<String, Object>) plain(given.get("payload"));
    }

    /** A message in the proto3 JSON form; names that are null are left out. */
    static <B extends Message.Builder> B message(JsonObject source, B target) throws InvalidProtocolBufferException {
        JsonObject present = source.deepCopy();
        source.entrySet().stream()
                .filter(entry -> entry.getValue().isJsonNull())
                .forEach(entry -> present.remove(entry.getKey()));
        JsonFormat.parser().merge(present.toString(), target);
        return target;
    }

    private static Object plain(JsonElement source) {
        if (source.isJsonObject()) {
            Map<String, Object> object = new LinkedHashMap<>();
            source.getAsJsonObject().entrySet().forEach(entry -> object.put(entry.getKey(), plain(entry.getValue())));
            return object;
        }
        if (source.isJsonArray()) {
            JsonArray array = source.getAsJsonArray();
            List<Object> list = new ArrayList<>(array.size());
            array.forEach(item -> list.add(plain(item)));
            return list;
        }
        return source.isJsonNull() ? null : plain(source.getAsJsonPrimitive());
    }

    private static Object plain(JsonPrimitive source) {
        if (source.isString()) {
            return source.getAsString();
        }
        if (source.isBoolean()) {
            return source.getAsBoolean();
        }
        String number = source.getAsString();
        return number.matches("-?\\d+") ? new BigInteger(number) : (Object) Double.valueOf(number);
    }
}
