package taskwheel.conformance;

import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonNull;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.Message;
import com.google.protobuf.MessageOrBuilder;
import com.google.protobuf.util.JsonFormat;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Optional;
import taskwheel.RpcException;
import taskwheel.RunFailedException;
import taskwheel.RunNotDoneException;
import taskwheel.UnsupportedValueException;

/** What the client answered or threw, as JSON. */
final class Answers {
    private static final Gson GSON =
            new GsonBuilder().serializeNulls().disableHtmlEscaping().create();
    private static final JsonFormat.Printer PRINTER = JsonFormat.printer().omittingInsignificantWhitespace();

    private Answers() {}

    static String ok(String json) {
        return "{\"ok\": " + json + "}";
    }

    static String ok(Object value) {
        return ok(GSON.toJson(json(value)));
    }

    static String unsupported(String why) {
        JsonObject answer = new JsonObject();
        answer.addProperty("unsupported", why);
        return GSON.toJson(answer);
    }

    static String error(Throwable error) {
        return GSON.toJson(errorObject(error));
    }

    /** A message, or a list of messages, in the proto3 JSON form; JSON as it is. */
    static JsonElement json(Object value) {
        if (value instanceof JsonElement element) {
            return element;
        }
        if (value instanceof Optional<?> optional) {
            return optional.map(Answers::json).orElse(JsonNull.INSTANCE);
        }
        if (value instanceof Message message) {
            return JsonParser.parseString(print(message));
        }
        if (value instanceof Collection<?> items && items.stream().anyMatch(MessageOrBuilder.class::isInstance)) {
            JsonArray array = new JsonArray();
            items.forEach(item -> array.add(json(item)));
            return array;
        }
        return GSON.toJsonTree(value);
    }

    static JsonObject errorObject(Throwable error) {
        JsonObject told = new JsonObject();
        told.addProperty("message", String.valueOf(error.getMessage()));
        if (error instanceof RunFailedException failed) {
            told.addProperty("reason", "RUN_FAILED");
            told.add("run", json(failed.run()));
        } else if (error instanceof RunNotDoneException pending) {
            told.addProperty("reason", "RUN_NOT_DONE");
            told.add("run", json(pending.run()));
        } else if (error instanceof UnsupportedValueException unsupported) {
            told.addProperty("reason", "UNSUPPORTED_VALUE");
            JsonArray fields = new JsonArray();
            fields.add(unsupported.path());
            told.add("fields", fields);
        } else if (error instanceof RpcException.RequestTooLarge) {
            told.addProperty("reason", "REQUEST_TOO_LARGE");
        } else if (error instanceof RpcException rpc) {
            told.addProperty("code", rpc.code().name());
            if (!rpc.reason().isEmpty()) {
                told.addProperty("reason", rpc.reason());
            }
            told.add("metadata", GSON.toJsonTree(rpc.metadata()));
            told.add("fields", GSON.toJsonTree(new ArrayList<>(rpc.fields().keySet())));
            rpc.retryAfter().ifPresent(after -> told.addProperty("retry_after", after.toNanos() / 1e9));
        } else {
            told.addProperty("unexpected", error.getClass().getName());
        }
        JsonObject answer = new JsonObject();
        answer.add("error", told);
        return answer;
    }

    private static String print(MessageOrBuilder message) {
        try {
            return PRINTER.print(message);
        } catch (InvalidProtocolBufferException error) {
            throw new IllegalStateException(error);
        }
    }
}
